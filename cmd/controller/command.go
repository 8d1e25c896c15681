package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/penstock-io/penstock/internal/app"
)

// flags are the command line before it becomes Options.
type flags struct {
	rules                     *clientcmd.ClientConfigLoadingRules
	overrides                 clientcmd.ConfigOverrides
	options                   app.Options
	namespaced, version       bool
	resync                    int
	metricsPort, healthzPort  int
	logLevel, logFormat       string
	klogLevel                 int
	qps                       float32
	without                   *pflag.FlagSet // published flags that mean nothing here
	controllers, networks     []string
	rolloutSettle, runTimeout time.Duration
	traefikVersion            string
}

func newCommand(out io.Writer) *cobra.Command {
	f := &flags{rules: clientcmd.NewDefaultClientConfigLoadingRules(), without: pflag.NewFlagSet("", pflag.ContinueOnError)}
	c := &cobra.Command{
		Use: "controller", Short: "Run the Penstock controller", Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c, out) },
	}
	// Not cli-runtime's flags, although they are the same: with its library the program
	// is a third larger, and that third stays in memory.
	c.Flags().StringVar(&f.rules.ExplicitPath, clientcmd.RecommendedConfigPathFlag, "", "kubeconfig file of the cluster")
	clientcmd.BindOverrideFlags(&f.overrides, c.Flags(), clientcmd.RecommendedConfigOverrideFlags(""))
	f.add(c.Flags())
	f.addUnused(c.Flags())
	return c
}

func (f *flags) add(s *pflag.FlagSet) {
	o := &f.options
	s.BoolVar(&f.namespaced, "namespaced", false, "watch only the namespace of --namespace or of the kubeconfig")
	s.StringVar(&o.InstanceID, "instance-id", "", "handle only objects whose instance id label has this value")
	s.IntVar(&f.resync, "rollout-resync", 900, "longest time between two looks at an object, in seconds")
	s.IntVar(&o.RolloutWorkers, "rollout-threads", 10, "Rollouts handled at a time")
	s.IntVar(&o.ExperimentWorkers, "experiment-threads", 10, "Experiments handled at a time")
	s.IntVar(&o.AnalysisWorkers, "analysis-threads", 30, "AnalysisRuns handled at a time, and measurements taken of each source at a time")
	s.IntVar(&o.ServiceWorkers, "service-threads", 10, "Services handled at a time")
	s.Float32Var(&f.qps, "qps", 0, "requests to the API server per second; 0 leaves the limit to the API server")
	s.IntVar(&o.Burst, "burst", 80, "requests to the API server in a burst, where --qps sets a limit")
	s.BoolVar(&o.LeaderElection, "leader-elect", true, "take turns with other replicas")
	s.StringVar(&o.LeaseNamespace, "leader-election-namespace", os.Getenv("POD_NAMESPACE"), "namespace of the Lease; empty means the pod's own, and outside of a cluster that of the kubeconfig")
	s.DurationVar(&o.LeaseDuration, "leader-election-lease-duration", 15*time.Second, "how long a silent leader keeps the lease")
	s.DurationVar(&o.RenewDeadline, "leader-election-renew-deadline", 10*time.Second, "how long the leader tries to renew the lease")
	s.DurationVar(&o.RetryPeriod, "leader-election-retry-period", 2*time.Second, "time between two tries for the lease")
	s.IntVar(&f.metricsPort, "metricsPort", 8090, "port of /metrics; 0 turns it off")
	s.IntVar(&f.metricsPort, "metricsport", 8090, "the same, in its former spelling")
	s.IntVar(&f.healthzPort, "healthzPort", 8080, "port of /healthz and /readyz; 0 turns it off")
	s.StringVar(&o.PprofAddress, "enable-pprof-address", "", "address of /debug/pprof; empty turns it off")
	s.StringVar(&f.logLevel, "loglevel", "info", "debug, info, warn or error")
	s.StringVar(&f.logFormat, "logformat", "text", "text or json")
	s.IntVar(&f.klogLevel, "kloglevel", 0, "verbosity of the Kubernetes client")
	s.StringVar(&o.IstioAPIVersion, "istio-api-version", "v1alpha3", "version of networking.istio.io")
	s.StringVar(&o.SMIVersion, "traffic-split-api-version", "v1alpha1", "version of TrafficSplit: v1alpha1, v1alpha2 or v1alpha3")
	s.StringArrayVar(&o.ALBClasses, "alb-ingress-classes", []string{"alb"}, "Ingress classes of AWS load balancers, whose Ingresses are cleaned up after Rollouts that are gone")
	s.BoolVar(&o.VerifyTargetGroups, "aws-verify-target-group", false, "ask AWS whether its load balancers serve what was written, and go on only then")
	s.BoolVar(&o.VerifyTargetGroups, "alb-verify-weight", false, "the same, in its former name")
	s.StringVar(&o.BindingVersion, "aws-target-group-binding-api-version", "elbv2.k8s.aws/v1beta1", "group and version of TargetGroupBinding")
	s.StringVar(&o.ALBTag, "alb-tag-key-resource-id", "ingress.k8s.aws/resource", "key of the tag that names the Service of a target group")
	s.StringVar(&o.AmbassadorAPIVersion, "ambassador-api-version", "getambassador.io/v2", "group and version of Mapping")
	s.StringVar(&o.AppMeshVersion, "appmesh-crd-version", "v1beta2", "version of appmesh.k8s.aws")
	s.StringVar(&o.TraefikGroup, "traefik-api-group", "traefik.io", "group of TraefikService")
	s.StringVar(&f.traefikVersion, "traefik-api-version", "traefik.io/v1alpha1", "version of TraefikService, with or without its group")
	s.DurationVar(&f.rolloutSettle, "settle", 0, "how long proxies that do not report may lag behind a route change; 0 means each router's default")
	s.StringSliceVar(&f.networks, "allow-metric-network", nil,
		"networks (10.0.0.0/8) or addresses that metrics may ask although they are link-local or the API server's")
	s.DurationVar(&f.runTimeout, "measurement-timeout", 2*time.Minute, "longest time of one measurement")
	s.BoolVar(&o.SelfServiceNotifications, "self-service-notification-enabled", false, "let every namespace configure notifications of its own, beside the controller's")
	s.StringVar(&o.DataDir, "data-dir", "", "directory for what should outlive the process; empty keeps nothing")
	s.BoolVar(&f.version, "version", false, "print the version and exit")
}

