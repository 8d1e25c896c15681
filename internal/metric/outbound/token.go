package outbound

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Token fetches a token with the client's own credentials, within limit. It is nil where
// no tokenUrl is set.
func (c *Client) Token(ctx context.Context, o v1alpha1.OAuth2Config, insecure bool, limit time.Duration) (*oauth2.Token, error) {
	if o.TokenURL == "" {
		return nil, nil //nolint:nilnil // no OAuth2 is asked for
	}
	if err := OAuth2(o); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client := &http.Client{Transport: c.Transport(insecure, 0), CheckRedirect: SameHost}
	config := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: o.Scopes}
	token, err := config.Token(context.WithValue(limited, oauth2.HTTPClient, client))
	switch {
	case err == nil:
		return token, nil
	case limited.Err() != nil:
		return nil, Explain(ctx, limited, "fetch the OAuth2 token", limit, err)
	}
	return nil, oneLine{err}
}

// OAuth2 checks that a metric gives all or nothing.
func OAuth2(o v1alpha1.OAuth2Config) error {
	if o.TokenURL != "" && (o.ClientID == "" || o.ClientSecret == "") {
		return errors.New("missing mandatory parameter in metric for OAuth2 setup")
	}
	return nil
}

// BasicAuth checks that a metric gives both halves or none.
func BasicAuth(b v1alpha1.BasicAuthConfig) error {
	switch {
	case b.Username == "" && b.Password != "":
		return errors.New("missing mandatory parameter in metric for basic auth setup: username")
	case b.Username != "" && b.Password == "":
		return errors.New("missing mandatory parameter in metric for basic auth setup: password")
	}
	return nil
}
