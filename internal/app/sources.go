package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/awsauth"
	"github.com/penstock-io/penstock/internal/metric/job"
	"github.com/penstock-io/penstock/internal/metric/outbound"
	"github.com/penstock-io/penstock/internal/metric/plugin"
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
	// AWS finds the credentials to sign requests with; nil means the SDK's default chain.
	AWS *awsauth.Source
	// Plugins runs metric plugins.
	Plugins plugin.Caller
	// Jobs is where the Jobs of job metrics run.
	Jobs job.Options
}

// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;create;delete

// jobs says where Jobs run: beside their run, unless the environment names another
// namespace or cluster (analysis-traffic.md §4.7). Their clients read from the API server.
func jobs(here *rest.Config, web *http.Client, env func(string) string) (o job.Options, err error) {
	o.Namespace = env("ARGO_ROLLOUTS_ANALYSIS_JOB_NAMESPACE")
	if o.Client, err = jobClient(here, web); err != nil {
		return o, err
	}
	var there *rest.Config
	switch path := env("ARGO_ROLLOUTS_ANALYSIS_JOB_KUBECONFIG"); path {
	case "":
		return o, nil
	case "in-cluster":
		there, err = rest.InClusterConfig()
	default:
		there, err = clientcmd.BuildConfigFromFlags("", path)
	}
	if err != nil {
		return o, fmt.Errorf("ARGO_ROLLOUTS_ANALYSIS_JOB_KUBECONFIG: %w", err)
	}
	o.Elsewhere, err = jobClient(there, nil)
	return o, err
}

func jobClient(config *rest.Config, web *http.Client) (client.Client, error) {
	s := runtime.NewScheme()
	if err := errors.Join(batchv1.AddToScheme(s), corev1.AddToScheme(s)); err != nil {
		return nil, fmt.Errorf("build the scheme of Jobs: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: s, HTTPClient: web})
	if err != nil {
		return nil, fmt.Errorf("make the client of Jobs: %w", err)
	}
	return c, nil
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
// (analysis-traffic.md §4.0): outside a cluster where the Lease is.
func ownNamespace(env func(string) string, lease string) string {
	if name := env("POD_NAMESPACE"); name != "" {
		return name
	}
	if data, err := os.ReadFile(namespaceFile); err == nil && len(data) > 0 {
		return string(data)
	}
	return cmp.Or(lease, "argo-rollouts")
}