// addUnused takes the published flags that have nothing to set here, so that existing
// manifests start; using one gives a warning.
func (f *flags) addUnused(s *pflag.FlagSet) {
	for _, name := range []string{
		"ingress-threads", "ephemeral-metadata-threads", "ephemeral-metadata-update-pod-retries",
		"ingress-api-version",
	} {
		f.without.String(name, "", "accepted and ignored")
	}
	f.without.StringArray("nginx-ingress-classes", nil, "accepted and ignored")
	f.without.VisitAll(func(x *pflag.Flag) { x.Hidden = true })
	s.AddFlagSet(f.without)
	s.StringSliceVar(&f.controllers, "controllers", nil, "accepted for compatibility; all controllers always run")
}

func (f *flags) run(c *cobra.Command, out io.Writer) error {
	if f.version {
		_, err := fmt.Fprintln(c.OutOrStdout(), version())
		return err
	}
	logger, err := app.Logging(out, f.logLevel, f.logFormat, f.klogLevel)
	if err != nil {
		return err
	}
	f.without.VisitAll(func(x *pflag.Flag) {
		if x.Changed {
			logger.Info("this flag has no effect", "flag", "--"+x.Name)
		}
	})
	if len(f.controllers) > 0 {
		return errors.New("--controllers: this build always runs all controllers; leave the flag out")
	}
	o, err := f.toOptions(logger)
	if err != nil {
		return err
	}
	a, err := app.New(o)
	if err != nil {
		return err
	}
	logger.Info("the controller starts", "version", version(), "namespace", o.Namespace, "instance", o.InstanceID)
	return a.Run(c.Context())
}

func (f *flags) toOptions(logger logr.Logger) (app.Options, error) {
	o := f.options
	var err error
	if o.MetricNetworks, err = prefixes(f.networks); err != nil {
		return o, err
	}
	cluster := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(f.rules, &f.overrides)
	config, err := cluster.ClientConfig()
	if err != nil {
		return o, fmt.Errorf("find the cluster: %w", err)
	}
	o.RESTConfig, o.Logger, o.QPS = config, logger, f.qps
	o.Resync = time.Duration(f.resync) * time.Second
	o.MetricsAddress, o.HealthAddress = address(f.metricsPort), address(f.healthzPort)
	o.PrometheusAddress = os.Getenv("ARGO_ROLLOUTS_PROMETHEUS_ADDRESS")
	o.VerifyInterval = verifyInterval(os.Getenv(intervalEnv), logger)
	o.MeasureWorkers, o.Settle, o.MeasureTimeout = o.AnalysisWorkers, f.rolloutSettle, f.runTimeout
	o.TraefikVersion = f.traefikVersion[strings.LastIndexByte(f.traefikVersion, '/')+1:]
	namespace, _, err := cluster.Namespace()
	if err != nil {
		return o, fmt.Errorf("find the namespace: %w", err)
	}
	if f.namespaced {
		o.Namespace = namespace
	}
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" { // in a pod the Lease is beside it
		o.LeaseNamespace = cmp.Or(o.LeaseNamespace, namespace)
	}
	return o, nil
}

// intervalEnv is the time between two tries to have a load balancer confirm, in seconds.
const intervalEnv = "ROLLOUT_VERIFY_RETRY_INTERVAL"

// verifyInterval reads it; 0 leaves the default. It has never had an effect in the published
// controller, so what cannot be read stops nobody.
func verifyInterval(text string, logger logr.Logger) time.Duration {
	if text == "" {
		return 0
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 1 || seconds > 24*60*60 {
		logger.Info("this variable is no number of seconds from 1 to 86400, and has no effect", "variable", intervalEnv, "value", text)
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// prefixes reads networks; a single address is a network too.
func prefixes(list []string) (all []netip.Prefix, err error) {
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, wrong := netip.ParseAddr(text)
			if wrong != nil {
				return nil, fmt.Errorf("--allow-metric-network: %q is neither a network such as 10.0.0.0/8 nor an address", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

func address(port int) string {
	if port == 0 {
		return "0"
	}
	return ":" + strconv.Itoa(port)
}

// version is the module version that the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
