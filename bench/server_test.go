package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// script writes a server program that reports the fake's address and ends on SIGTERM with the status.
func script(t *testing.T, addr, status string) string {
	t.Helper()
	text := "#!/bin/sh\ntrap 'exit " + status + "' TERM\n" +
		"echo starting >&2\necho '{\"msg\":\"listening\",\"url\":\"http://" + addr + "\"}' >&2\n" +
		"while :; do sleep 0.05; done\n"
	path := filepath.Join(t.TempDir(), "connvo")
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestServerIsStartedMeasuredAndEnded(t *testing.T) {
	var out strings.Builder
	args := []string{"--bin", script(t, newFake(t, "").addr, "0"), "--dir", t.TempDir(), "lone", "-n", "5"}
	if err := run(args, &out, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "server CPU per create") {
		t.Errorf("no CPU time in\n%s", out.String())
	}
}

func TestServerThatEndsBadlyIsAFault(t *testing.T) {
	var out strings.Builder
	args := []string{"--bin", script(t, newFake(t, "").addr, "3"), "--dir", t.TempDir(), "lone", "-n", "5"}
	if err := run(args, &out, &out); err == nil || !strings.Contains(out.String(), "exit status 3") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestServerThatDoesNotStartIsExplained(t *testing.T) {
	err := newServer("/bin/sh", t.TempDir(), nil, nil).start(t.Context(), &target{})
	if err == nil || !strings.Contains(err.Error(), "ended before it listened") || !strings.Contains(err.Error(), "serve") {
		t.Errorf("%v", err)
	}
}

func TestListening(t *testing.T) {
	for text, want := range map[string]string{
		`{"level":"INFO","msg":"listening","url":"http://127.0.0.1:4242"}`: "http://127.0.0.1:4242",
		`level=INFO msg="listening on http://[::1]:80/"`:                   "http://[::1]:80",
		`{"msg":"other","url":"http://127.0.0.1:1"}`:                       "",
	} {
		if got := listening(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestServerGetsNoSettingsFromTheShell(t *testing.T) {
	got := plainEnv([]string{"PATH=/bin", "CONNVO_REPLICA_URL=s3://real", "GOGC=50", "WORKOS_CLIENT_ID=x", "AWS_PROFILE=y"})
	if !slices.Equal(got, []string{"PATH=/bin", "GOGC=50"}) {
		t.Errorf("%q", got)
	}
}
