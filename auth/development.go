package auth

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// CheckDevelopment refuses to let the development identity provider be reached
// from elsewhere: it signs in anyone as anyone. It runs where no WorkOS client
// is configured, and then listen must be a loopback address: 127.0.0.0/8, [::1]
// or localhost.
func CheckDevelopment(listen, workosClientID string) error {
	if workosClientID != "" || loopback(listen) {
		return nil
	}
	return fmt.Errorf("without a WorkOS client anyone may sign in as anyone, so %q is refused: listen on a loopback address such as 127.0.0.1:8080, or set WORKOS_CLIENT_ID", listen)
}

// loopback reports whether only this machine can reach a listener at the
// address.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip == netip.IPv6Loopback() || (ip.Is4() && ip.IsLoopback()))
}

// LocalHost reports whether the Host header of a request is localhost,
// 127.0.0.1 or [::1], with any port. Any other name may be one that somebody
// has pointed at this machine to reach it through a browser here.
func LocalHost(host string) bool {
	for _, name := range []string{"localhost", "127.0.0.1", "[::1]"} {
		port, found := strings.CutPrefix(host, name)
		if !found {
			continue
		}
		if port == "" {
			return true
		}
		digits, found := strings.CutPrefix(port, ":")
		if !found || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
			return false
		}
		_, err := strconv.ParseUint(digits, 10, 16)
		return err == nil
	}
	return false
}
