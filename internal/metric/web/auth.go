package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

// authenticate puts the credentials on the request; OAuth2 wins over basic auth.
func (p *provider) authenticate(ctx context.Context, req *http.Request, m *v1alpha1.WebMetric, limit time.Duration) error {
	a := m.Authentication
	if err := settings(a); err != nil {
		return err
	}
	if a.BasicAuth.Username != "" {
		req.SetBasicAuth(a.BasicAuth.Username, a.BasicAuth.Password)
	}
	token, err := p.client.Token(ctx, a.OAuth2, m.Insecure, limit)
	if err != nil || token == nil {
		return err
	}
	token.SetAuthHeader(req)
	return nil
}

// settings checks what can be checked without asking anybody.
func settings(a v1alpha1.Authentication) error {
	if err := outbound.BasicAuth(a.BasicAuth); err != nil {
		return err
	}
	if a.Sigv4 != (v1alpha1.Sigv4Config{}) {
		return errors.New("this build cannot sign requests with sigv4: use oauth2, basicAuth or headers")
	}
	return outbound.OAuth2(a.OAuth2)
}
