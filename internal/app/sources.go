package app

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	"k8s.io/client-go/rest"

	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

// Sources is what metric providers need to reach theirs.
type Sources struct {
	// Client makes the requests.
	Client *outbound.Client
	// Secrets reads credentials when they are needed.
	Secrets metric.SecretReader
	// PrometheusAddress is for metrics that name none.
	PrometheusAddress string
	// Env reads the controller's environment.
	Env func(string) string
}

// lookupLimit bounds the search for the API server's addresses at the start.
const lookupLimit = 5 * time.Second

// guard keeps metrics away from link-local networks and from the API server, by each
// address that the controller knows of it.
func guard(config *rest.Config, allow []netip.Prefix, env func(string) string) *outbound.Guard {
	g := &outbound.Guard{Allow: allow}
	ctx, cancel := context.WithTimeout(context.Background(), lookupLimit)
	defer cancel()
	add := func(host, port string) {
		number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
		if host == "" || err != nil {
			return
		}
		// A name that cannot be resolved now is none that a metric could resolve.
		ips, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host) //nolint:errcheck // see above
		for _, ip := range ips {
			g.APIServer = append(g.APIServer, netip.AddrPortFrom(ip.Unmap().WithZone(""), uint16(number)))
		}
	}
	if u, _, err := rest.DefaultServerUrlFor(config); err == nil {
		add(u.Hostname(), portOf(u))
	}
	add(env("KUBERNETES_SERVICE_HOST"), cmp.Or(env("KUBERNETES_SERVICE_PORT"), "443"))
	return g
}

func portOf(u *url.URL) string {
	if u.Scheme == "http" {
		return cmp.Or(u.Port(), "80")
	}
	return cmp.Or(u.Port(), "443")
}

// namespaceFile is where a pod finds its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// ownNamespace is where credentials of providers are, unless a metric says otherwise
// (analysis-traffic.md §4.0).
func ownNamespace(env func(string) string) string {
	if name := env("POD_NAMESPACE"); name != "" {
		return name
	}
	if data, err := os.ReadFile(namespaceFile); err == nil && len(data) > 0 {
		return string(data)
	}
	return "argo-rollouts"
}
