package topics

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kljensen/snowball/english"
	"github.com/kljensen/snowball/french"
	"github.com/kljensen/snowball/hungarian"
	"github.com/kljensen/snowball/norwegian"
	"github.com/kljensen/snowball/russian"
	"github.com/kljensen/snowball/spanish"
	"github.com/kljensen/snowball/swedish"

	"connvo/domain/words"
)

// language is what is known of one.
type language struct {
	stem func(word string, stopWords bool) string // nil where nobody knows how
	stop func(word string) bool                   // the word says nothing by itself
}

// languageOf returns what is known of the language that a tag names.
func languageOf(tag string) language {
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
	switch primary {
	case "en":
		return language{english.Stem, func(w string) bool { return english.IsStopWord(w) || fillers[w] }}
	case "fr":
		return language{french.Stem, french.IsStopWord}
	case "es":
		return language{spanish.Stem, spanish.IsStopWord}
	case "ru":
		return language{russian.Stem, russian.IsStopWord}
	case "sv":
		return language{swedish.Stem, swedish.IsStopWord}
	case "no", "nb", "nn":
		return language{norwegian.Stem, norwegian.IsStopWord}
	case "hu":
		return language{hungarian.Stem, hungarian.IsStopWord}
	case "de":
		return language{nil, func(w string) bool { return german[w] }}
	case "":
		return language{nil, func(w string) bool { return english.IsStopWord(w) || fillers[w] || german[w] }}
	default:
		return language{nil, func(w string) bool { return utf8.RuneCountInString(w) < minUnknown }}
	}
}

// minUnknown is the shortest word that may be a topic in a language of which nobody
// knows the stop words: those are mostly shorter.
const minUnknown = 5

func set(words string) map[string]bool {
	all := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		all[w] = true
	}
	return all
}

// fillers are English words with which people talk, and which lists of stop words,
// made for what is written, do not have.
var fillers = set(`
	able actually agree ain alright also always another anybody anyone anything anyway around ask back basically
	believe better big bit bye bring call came can cannot care come comes coming could couldn course day definitely
	didn doesn doing done don else even every everybody everyone everything exactly feel find fine first gave get gets
	getting give given gives giving go goes going gone gonna good got gotta great guess guys hadn happen happened
	happens happy hard hasn haven hear hello help hey hi hmm hope huh idea instead isn it keep kind knew know known
	knows last later least let like literally little ll long look looking looks lot lots love made make makes making
	many matter may maybe mean means mhm might mm moment much must need needs never new next nice nobody nothing now
	obviously oh ok okay old one ones part people perhaps please point possible pretty probably put question quick quite
	rather re ready really right said saw say saying says second see seem seems seen several shall show since
	somebody someone something sometimes somewhere soon sorry sort still stuff suppose sure take taken takes taking talk talked
	talking tell thank thanks thing things think thinking third thought three time times today together told tomorrow
	took totally tried true try trying two uh um understand unless us use used using usually ve wait wanna want wanted
	wants wasn way ways week weeks well went weren whatever whether whole wish without won wonder word words work worked
	works would wouldn wow wrong yeah year years yep yes yesterday yet yup`)

// german are the stop words of German, whose stems nobody here knows.
var german = set(`
	aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes auch auf aus bei beim
	bin bis bist bitte da dabei dadurch dafür dagegen daher damit danach daran darauf daraus darf darin darüber darum
	das dass davon davor dazu dein deine deinem deinen deiner dem den denn der des deshalb dich die dies diese diesem
	diesen dieser dieses dir doch dort du durch ein eine einem einen einer eines einfach einige einmal er es etwas euch
	euer eure für ganz gar geht genau genug gerade gern gibt gut gute guten hab habe haben hat hatte hatten halt hast
	heute hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im immer in ins irgendwie ist ja jede jedem jeden
	jeder jedes jetzt kann kannst kein keine keinem keinen keiner können könnte könnten mach mache machen macht mal man
	mehr mein meine meinem meinen meiner mich mir mit möchte muss müssen musste nach nächste nein nicht nichts nie noch nun
	nur ob oder ohne okay schon sehr sein seine seinem seinen seiner seit sich sie sind so sogar soll sollen sollte
	sollten sondern sonst über um und uns unser unsere unserem unseren unserer unter viel viele vielen vielleicht vom von
	vor wann war waren warum was weg weil weiter welche welchem welchen welcher welches wenn wer werde werden weiß wie
	wieder will wir wird wirklich wo wollen wollte wollten worden wurde wurden würde würden zu zum zur zwar zwischen`)

// word is one that carries meaning.
type word struct{ text, stem string }

// split returns the runs of words that carry meaning.
func split(texts []Text) [][]word {
	var runs [][]word
	read := 0
	for _, t := range texts {
		l := languageOf(t.Language)
		var run []word
		end := 0
		cut := func() {
			if len(run) > 0 {
				runs = append(runs, run)
			}
			run = nil
		}
		for w := range words.Of(t.Text) {
			if read++; read > maxRead {
				cut()
				return runs
			}
			if len(run) == maxRun || !joined(t.Text[end:w.Start]) {
				cut()
			}
			end = w.End
			text := strings.ToLower(t.Text[w.Start:w.End])
			if !carries(text) || l.stop(text) {
				cut()
				continue
			}
			run = append(run, word{text, l.stemOf(text, w.Folded)})
		}
		cut()
	}
	return runs
}

// stemOf returns what the word is counted as. The stem is folded, so that accents
// which a recognizer leaves out do not matter.
func (l language) stemOf(text, folded string) string {
	if l.stem == nil {
		return folded
	}
	if stem := words.Fold(l.stem(text, false)); stem != "" {
		return stem
	}
	return folded
}

// joined reports whether what stands between two words lets them belong together.
func joined(between string) bool { return strings.Trim(between, " -‐") == "" }

// carries reports whether a word may carry meaning, whatever the language: neither a
// single letter, nor a number, nor a piece of a script without spaces.
func carries(text string) bool {
	n, letters := 0, 0
	for _, r := range text {
		if words.Unspaced(r) {
			return false
		}
		if n++; unicode.IsLetter(r) {
			letters++
		}
	}
	return letters > 1 && n <= maxLetter
}
