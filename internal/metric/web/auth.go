package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

// authenticate puts the credentials on the request: OAuth2 wins over the signature for AWS,
// and that over basic auth. It returns the secrets that came up on the way.
func (p *provider) authenticate(ctx context.Context, req *http.Request, m *v1alpha1.WebMetric, limit time.Duration) (secrets []string, err error) {
	a := m.Authentication
	if err := p.settings(a, req.URL); err != nil {
		return nil, err
	}
	if a.BasicAuth.Username != "" {
		req.SetBasicAuth(a.BasicAuth.Username, a.BasicAuth.Password)
	}
	token, err := p.options.Client.Token(ctx, a.OAuth2, m.Insecure, limit)
	switch {
	case err != nil:
		return nil, err
	case token != nil:
		token.SetAuthHeader(req)
		return []string{token.AccessToken}, nil
	case a.Sigv4 == (v1alpha1.Sigv4Config{}):
		return nil, nil
	}
	return p.sign(ctx, req, a.Sigv4, limit)
}

func (p *provider) sign(ctx context.Context, req *http.Request, c v1alpha1.Sigv4Config, limit time.Duration) ([]string, error) {
	service, err := p.options.Service(req.URL.Hostname())
	if err != nil {
		return nil, err
	}
	signer, err := p.options.AWS.Signer(ctx, c, service, limit)
	if err != nil {
		return nil, err
	}
	return signer.Secrets(), signer.Sign(req)
}

// settings checks what can be checked without asking anybody.
func (p *provider) settings(a v1alpha1.Authentication, to *url.URL) error {
	if a.Sigv4 != (v1alpha1.Sigv4Config{}) {
		if _, err := p.options.Service(to.Hostname()); err != nil {
			return fmt.Errorf("authentication.sigv4: %w", err)
		}
	}
	if err := outbound.BasicAuth(a.BasicAuth); err != nil {
		return err
	}
	return outbound.OAuth2(a.OAuth2)
}
