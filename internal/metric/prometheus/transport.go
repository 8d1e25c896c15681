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
	"github.com/penstock-io/penstock/internal/metric/awsauth"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

// maxAnswer is the most that is read of one answer, in bytes.
const maxAnswer = 16 << 20

// managed marks the addresses of Amazon Managed Service for Prometheus, the only ones that
// are signed for, service its signatures.
const managed, service = "aps-workspaces", "aps"

// settings checks what can be checked without asking anybody.
func settings(a v1alpha1.Authentication) error {
	if err := outbound.BasicAuth(a.BasicAuth); err != nil {
		return err
	}
	return outbound.OAuth2(a.OAuth2)
}

// authenticate builds the way to the server: headers first, then basic auth, then the
// signature for AWS, then OAuth2, of which the last wins.
func (p *provider) authenticate(ctx context.Context, m *v1alpha1.PrometheusMetric, address *url.URL, limit time.Duration) (*signed, error) {
	a := m.Authentication
	if err := settings(a); err != nil {
		return nil, err
	}
	way := &signed{base: p.options.Client.Transport(m.Insecure, maxAnswer), host: address.Host, headers: m.Headers,
		user: a.BasicAuth.Username, password: a.BasicAuth.Password}
	var err error
	if way.token, err = p.options.Client.Token(ctx, a.OAuth2, m.Insecure, limit); err != nil || way.token != nil || a.Sigv4 == (v1alpha1.Sigv4Config{}) || !strings.Contains(address.String(), managed) {
		return way, err
	}
	way.signer, err = p.options.AWS.Signer(ctx, a.Sigv4, service, limit)
	return way, err
}

// secrets are those that only the way to the server knows.
func (s *signed) secrets() (all []string) {
	if s.signer != nil {
		all = s.signer.Secrets()
	}
	if s.token != nil {
		all = append(all, s.token.AccessToken)
	}
	return all
}

// signed adds headers and credentials, for the configured host only, so that a redirect
// cannot carry them elsewhere.
type signed struct {
	base           http.RoundTripper
	host           string
	headers        []v1alpha1.WebMetricHeader
	user, password string
	signer         *awsauth.Signer
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
		if s.signer != nil {
			if err := s.signer.Sign(r); err != nil {
				return nil, err
			}
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
