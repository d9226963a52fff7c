package topics_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"connvo/domain/topics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func of(language string, limit int, said ...string) (names []string) {
	var texts []topics.Text
	for _, s := range said {
		texts = append(texts, topics.Text{Text: s, Language: language})
	}
	for _, t := range topics.Of(texts, limit) {
		names = append(names, t.Text)
	}
	return names
}

func TestTopicsAreWhatIsTalkedAbout(t *testing.T) {
	for _, c := range []struct {
		language, said, want string
	}{
		{"en", "So I think the launch budget is too small. We should ask for a bigger launch budget, because the marketing campaign needs it. The campaign starts in March.", "launch budget, campaign"},
		{"en-GB", "Um yeah okay so like I mean you know what I'm saying right", ""},
		{"en", "We deploy on Fridays. Deploying is risky, and deployments fail.", "deploy"},
		{"fr", "Les recherches continuent, la recherche avance. Nous parlons de recherches.", "recherches"},
		{"de", "Wir müssen über den Vertrag reden. Der Vertrag ist noch nicht unterschrieben.", "vertrag"},
		{"", "The contract is not signed, the contract is late", "contract"},
		{"pt", "o contrato está pronto mas o contrato não foi assinado", "contrato"},
		{"en", "test test test test", "test"},
		{"ja", "会議の予算", ""},
		{"en", "2026 12 7 a b c", ""},
		{"en", "", ""},
	} {
		got := of(c.language, 2, c.said)
		want := []string{}
		if c.want != "" {
			want = strings.Split(c.want, ", ")
		}
		if len(got) < len(want) || !slices.Equal(got[:len(want)], want) || (len(want) == 0 && len(got) > 0) {
			t.Errorf("%q: %q, want %q", c.said, got, want)
		}
	}
}

func TestSimilarityIsThatOfStems(t *testing.T) {
	a := topics.Of([]topics.Text{{Text: "the launch budget and the launch budget", Language: "en"}}, 5)
	b := topics.Of([]topics.Text{{Text: "budgets, launches", Language: "en"}}, 5)
	c := topics.Of([]topics.Text{{Text: "holidays, the beach", Language: "en"}}, 5)
	if s := topics.Similarity(a, b); s != 1 {
		t.Errorf("%v and %v: %v", a, b, s)
	}
	if s := topics.Similarity(a, c); s != 0 {
		t.Errorf("%v and %v: %v", a, c, s)
	}
	if topics.Similarity(nil, nil) != 1 || topics.Similarity(a, nil) != 0 {
		t.Error("empty lists")
	}
}

// check tells what every answer must be.
func check(t interface{ Fatalf(string, ...any) }, texts []topics.Text, limit int) {
	got := topics.Of(texts, limit)
	if len(got) > limit {
		t.Fatalf("%d topics, limit %d", len(got), limit)
	}
	keys := map[string]bool{}
	for _, topic := range got {
		if n := utf8.RuneCountInString(topic.Text); n == 0 || n > 100 || topic.Key == "" || topic.Count < 1 || keys[topic.Key] {
			t.Fatalf("%+v", topic)
		}
		keys[topic.Key] = true
	}
	if !slices.Equal(got, topics.Of(texts, limit)) {
		t.Fatalf("another answer to the same")
	}
	if s := topics.Similarity(got, got); s != 1 {
		t.Fatalf("not similar to itself: %v", s)
	}
}

func FuzzOf(f *testing.F) {
	f.Add("the launch budget, ½ the launch budget don't", "en", "les recherches", "fr-CA")
	f.Fuzz(func(t *testing.T, a, la, b, lb string) { check(t, []topics.Text{{a, la}, {b, lb}}, 5) })
}

func TestTopicsAreBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.Custom(func(rt *rapid.T) topics.Text {
			said := rapid.SliceOfN(rapid.SampledFrom([]string{"budget", "budgets", "launch", "the", "and,", "plan", "plans.", "we", "Åse", "会议"}), 0, 30).Draw(rt, "said")
			return topics.Text{Text: strings.Join(said, " "), Language: rapid.SampledFrom([]string{"", "en", "fr", "es", "ru", "sv", "no", "hu", "de", "xx"}).Draw(rt, "language")}
		})
		check(rt, rapid.SliceOfN(text, 0, 5).Draw(rt, "texts"), rapid.IntRange(0, 9).Draw(rt, "limit"))
	})
}

// BenchmarkOf finds the topics of two minutes of speech.
func BenchmarkOf(b *testing.B) {
	const said = "so what I would like to talk about today is the budget of the launch, and whether the marketing team has enough people for the campaign in March "
	texts := make([]topics.Text, 12)
	for i := range texts {
		texts[i] = topics.Text{Text: said, Language: "en"}
	}
	for b.Loop() {
		if len(topics.Of(texts, 10)) == 0 {
			b.Fatal("none")
		}
	}
}
