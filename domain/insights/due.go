package insights

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Ways in which people say when something is to be done. Each needs what makes it clear:
// "on Friday" is a day to come, while "Friday was bad" says nothing of what is to be done.
var (
	isoDay     = regexp.MustCompile(`\b(\d{4})-(\d{2})-(\d{2})\b`)
	dayOfMonth = regexp.MustCompile(`\b(\d{1,2})(?:st|nd|rd|th)?(?: of)? (` + monthNames + `)\b`)
	monthDay   = regexp.MustCompile(`\b(` + monthNames + `) (?:the )?(\d{1,2})(?:st|nd|rd|th)?\b`)
	weekday    = regexp.MustCompile(`\b(?:by|until|till|on|this|due) (monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b`)
	soon       = regexp.MustCompile(`\b(today|tonight|this (?:afternoon|evening)|tomorrow)\b`)
	within     = regexp.MustCompile(`\b(?:in|within) (a|an|one|two|three|four|five|six|seven|ten|\d{1,2}) (days?|weeks?)\b`)
	endOfMonth = regexp.MustCompile(`\bend of (?:the|this) month\b`)
	unclear    = regexp.MustCompile(`\b(?:next|last|every|each) (?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b`)
)

const monthNames = `january|february|march|april|may|june|july|august|september|october|november|december`

var numbers = map[string]int{"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "ten": 10}

// due returns the end of the day by which something is to be done that was said at an
// instant, in its time zone, and zero where that is not clear: where no day is named, or
// two are, or one that may be either of two.
func due(text string, said time.Time) time.Time {
	text = plain(text)
	today := time.Date(said.Year(), said.Month(), said.Day(), 0, 0, 0, 0, said.Location())
	var found []time.Time
	for _, m := range isoDay.FindAllStringSubmatch(text, -1) {
		if day, err := time.ParseInLocation(time.DateOnly, m[0], said.Location()); err == nil {
			found = append(found, day)
		}
	}
	for _, m := range dayOfMonth.FindAllStringSubmatch(text, -1) {
		found = append(found, onDate(today, m[2], m[1]))
	}
	for _, m := range monthDay.FindAllStringSubmatch(text, -1) {
		found = append(found, onDate(today, m[1], m[2]))
	}
	for _, m := range weekday.FindAllStringSubmatch(text, -1) {
		found = append(found, onWeekday(today, m[1]))
	}
	for _, m := range soon.FindAllString(text, -1) {
		day := today
		if m == "tomorrow" {
			day = today.AddDate(0, 0, 1)
		}
		found = append(found, day)
	}
	for _, m := range within.FindAllStringSubmatch(text, -1) {
		found = append(found, today.AddDate(0, 0, daysIn(m[1], m[2])))
	}
	if endOfMonth.MatchString(text) {
		found = append(found, time.Date(today.Year(), today.Month()+1, 0, 0, 0, 0, 0, said.Location()))
	}
	if len(found) == 0 || unclear.MatchString(text) {
		return time.Time{}
	}
	for _, day := range found {
		if !day.Equal(found[0]) {
			return time.Time{}
		}
	}
	if found[0].Before(today) {
		return time.Time{}
	}
	return found[0].AddDate(0, 0, 1).Add(-time.Millisecond)
}

// plain returns a text as it is looked through.
func plain(text string) string {
	return strings.ToLower(strings.ReplaceAll(text, "’", "'"))
}

// onDate returns the next day of that date, zero where a month has no such day.
func onDate(today time.Time, month, day string) time.Time {
	n, _ := strconv.Atoi(day) // two digits
	for m, name := range strings.Split(monthNames, "|") {
		if name != month {
			continue
		}
		date := time.Date(today.Year(), time.Month(m+1), n, 0, 0, 0, 0, today.Location())
		if date.Before(today) {
			date = date.AddDate(1, 0, 0)
		}
		if date.Day() == n {
			return date
		}
	}
	return time.Time{}
}

// onWeekday returns the day of that name in the week to come, zero on the very day,
// since it may be either.
func onWeekday(today time.Time, name string) time.Time {
	for n := 1; n <= 6; n++ {
		if day := today.AddDate(0, 0, n); strings.EqualFold(day.Weekday().String(), name) {
			return day
		}
	}
	return time.Time{}
}

// daysIn returns how many days a number of days or weeks are.
func daysIn(number, unit string) int {
	n, named := numbers[number]
	if !named {
		n, _ = strconv.Atoi(number) // two digits
	}
	if strings.HasPrefix(unit, "week") {
		return 7 * n
	}
	return n
}
