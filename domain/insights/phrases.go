package insights

import (
	"regexp"
	"slices"
	"strings"

	"connvo/domain"
)

// The phrases by which English speakers decide something, or take something on. They are
// looked for in what plain returns.
var (
	decided = regexp.MustCompile(`\b(?:(?:we|they|everybody|everyone|the (?:team|board|group))(?:'ve| have| has)?(?: (?:all|just|now|also|finally|already|both|unanimously))*` +
		`|it (?:was|is|has been)) (?:decided|agreed|approved|resolved|settled on|chose|chosen|opted for|voted (?:for|to|against))\b` +
		`|\b(?:we're|we are|let's|we'll|we will) (?:go|going) (?:with|for|ahead with)\b|\bthe decision is\b|^(?:decision|decided):`)
	// What stands before makes another thing of it.
	undecided = regexp.MustCompile(`\b(?:if|whether|unless|until|before|once|when|why|how|not|never|nobody)\b|n't\b`)

	mine = regexp.MustCompile(`\bi(?:'ll| will| shall|'m going to| am going to| promise to|'ll take care of)\b`)
	// What follows it says that nothing is taken on.
	idle = regexp.MustCompile(`^ (?:(?:also|then|just|probably|gladly) )*(?:not|never|be|say|admit|think|guess|wait and|see|repeat|tell you|miss|remember)\b`)
	ours = regexp.MustCompile(`\b(?:we|somebody|someone) (?:need|needs|have|has|ought) to\b|\b(?:we|somebody|someone) (?:must|should)\b|\bthe next step is\b|^(?:to ?do|action|action item|next step)s?:`)
	// gone says that what should have been done was not, or is done.
	gone = regexp.MustCompile(`^ (?:have|not|never)\b`)
)

// decides reports whether a sentence tells of a decision.
func decides(text string) bool {
	at := decided.FindStringIndex(text)
	return at != nil && !strings.HasSuffix(text, "?") && !undecided.MatchString(text[:at[0]])
}

// names listens for who is named.
type names struct {
	of      map[string]domain.UserID // by name in small letters, of one person alone
	members map[domain.UserID]bool
	does    *regexp.Regexp // a name, and what says that they do it; nil where nobody has one
}

// listen returns what listens for the members, by the name and by the first part of it,
// where no other has the same.
func listen(members []Member) names {
	n := names{of: map[string]domain.UserID{}, members: map[domain.UserID]bool{}}
	shared := map[string]bool{}
	for _, m := range members {
		n.members[m.User] = true
		full := plain(strings.Join(strings.Fields(m.Name), " "))
		first, _, _ := strings.Cut(full, " ")
		for _, name := range slices.Compact([]string{full, first}) {
			if _, taken := n.of[name]; taken || len(name) < 2 {
				shared[name] = true
			}
			n.of[name] = m.User
		}
	}
	var all []string
	for name := range n.of {
		if shared[name] {
			delete(n.of, name)
		} else {
			all = append(all, regexp.QuoteMeta(name))
		}
	}
	if len(all) == 0 {
		return n
	}
	slices.SortFunc(all, func(a, b string) int { // the longest is tried first
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	called := `(?:^|[^\pL\pN])@?(` + strings.Join(all, "|") + `)`
	n.does = regexp.MustCompile(called + `(?:'ll|,? (?:will|shall|should|must|is going to|has to|needs to|is to|takes care of|please|can you|could you|would you)|:) ` +
		`|(?:can|could|would|will) you,? (?:please,? )?(` + strings.Join(all, "|") + `)(?:$|[^\pL\pN])`)
	return n
}

// action reports whether a sentence says that something is to be done, and by whom, ""
// where nobody is named.
func (n names) action(q Quote, text string) (domain.UserID, bool) {
	if owner := n.named(text, q.task); owner != "" {
		return owner, true
	}
	if strings.HasSuffix(text, "?") {
		return "", q.task
	}
	if at := mine.FindStringIndex(text); at != nil && q.Speaker != "" && !idle.MatchString(text[at[1]:]) {
		if n.members[q.Speaker] {
			return q.Speaker, true
		}
		return "", true
	}
	if at := ours.FindStringIndex(text); at != nil && !gone.MatchString(text[at[1]:]) {
		return "", true
	}
	return "", q.task
}

// named returns who is named as the one to do it, "" where nobody is, or several are. A
// name and a colon are that in a list of tasks only.
func (n names) named(text string, task bool) domain.UserID {
	if n.does == nil {
		return ""
	}
	var owner domain.UserID
	for _, m := range n.does.FindAllStringSubmatch(text, -1) {
		if strings.HasSuffix(m[0], ": ") && !task {
			continue
		}
		who := n.of[m[1]+m[2]] // one of them is empty
		if owner != "" && who != owner {
			return ""
		}
		owner = who
	}
	return owner
}
