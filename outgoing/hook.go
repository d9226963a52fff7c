package outgoing

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/failsafe-go/failsafe-go"
)

const (
	// SignatureHeader carries t=<Unix seconds>,v1=<hex>: the HMAC-SHA256 of the
	// seconds, a dot and the body, with the secret as it is written.
	SignatureHeader = "Connvo-Signature"
	// IDHeader names what is told, the same whenever it is sent again.
	IDHeader = "Connvo-Id"
	// maxReply is how much of an answer is read, so that the connection can be
	// used again; nothing of it matters.
	maxReply = 16 << 10
)

// Hook tells one URL. It is safe for concurrent use; Close it.
type Hook struct {
	url     string
	secret  []byte
	now     func() time.Time
	client  *http.Client
	breaker failsafe.Executor[any]
}

// NewHook returns a Hook for an http or https URL, which signs with the secret; now
// is the clock. Its errors show no secret, nor a name or password in the URL.
func NewHook(raw, secret string, now func() time.Time) (*Hook, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "https" && (u.Scheme != "http" || !here(u.Hostname()))) || u.User != nil || u.Fragment != "" {
		return nil, errors.New("write an https URL without a name or a fragment, or http on this machine")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &Hook{url: u.String(), secret: []byte(secret), now: now, breaker: failsafe.With(breaker()), client: &http.Client{
		Transport: transport,
		// A redirect would take what is signed for one place to another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close ends the connections that are idle.
func (h *Hook) Close() { h.client.CloseIdleConnections() }

// Post sends a JSON body. Every answer but 2xx is an error: what takes it may be
// mended, so none is for good but 410, which is ErrRefused.
func (h *Hook) Post(ctx context.Context, id string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return guarded(ctx, h.breaker, func() error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(IDHeader, id)
		r.Header.Set(SignatureHeader, sign(h.secret, h.now(), body))
		answer, err := h.client.Do(r)
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		_, _ = io.CopyN(io.Discard, answer.Body, maxReply) // what is left costs a connection
		switch {
		case answer.StatusCode == http.StatusGone:
			return fmt.Errorf("%w: it answers %d", ErrRefused, answer.StatusCode)
		case answer.StatusCode < 200 || answer.StatusCode > 299:
			return fmt.Errorf("it answers %d", answer.StatusCode)
		}
		return nil
	})
}

// sign returns the value of SignatureHeader.
func sign(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(mac, "%s.%s", t, body) // a hash takes everything
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
