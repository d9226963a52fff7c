package auth

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"connvo/domain"
)

const (
	// refreshEvery is the least time between two fetches, whatever tokens say:
	// anybody can make up key ids. It is also how long the first tokens of a new
	// key may be refused.
	refreshEvery = 10 * time.Second
	// keysAge is when keys are fetched again although none is missing, so that
	// one that was withdrawn is believed no longer.
	keysAge = time.Hour
	// fetchTimeout bounds one fetch, for which requests wait.
	fetchTimeout = 5 * time.Second
	// maxJWKS bounds the document, which holds a few keys with certificates.
	maxJWKS = 256 << 10
)

// keySet is the provider's public keys as they were last fetched.
type keySet struct {
	url     string
	client  *http.Client
	now     func() time.Time
	log     *slog.Logger
	life    context.Context // of fetches, which requests share; ends with close
	end     context.CancelFunc
	fetches sync.WaitGroup
	idle    chan struct{} // closed: nothing to wait for

	mu        sync.Mutex // guards the rest
	closed    bool
	keys      keyfunc.Keyfunc // nil until a fetch has succeeded
	attempted time.Time       // when the last fetch began
	failed    bool            // the last fetch did
	running   chan struct{}   // closed when the fetch under way ends; nil when none is
}

func newKeySet(c Config) *keySet {
	client := *c.Client
	client.Transport = boundedTransport{next: client.Transport}
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the keys of some other address are not ours
	}
	k := &keySet{url: c.JWKSURL, client: &client, now: c.Now, log: c.Log, idle: make(chan struct{})}
	close(k.idle)
	k.life, k.end = context.WithCancel(context.Background())
	return k
}

// close ends a fetch that runs and waits for it. There are none afterwards.
func (k *keySet) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.end()
	k.fetches.Wait()
}

// find returns the key that the token names. For one that is not known it waits
// for a fetch, unless there was one just now.
func (k *keySet) find(ctx context.Context, t *jwt.Token) (any, error) {
	if kid, _ := t.Header["kid"].(string); kid == "" {
		return nil, refuse(Malformed, "the token does not name the key it is signed with")
	}
	if _, found := t.Header["crit"]; found {
		return nil, refuse(Malformed, "the token asks for extensions that are not understood here")
	}
	key, err := k.known(t)
	if !errors.Is(err, jwkset.ErrKeyNotFound) {
		k.refresh(keysAge) // in the background: the key at hand will do
		return key, err
	}
	select {
	case <-k.refresh(refreshEvery):
	case <-ctx.Done():
		return nil, domain.Because(domain.Unavailable, ctx.Err(), "the request ended before the keys of the identity provider came")
	}
	key, err = k.known(t)
	switch {
	case !errors.Is(err, jwkset.ErrKeyNotFound):
		return key, err
	case k.down():
		return nil, domain.Fail(domain.Unavailable, "the keys of the identity provider cannot be fetched now")
	}
	return nil, refuse(BadSign, "the token is signed with a key that the identity provider does not have")
}

func (k *keySet) known(t *jwt.Token) (any, error) {
	k.mu.Lock()
	keys := k.keys
	k.mu.Unlock()
	if keys == nil {
		return nil, jwkset.ErrKeyNotFound
	}
	return keys.Keyfunc(t)
}

func (k *keySet) down() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failed
}

// refresh starts a fetch if the last one began at least age ago, and returns a
// channel that is closed when the fetch under way, if any, has ended.
func (k *keySet) refresh(age time.Duration) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running != nil {
		return k.running
	}
	if k.failed {
		age = refreshEvery
	}
	now := k.now()
	// A clock that was set back must not stop fetches until it has caught up.
	if since := now.Sub(k.attempted); k.closed || (since >= 0 && since < age) {
		return k.idle
	}
	done := make(chan struct{})
	k.running, k.attempted = done, now
	k.fetches.Go(func() {
		keys, err := k.fetch()
		if err != nil && k.life.Err() == nil {
			k.log.Warn("fetch the keys of the identity provider", "url", k.url, "error", err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.failed = err != nil
		if err == nil {
			k.keys = keys
		}
		k.running = nil
		close(done)
	})
	return done
}

func (k *keySet) fetch() (keyfunc.Keyfunc, error) {
	storage, err := jwkset.NewStorageFromHTTP(k.url, jwkset.HTTPClientStorageOptions{
		Client:      k.client,
		Ctx:         k.life,
		HTTPTimeout: fetchTimeout,
		// We trust the address, not certificates: one in the document that is
		// odd must not cost us its key.
		ValidateOptions: jwkset.JWKValidateOptions{SkipAll: true},
	})
	if err != nil {
		return nil, err
	}
	keys, err := storage.KeyReadAll(k.life)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("the document holds no key") // rather some proxy's than the provider's
	}
	return keyfunc.New(keyfunc.Options{
		Ctx:          k.life,
		Storage:      storage,
		UseWhitelist: []jwkset.USE{jwkset.UseSig, ""},
	})
}

// boundedTransport cuts answers off at maxJWKS bytes, which makes a longer
// document one that cannot be parsed.
type boundedTransport struct{ next http.RoundTripper }

// RoundTrip sends the request by the next transport.
func (b boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = boundedBody{Reader: io.LimitReader(resp.Body, maxJWKS), Closer: resp.Body}
	return resp, nil
}

type boundedBody struct {
	io.Reader
	io.Closer
}
