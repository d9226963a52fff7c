package clients_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// TestFeedOverKills kills the server while people post. What was answered is
// there once; what was not may be there, once; what was sent again with its key
// until it was answered is there once. Followers are told exactly what is there.
func TestFeedOverKills(t *testing.T) {
	t.Parallel()
	everyClient(t, func(t *testing.T, open opener) {
		s := serve(t)
		ada := s.signIn("ada")
		meeting := ada.plan()
		st := open(t, s.URL, ada).follow(meeting + "/messages?after=0")
		st.ready(false)
		const kills, posters, each = 3, 4, 40
		var stubborn, answered, unanswered []string
		for round := range kills {
			var all sync.WaitGroup
			answers := make(chan struct{}, 2*posters*each)
			var mu sync.Mutex // guards what was answered and what not
			for i := range posters {
				all.Go(func() {
					name := fmt.Sprintf("stubborn.%d.%d", round, i)
					said := postStubbornly(s, ada, meeting, name, each, answers)
					mu.Lock()
					defer mu.Unlock()
					stubborn = append(stubborn, said...)
				})
				all.Go(func() {
					name := fmt.Sprintf("casual.%d.%d", round, i)
					there, perhaps := postCasually(s, ada, meeting, name, each, answers)
					mu.Lock()
					defer mu.Unlock()
					answered, unanswered = append(answered, there...), append(unanswered, perhaps...)
				})
			}
			for range posters * each {
				await(t, "an answer", answers)
			}
			s.kill()
			s.start()
			all.Wait()
			st.back()
		}
		st.says(ada.history(meeting)...)
		history := ada.history(meeting)
		slices.Sort(history)
		if len(slices.Compact(slices.Clone(history))) != len(history) {
			t.Errorf("something is there twice: %q", history)
		}
		must := append(stubborn, answered...)
		for _, said := range must {
			if _, found := slices.BinarySearch(history, said); !found {
				t.Errorf("%q was answered and is not there", said)
			}
		}
		for _, said := range history {
			if !slices.Contains(must, said) && !slices.Contains(unanswered, said) {
				t.Errorf("%q is there and nobody has said it", said)
			}
		}
		t.Logf("%d answered, %d not, %d there", len(must), len(unanswered), len(history))
	})
}

// postStubbornly posts n messages, each again until it is answered, and returns
// what they say. answers is told of each answer.
func postStubbornly(s *server, who *person, meeting, name string, n int, answers chan<- struct{}) (said []string) {
	for i := range n {
		content := fmt.Sprint(name, ".", i)
		for !post(s, who, meeting, content, "Idempotency-Key", content) {
			if s.t.Context().Err() != nil {
				return nil
			}
		}
		said = append(said, content)
		answers <- struct{}{}
	}
	return said
}

// postCasually posts n messages once each, and returns what was answered and
// what was not.
func postCasually(s *server, who *person, meeting, name string, n int, answers chan<- struct{}) (answered, unanswered []string) {
	for i := range n {
		content := fmt.Sprint(name, ".", i)
		if post(s, who, meeting, content) {
			answered = append(answered, content)
			answers <- struct{}{}
		} else {
			unanswered = append(unanswered, content)
		}
	}
	return answered, unanswered
}

// post posts a message once the server listens, and reports whether it was
// answered.
func post(s *server, who *person, meeting, content string, header ...string) bool {
	select {
	case <-s.running():
	case <-s.t.Context().Done():
		return false
	}
	status, answer, err := who.do("POST", meeting+"/messages", map[string]string{"content": content}, header...)
	if err == nil && status != http.StatusCreated {
		s.t.Errorf("%s: %d %s", content, status, answer)
	}
	return err == nil
}
