package prometheus

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/api"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// maxAnswer is the most that is read of one answer, in bytes.
const maxAnswer = 16 << 20

// transport is the default one of net/http, proxies included.
func transport(insecure bool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 8
	if insecure {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the metric asks for it
	}
	return t
}

// errSetup marks errors of the metric's own settings.
var errSetup = errors.New("")

func setup(format string, args ...any) error {
	return fmt.Errorf(format+"%w", append(args, errSetup)...)
}

// authenticate builds the way to the server: headers first, then basic auth, then
// OAuth2, which therefore wins.
func (p *provider) authenticate(ctx context.Context, m *v1alpha1.PrometheusMetric, address *url.URL) (http.RoundTripper, error) {
	base := p.secure
	if m.Insecure {
		base = p.insecure
	}
	rt := &signed{base: base, host: address.Host, headers: m.Headers}
	a := m.Authentication
	if a.Sigv4 != (v1alpha1.Sigv4Config{}) && strings.Contains(address.String(), "aps-workspaces") {
		return nil, setup("this build cannot sign requests with sigv4: use oauth2, basicAuth or headers for the Prometheus at %s", address.Host)
	}
	if b := a.BasicAuth; b.Username != "" || b.Password != "" {
		if b.Username == "" {
			return nil, setup("missing mandatory parameter in metric for basic auth setup: username")
		}
		if b.Password == "" {
			return nil, setup("missing mandatory parameter in metric for basic auth setup: password")
		}
		rt.user, rt.password = b.Username, b.Password
	}
	if a.OAuth2.TokenURL == "" {
		return rt, nil
	}
	if a.OAuth2.ClientID == "" || a.OAuth2.ClientSecret == "" {
		return nil, setup("missing mandatory parameter in metric for OAuth2 setup")
	}
	token, err := fetchToken(ctx, a.OAuth2, base)
	if err != nil {
		return nil, err
	}
	rt.token = token
	return rt, nil
}

func fetchToken(ctx context.Context, o v1alpha1.OAuth2Config, base http.RoundTripper) (*oauth2.Token, error) {
	c := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: o.Scopes}
	return c.Token(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: base}))
}

// signed adds headers and credentials, for the configured host only, so that a redirect
// cannot carry them elsewhere, and bounds what is read of the answer.
type signed struct {
	base           http.RoundTripper
	host           string
	headers        []v1alpha1.WebMetricHeader
	user, password string
	token          *oauth2.Token
}

// RoundTrip implements http.RoundTripper.
func (s *signed) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == s.host {
		r = r.Clone(r.Context())
		for _, h := range s.headers {
			if strings.EqualFold(h.Key, "Host") {
				r.Host = h.Value
			}
			r.Header.Set(h.Key, h.Value)
		}
		if s.user != "" {
			r.SetBasicAuth(s.user, s.password)
		}
		if s.token != nil {
			s.token.SetAuthHeader(r)
		}
	}
	resp, err := s.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: maxAnswer}
	return resp, nil
}

type bounded struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader; past the bound it is an error, never a silent end.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// nullable lets `"result": null` mean no series, as some servers that speak the API
// write it; the client's decoder knows only lists.
type nullable struct{ api.Client }

// Do implements api.Client.
func (n nullable) Do(ctx context.Context, r *http.Request) (*http.Response, []byte, error) {
	resp, body, err := n.Client.Do(ctx, r)
	if err != nil || !bytes.Contains(body, []byte("null")) {
		return resp, body, err
	}
	var answer map[string]json.RawMessage
	var data struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	}
	if json.Unmarshal(body, &answer) != nil || json.Unmarshal(answer["data"], &data) != nil || string(data.Result) != "null" {
		return resp, body, nil // whatever it is, the client judges it
	}
	answer["data"] = fmt.Appendf(nil, `{"resultType":%q,"result":[]}`, data.Type)
	if mended, err := json.Marshal(answer); err == nil {
		body = mended
	}
	return resp, body, nil
}
