package prometheus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	"golang.org/x/oauth2"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

// maxAnswer is the most that is read of one answer, in bytes.
const maxAnswer = 16 << 20

// settings checks what can be checked without asking anybody.
func settings(a v1alpha1.Authentication, address *url.URL) error {
	if a.Sigv4 != (v1alpha1.Sigv4Config{}) && strings.Contains(address.String(), "aps-workspaces") {
		return fmt.Errorf("this build cannot sign requests with sigv4: use oauth2, basicAuth or headers for the Prometheus at %s", address.Host)
	}
	if err := outbound.BasicAuth(a.BasicAuth); err != nil {
		return err
	}
	return outbound.OAuth2(a.OAuth2)
}

// authenticate builds the way to the server: headers first, then basic auth, then
// OAuth2, which therefore wins.
func (p *provider) authenticate(ctx context.Context, m *v1alpha1.PrometheusMetric, address *url.URL, limit time.Duration) (http.RoundTripper, error) {
	a := m.Authentication
	if err := settings(a, address); err != nil {
		return nil, err
	}
	token, err := p.options.Client.Token(ctx, a.OAuth2, m.Insecure, limit)
	return &signed{base: p.options.Client.Transport(m.Insecure, maxAnswer), host: address.Host, headers: m.Headers,
		user: a.BasicAuth.Username, password: a.BasicAuth.Password, token: token}, err
}

// signed adds headers and credentials, for the configured host only, so that a redirect
// cannot carry them elsewhere.
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
	return s.base.RoundTrip(r)
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
