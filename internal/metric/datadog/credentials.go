package datadog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

// defaultAddress is that of Datadog's first site, for Secrets that give none.
const defaultAddress = "https://api.datadoghq.com"

var errNoCredentials = errors.New("failed to find the credentials for datadog metrics provider")

// checkRef refuses a namespace without a name.
func checkRef(ref v1alpha1.SecretRef) error {
	if ref.Namespaced && ref.Name == "" {
		return errors.New("secret name is required for namespaced credentials")
	}
	return nil
}

// credentials are what a request needs.
type credentials struct{ address, api, app string }

// credentials looks, in this order, at the Secret that the metric names, the environment,
// and the Secret "datadog" of the controller (analysis-traffic.md §4.2).
func (p *provider) credentials(ctx context.Context, namespace string, ref v1alpha1.SecretRef) (credentials, error) {
	if err := checkRef(ref); err != nil {
		return credentials{}, err
	}
	switch {
	case ref.Namespaced:
		return p.fromSecret(ctx, namespace, ref.Name)
	case ref.Name != "":
		return p.fromSecret(ctx, "", ref.Name)
	}
	env := func(name string) string { return strings.TrimSpace(p.options.Env(name)) }
	c := credentials{address: env("DD_ADDRESS"), api: env("DD_API_KEY"), app: env("DD_APP_KEY")}
	if c.address != "" && c.api != "" && c.app != "" {
		return c, nil
	}
	c, err := p.fromSecret(ctx, "", "datadog")
	if errors.Is(err, metric.ErrNoSecret) {
		return c, errNoCredentials
	}
	return c, err
}

func (p *provider) fromSecret(ctx context.Context, namespace, name string) (credentials, error) {
	if p.options.Secrets == nil {
		return credentials{}, errNoCredentials
	}
	data, err := p.options.Secrets(ctx, namespace, name)
	if err != nil {
		return credentials{}, fmt.Errorf("read the credentials of datadog: %w", err)
	}
	// A line end is what most tools leave behind a key, and no key holds one.
	entry := func(key string) string { return strings.TrimSpace(string(data[key])) }
	c := credentials{address: cmp.Or(entry("address"), defaultAddress), api: entry("api-key"), app: entry("app-key")}
	if c.api == "" || c.app == "" {
		return c, fmt.Errorf("%w: secret %s needs api-key and app-key", errNoCredentials, name)
	}
	return c, nil
}

// at is a path below the address. The error does not show the address: its user part may
// be a secret.
func (c credentials) at(path string) (string, error) {
	u, err := url.Parse(c.address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", errors.New("the address of datadog is no http or https URL")
	}
	u.RawQuery, u.Fragment = "", ""
	return u.JoinPath(path).String(), nil
}
