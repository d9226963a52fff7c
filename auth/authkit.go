package auth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// renewTimeout bounds the exchange of a code or of a refresh token with all its
// attempts: somebody waits for the answer.
const renewTimeout = 8 * time.Second

// maxTokens bounds an answer with tokens, which tells of the person too.
const maxTokens = maxPerson + 4*MaxToken

// AuthKit is the hosted sign-in of WorkOS for browsers. It is safe for concurrent
// use.
type AuthKit struct {
	base     string // of WorkOS, without a slash at its end
	origin   string // our own
	clientID string
	key      string
	client   *http.Client
	log      *slog.Logger
	policies failsafe.Executor[reply]
}

// NewAuthKit returns the sign-in of the WorkOS client clientID, which sends
// browsers back to origin, our public URL without a path.
func NewAuthKit(a WorkOSAPI, clientID, origin string) (*AuthKit, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	k := &AuthKit{
		base: strings.TrimRight(a.URL, "/"), origin: origin, clientID: clientID,
		key: a.Key, client: a.client(), log: a.Log,
	}
	k.policies = failsafe.With(again(), k.broken())
	return k, nil
}

// broken keeps silent for a while when WorkOS has failed at the last attempts.
// What it refuses is no failure, and 429 is about one person.
func (k *AuthKit) broken() failsafe.Policy[reply] {
	return circuitbreaker.NewBuilder[reply]().
		HandleIf(func(r reply, err error) bool {
			if err != nil {
				return !errors.Is(err, context.Canceled)
			}
			return r.status >= http.StatusInternalServerError
		}).
		WithFailureThreshold(brokenAfter).
		WithSuccessThreshold(1).
		WithDelay(brokenFor).
		OnOpen(func(circuitbreaker.StateChangedEvent) {
			k.log.Warn("WorkOS signs nobody in: browsers stay signed in until their tokens end", "asked again in", brokenFor)
		}).
		OnClose(func(circuitbreaker.StateChangedEvent) { k.log.Info("WorkOS signs people in again") }).
		Build()
}

// AuthorizeURL returns where a browser signs in. It comes back with state and a
// code for whoever knows the verifier of the challenge (PKCE, S256).
func (k *AuthKit) AuthorizeURL(state, challenge string) string {
	return k.base + "/user_management/authorize?" + url.Values{
		"client_id":             {k.clientID},
		"code_challenge":        {challenge},
		"code_challenge_method": {"S256"},
		"provider":              {"authkit"},
		"redirect_uri":          {k.origin + "/auth/callback"},
		"response_type":         {"code"},
		"state":                 {state},
	}.Encode()
}

// LogoutURL returns where a browser ends the session at WorkOS; it comes back to
// our first page.
func (k *AuthKit) LogoutURL(session string) string {
	return k.base + "/user_management/sessions/logout?" + url.Values{
		"return_to":  {k.origin + "/"},
		"session_id": {session},
	}.Encode()
}

// Browser is who asks, for the record that WorkOS keeps of its sessions.
type Browser struct{ Address, Agent string }

// tokens are what WorkOS gives: an access token, and what the next is asked with.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// exchange returns the tokens for a code.
//
// Errors: Unauthenticated when WorkOS refuses the code; else as authenticate.
func (k *AuthKit) exchange(ctx context.Context, code, verifier string, from Browser) (tokens, error) {
	return k.authenticate(ctx, map[string]string{
		"grant_type": "authorization_code", "code": code, "code_verifier": verifier,
		"ip_address": from.Address, "user_agent": from.Agent,
	}, codeRefusals)
}

// renew returns new tokens for a refresh token, which is used up, of the
// organization org, "" for none.
//
// Errors: Unauthenticated when WorkOS does not renew the session any more; else
// as authenticate.
func (k *AuthKit) renew(ctx context.Context, refresh, org string) (tokens, error) {
	form := map[string]string{"grant_type": "refresh_token", "refresh_token": refresh}
	if org != "" {
		form["organization_id"] = org
	}
	return k.authenticate(ctx, form, renewRefusals)
}

// What WorkOS refuses a person for, as opposed to what is wrong with us, which
// must sign nobody out. invalid_code and those of a code are the emulator's words
// too.
var (
	codeRefusals = []string{"invalid_grant", "invalid_code", "expired_code", "invalid_code_verifier", "code_challenge_not_found", "access_denied",
		"mfa_enrollment", "mfa_challenge", "sso_required", "email_verification_required", "organization_selection_required"}
	renewRefusals = []string{"invalid_grant", "mfa_enrollment", "sso_required", "organization_not_found", "organization_membership_not_found"}
)

// laterError is that WorkOS could not answer.
type laterError struct {
	wait  time.Duration // for how long it asks us to be silent, 0 for nothing said
	cause error
}

// Error returns the cause.
func (e *laterError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *laterError) Unwrap() error { return e.cause }

// authenticate asks for tokens.
//
// Errors: Unauthenticated for one of refusals; Unavailable, because of a
// *laterError, for all else.
func (k *AuthKit) authenticate(ctx context.Context, form map[string]string, refusals []string) (tokens, error) {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	form["client_id"], form["client_secret"] = k.clientID, k.key
	body, err := json.Marshal(form)
	if err != nil {
		return tokens{}, err
	}
	r, err := k.policies.WithContext(ctx).Get(func() (reply, error) { return k.ask(ctx, body) })
	if err != nil {
		return tokens{}, later(0, fmt.Errorf("ask WorkOS for tokens: %w", err))
	}
	if r.status == http.StatusOK {
		var t tokens
		if err := json.Unmarshal(r.body, &t); err != nil || t.Access == "" || t.Refresh == "" {
			return tokens{}, later(0, fmt.Errorf("the tokens of WorkOS in answer %q cannot be read", r.id))
		}
		return t, nil
	}
	code := r.code()
	if r.status < http.StatusInternalServerError && r.status != http.StatusTooManyRequests && slices.Contains(refusals, code) {
		return tokens{}, refuse(Declined, "WorkOS says %s: sign in again", code)
	}
	if !r.overloaded() {
		k.log.Error("WorkOS refuses to sign people in for us", "status", r.status, "code", code, "answer", r.id)
	}
	return tokens{}, later(r.wait, fmt.Errorf("WorkOS answered %d %q to a question for tokens, in answer %q", r.status, code, r.id))
}

func later(wait time.Duration, cause error) error { return unavailable(&laterError{wait, cause}) }

// code is why WorkOS refuses: the API says it in error, the emulator and some
// answers of the API in code. What is no short word is "".
func (r reply) code() string {
	var e struct{ Error, Code string }
	if err := json.Unmarshal(r.body, &e); err != nil {
		return ""
	}
	return word(cmp.Or(e.Error, e.Code))
}

// maxWord bounds what a provider calls its errors.
const maxWord = 64

// word returns s if it is what a provider may call an error, else "".
func word(s string) string {
	if len(s) > maxWord || strings.ContainsFunc(s, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		return ""
	}
	return s
}

// ask makes one attempt.
func (k *AuthKit) ask(ctx context.Context, body []byte) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, k.base+"/user_management/authenticate", bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "application/json")
	return send(k.client, q, maxTokens)
}
