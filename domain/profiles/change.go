package profiles

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"connvo/domain"
	"connvo/domain/text"
)

// The bounds of what people tell, in years, characters and entries.
const (
	MinAge       = 13
	MaxAge       = 120
	MaxBio       = 1000
	MaxGoals     = 1000
	MaxWork      = 1000 // of experience
	MaxLine      = 100  // of field, job title and company
	MaxURL       = 2048
	MaxTimeZone  = 64
	MaxLanguages = 20
	MaxLanguage  = 35 // the longest tag that RFC 5646 tells programs to have room for
	MaxSkills    = 50
	MaxSkill     = 60
)

// Change is what is to be told anew; nil leaves a field, and an empty value, or an
// Age of 0, takes back what was told. Texts are stored as the text package makes them.
type Change struct {
	Age         *int
	Gender      *Gender
	TimeZone    *string // a name of the IANA database, such as Europe/Berlin
	Field       *string
	JobTitle    *string
	Company     *string
	LinkedinURL *string // https, of linkedin.com
	Languages   *[]string
	Skills      *[]string
	Experience  *string
	Goals       *string
	Bio         *string
}

// apply changes p. A field's error is at prefix and its name.
func (c Change) apply(p *Profile, prefix string) error {
	if c.Age != nil {
		if *c.Age != 0 && (*c.Age < MinAge || *c.Age > MaxAge) {
			return domain.FailField(prefix+"age", "is from %d to %d", MinAge, MaxAge)
		}
		p.Age = *c.Age
	}
	if c.Gender != nil {
		if !slices.Contains([]Gender{"", Male, Female, NonBinary, Undisclosed}, *c.Gender) {
			return domain.FailField(prefix+"gender", "is %s, %s, %s or %s", Male, Female, NonBinary, Undisclosed)
		}
		p.Gender = *c.Gender
	}
	for _, f := range []struct {
		name  string
		to    *string
		given *string
		clean func(field, s string) (string, error)
	}{
		{"timeZone", &p.TimeZone, c.TimeZone, timeZone},
		{"field", &p.Field, c.Field, line},
		{"jobTitle", &p.JobTitle, c.JobTitle, line},
		{"company", &p.Company, c.Company, line},
		{"linkedinUrl", &p.LinkedinURL, c.LinkedinURL, linkedin},
		{"experience", &p.Experience, c.Experience, prose(MaxWork)},
		{"goals", &p.Goals, c.Goals, prose(MaxGoals)},
		{"bio", &p.Bio, c.Bio, prose(MaxBio)},
	} {
		if f.given == nil {
			continue
		}
		clean, err := f.clean(prefix+f.name, *f.given)
		if err != nil {
			return err
		}
		*f.to = clean
	}
	if err := list(&p.Languages, c.Languages, prefix+"languages", MaxLanguages, tag); err != nil {
		return err
	}
	return list(&p.Skills, c.Skills, prefix+"skills", MaxSkills, skill)
}

// list changes a list, of which each entry is kept once.
func list(to, given *[]string, field string, limit int, clean func(field, s string) (string, error)) error {
	if given == nil {
		return nil
	}
	if len(*given) > limit {
		return domain.FailField(field, "has at most %d entries", limit)
	}
	all := []string{}
	for i, s := range *given {
		entry, err := clean(fmt.Sprintf("%s[%d]", field, i), s)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(other string) bool { return text.Fold(other) == text.Fold(entry) }) {
			all = append(all, entry)
		}
	}
	*to = all
	return nil
}

func line(field, s string) (string, error) { return text.Line(field, s, MaxLine) }

func prose(limit int) func(field, s string) (string, error) {
	return func(field, s string) (string, error) { return text.Prose(field, s, limit) }
}

func skill(field, s string) (string, error) { return text.Name(field, s, MaxSkill) }

// tag returns the usual form of a language's tag.
func tag(field, s string) (string, error) {
	t, err := language.Parse(s)
	if err != nil || len(s) > MaxLanguage || t == language.Und {
		return "", domain.FailField(field, "is no tag of a language, such as en or pt-BR")
	}
	return t.String(), nil
}

// timeZone takes what names a zone wherever the server runs: not Local.
func timeZone(field, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if _, err := time.LoadLocation(s); err != nil || s == "Local" || len(s) > MaxTimeZone {
		return "", domain.FailField(field, "is no time zone of the IANA database, such as Europe/Berlin")
	}
	return s, nil
}

// linkedin takes nothing that leads elsewhere.
func linkedin(field, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || len(s) > MaxURL || u.Scheme != "https" || u.User != nil || u.Port() != "" ||
		!strings.HasSuffix("."+strings.ToLower(u.Hostname()), ".linkedin.com") {
		return "", domain.FailField(field, "is an https URL of linkedin.com")
	}
	return s, nil
}
