package handlers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// compare decodes the pattern and the body and matches them.
func (c *conversation) compare(pattern string, body []byte) {
	want, err := decode([]byte(pattern))
	if err != nil {
		c.t.Fatalf("the pattern %s: %v", pattern, err)
	}
	got, err := decode(body)
	if err != nil {
		c.t.Fatalf("the body %s: %v", body, err)
	}
	if err := c.match(want, got); err != nil {
		c.t.Fatalf("%v, in %s", err, body)
	}
}

func decode(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("something follows the first value")
	}
	return v, nil
}

// match compares a value with a pattern:
//
//	an object matches one that has at least its members;
//	an array matches one of the same length, or, ending in "...", a longer one;
//	"*" matches anything but null, "-" a member that is not there;
//	"$name" is what name stands for, and gives it its meaning the first time;
//	">$name" is a number greater than name's; anything else is itself.
func (c *conversation) match(want, got any) error {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%v is no object", got)
		}
		for member, pattern := range want {
			value, present := object[member]
			if absent := pattern == "-"; absent == present {
				return fmt.Errorf("%s: present %v", member, present)
			}
			if !present {
				continue
			}
			if err := c.match(pattern, value); err != nil {
				return fmt.Errorf("%s: %w", member, err)
			}
		}
		return nil
	case []any:
		return c.matchArray(want, got)
	case string:
		if want == "*" {
			if got == nil {
				return fmt.Errorf("null")
			}
			return nil
		}
		if n, ok := got.(json.Number); ok && strings.Contains(want, "$") {
			return c.matchText(want, n.String())
		}
		text, ok := got.(string)
		if !ok {
			return fmt.Errorf("%v is not %q", got, want)
		}
		return c.matchText(want, text)
	}
	if want != got {
		return fmt.Errorf("%v is not %v", got, want)
	}
	return nil
}

func (c *conversation) matchArray(want []any, got any) error {
	array, ok := got.([]any)
	if !ok {
		return fmt.Errorf("%v is no array", got)
	}
	if n := len(want) - 1; n >= 0 && want[n] == "..." {
		want = want[:n]
		if len(array) < n {
			return fmt.Errorf("%d elements, want %d at least", len(array), n)
		}
	} else if len(array) != len(want) {
		return fmt.Errorf("%d elements, want %d", len(array), len(want))
	}
	for i, pattern := range want {
		if err := c.match(pattern, array[i]); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

// matchText compares a text, or a number's digits, with a pattern.
func (c *conversation) matchText(want, got string) error {
	if want == "*" {
		return nil
	}
	if name, found := strings.CutPrefix(want, ">$"); found {
		low, err := strconv.ParseInt(c.known[name], 10, 64)
		if err != nil {
			return fmt.Errorf("%s is no number: %w", name, err)
		}
		if n, err := strconv.ParseInt(got, 10, 64); err != nil || n <= low {
			return fmt.Errorf("%s is not greater than %d", got, low)
		}
		return nil
	}
	if name, found := strings.CutPrefix(want, "$"); found && c.known[name] == "" && dollar.FindString(want) == want && !isRepeat(want) {
		c.known[name] = got
		return nil
	}
	var unknown string
	filled := dollar.ReplaceAllStringFunc(want, func(name string) string {
		if isRepeat(name) {
			n, _ := strconv.Atoi(name[2:]) // isRepeat has read it
			return strings.Repeat("x", n)
		}
		if c.known[name[1:]] == "" {
			unknown = name
		}
		return c.known[name[1:]]
	})
	switch {
	case unknown != "":
		return fmt.Errorf("%s is not known", unknown)
	case filled != got:
		return fmt.Errorf("%q is not %q", got, filled)
	}
	return nil
}

// isRepeat reports whether the name is a $x9.
func isRepeat(name string) bool {
	_, err := strconv.Atoi(strings.TrimPrefix(name, "$x"))
	return strings.HasPrefix(name, "$x") && err == nil
}
