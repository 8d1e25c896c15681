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
	basic, err := outbound.BasicAuth(a.BasicAuth)
	if err != nil {
		return err
	}
	if basic {
		req.SetBasicAuth(a.BasicAuth.Username, a.BasicAuth.Password)
	}
	if a.Sigv4 != (v1alpha1.Sigv4Config{}) {
		return errors.New("this build cannot sign requests with sigv4: use oauth2, basicAuth or headers")
	}
	token, err := p.client.Token(ctx, a.OAuth2, m.Insecure, limit)
	if err != nil || token == nil {
		return err
	}
	token.SetAuthHeader(req)
	return nil
}
