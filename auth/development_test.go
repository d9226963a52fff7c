package auth_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"connvo/auth"
)

func TestCheckDevelopment(t *testing.T) {
	for listen, allowed := range map[string]bool{
		"127.0.0.1:8080":          true,
		"127.8.9.1:0":             true,
		"[::1]:8080":              true,
		"localhost:8080":          true,
		"LOCALHOST:8080":          true,
		":8080":                   false,
		"0.0.0.0:8080":            false,
		"[::]:8080":               false,
		"10.0.0.1:8080":           false,
		"[::ffff:127.0.0.1]:8080": false,
		"[::1%eth0]:8080":         false,
		"localhost.evil:8080":     false,
		"127.0.0.1.evil:8080":     false,
		"127.1:8080":              false,
		"127.0.0.1":               false,
		"8080":                    false,
		"":                        false,
	} {
		err := auth.CheckDevelopment(listen, "")
		if (err == nil) != allowed {
			t.Errorf("%q: got %v, want allowed %t", listen, err, allowed)
		}
		if err != nil && !strings.Contains(err.Error(), "WORKOS_CLIENT_ID") {
			t.Errorf("%q: %q does not say what to do", listen, err)
		}
		if err := auth.CheckDevelopment(listen, "client_1"); err != nil {
			t.Errorf("%q with WorkOS: %v", listen, err)
		}
	}
}

func TestLocalHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8080": true, "127.0.0.1": true, "127.0.0.1:1": true,
		"[::1]": true, "[::1]:65535": true, "localhost:0": true,
		"": false, "localhost:": false, "localhost:65536": false, "localhost:x": false, "localhost:+1": false,
		"::1": false, "[::1": false, "127.0.0.2": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false,
		"localhost:80@evil.example": false, "evil.example": false, "localhost.": false, " localhost": false,
		"localhost:80:80": false, "[::1]8080": false, "0.0.0.0": false, "LOCALHOST": false,
	} {
		if got := auth.LocalHost(host); got != want {
			t.Errorf("%q: got %t, want %t", host, got, want)
		}
	}
}

// FuzzLocalHost compares with the same rule written another way.
func FuzzLocalHost(f *testing.F) {
	rule := regexp.MustCompile(`\A(?:localhost|127\.0\.0\.1|\[::1\])(?::([0-9]+))?\z`)
	for _, host := range []string{"localhost", "127.0.0.1:8080", "[::1]:1", "localhost:99999", "127.0.0.1.evil:80", "localhost\n"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		m := rule.FindStringSubmatch(host)
		want := m != nil
		if want && m[1] != "" {
			_, err := strconv.ParseUint(m[1], 10, 16)
			want = err == nil
		}
		if got := auth.LocalHost(host); got != want {
			t.Errorf("%q: got %t, want %t", host, got, want)
		}
	})
}
