package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

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

func setup(text string) error { return fmt.Errorf("%s%w", text, errSetup) }

// authenticate puts the credentials on the request itself, so that net/http takes them
// off again when a redirect leads to another host.
func authenticate(ctx context.Context, req *http.Request, a v1alpha1.Authentication, base http.RoundTripper) error {
	if b := a.BasicAuth; b.Username != "" || b.Password != "" {
		if b.Username == "" {
			return setup("missing mandatory parameter in metric for basic auth setup: username")
		}
		if b.Password == "" {
			return setup("missing mandatory parameter in metric for basic auth setup: password")
		}
		req.SetBasicAuth(b.Username, b.Password)
	}
	if a.Sigv4 != (v1alpha1.Sigv4Config{}) {
		return setup("this build cannot sign requests with sigv4: use oauth2, basicAuth or headers")
	}
	o := a.OAuth2
	if o.TokenURL == "" {
		return nil
	}
	if o.ClientID == "" || o.ClientSecret == "" {
		return setup("missing mandatory parameter in metric for OAuth2 setup")
	}
	c := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: o.Scopes}
	token, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: base}))
	if err != nil {
		return err
	}
	token.SetAuthHeader(req)
	return nil
}
