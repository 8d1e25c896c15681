package outbound

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestWhereMetricsMayNotAsk(t *testing.T) {
	g := &Guard{Allow: []netip.Prefix{netip.MustParsePrefix("169.254.20.0/24")}, APIServer: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.1:443")}}
	for address, want := range map[string]string{
		"169.254.169.254:80":          "link-local",
		"[fe80::1%eth0]:80":           "link-local",
		"[::ffff:169.254.169.254]:80": "link-local",
		"[fd00:ec2::254]:80":          "link-local",
		"0.0.0.0:80":                  "no address of a server",
		"[ff02::1]:80":                "no address of a server",
		"10.96.0.1:443":               "API server",
		"[::ffff:10.96.0.1]:443":      "API server",
		"10.96.0.1:9090":              "",
		"169.254.20.10:53":            "", // allowed
		"127.0.0.1:9090":              "",
		"192.168.1.1:80":              "",
	} {
		err := g.Check(netip.MustParseAddrPort(address))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	if err := (*Guard)(nil).Check(netip.MustParseAddrPort("169.254.169.254:80")); err != nil {
		t.Errorf("no guard: %v", err)
	}
}

// ask makes one request to a server with this behaviour.
func ask(t *testing.T, guard func(netip.AddrPort) *Guard, call Call, h http.HandlerFunc) (Answer, error) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	var g *Guard
	if guard != nil {
		g = guard(netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "http://")))
	}
	req, err := http.NewRequest(http.MethodGet, strings.Replace(s.URL, "127.0.0.1", "localhost", 1)+"/metrics?token=abc", nil)
	if err != nil {
		t.Fatal(err)
	}
	if call.Limit == 0 {
		call.Limit = time.Minute
	}
	return New(g).Do(context.Background(), req, call)
}

func TestANameThatLeadsToTheAPIServerIsRefused(t *testing.T) {
	guard := func(a netip.AddrPort) *Guard {
		return &Guard{APIServer: []netip.AddrPort{a, netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())}}
	}
	_, err := ask(t, guard, Call{}, func(http.ResponseWriter, *http.Request) { t.Error("it was asked") })
	if err == nil || !strings.Contains(err.Error(), "API server") {
		t.Error(err)
	}
}

func TestALiteralAddressIsRefusedAlsoBeforeAProxy(t *testing.T) {
	c := New(&Guard{})
	c.secure.Proxy = func(*http.Request) (*url.URL, error) { t.Error("the proxy was asked"); return nil, nil }
	req, err := http.NewRequest(http.MethodGet, "http://169.254.169.254/latest/meta-data", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(context.Background(), req, Call{Limit: time.Minute}); err == nil || !strings.Contains(err.Error(), "link-local") {
		t.Error(err)
	}
}

func TestRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	defer other.Close()
	_, err := ask(t, nil, Call{}, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	if err == nil || !strings.Contains(err.Error(), "redirect to another host") {
		t.Error(err)
	}
	a, err := ask(t, nil, Call{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			http.Redirect(w, r, "/other", http.StatusFound)
		}
	})
	if err != nil || a.Status != 200 {
		t.Errorf("on the same host: %d, %v", a.Status, err)
	}
	if _, err := ask(t, nil, Call{}, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }); err == nil {
		t.Error("an endless redirect is no error")
	}
}

func TestAnAnswerIsReadUpToItsBound(t *testing.T) {
	for name, c := range map[string]struct {
		size int
		ok   bool
	}{"exactly the bound": {4096, true}, "one byte more": {4097, false}} {
		t.Run(name, func(t *testing.T) {
			a, err := ask(t, nil, Call{MaxAnswer: 4096}, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, c.size)) })
			if c.ok && (err != nil || len(a.Body) != c.size) || !c.ok && (err == nil || !strings.Contains(err.Error(), "larger than 4 KiB")) {
				t.Errorf("%d bytes, error %v", len(a.Body), err)
			}
		})
	}
}

func TestAnErrorNamesThePlaceWithoutTheQuery(t *testing.T) {
	_, err := ask(t, nil, Call{Limit: 50 * time.Millisecond}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	if err == nil || !strings.Contains(err.Error(), "/metrics: no answer within the timeout of 50ms") || strings.Contains(err.Error(), "abc") {
		t.Error(err)
	}
}
