package audit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"connvo/audit"
)

// Whoever looks for an action finds it in the list that the documentation has.
func TestTheListOfActionsHasAll(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "actions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []audit.Action
	ast.Inspect(file, func(n ast.Node) bool {
		spec, found := n.(*ast.ValueSpec)
		if !found {
			return true
		}
		for _, value := range spec.Values {
			name, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, audit.Action(name))
		}
		return false
	})
	if listed := audit.Actions(); !slices.Equal(listed, all) || len(all) < 30 {
		t.Errorf("listed are %v, written %v", listed, all)
	}
}
