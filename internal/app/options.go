package app

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/kube"
	"github.com/penstock-io/penstock/internal/metric/awsauth"
	"github.com/penstock-io/penstock/internal/step"
	"github.com/penstock-io/penstock/internal/traffic/alb"
)

// Options say how a controller runs. Only RESTConfig is needed; what else is zero takes
// the published default (surfaces.md §4.1).
type Options struct {
	// RESTConfig leads to the cluster. It is copied.
	RESTConfig *rest.Config
	// QPS and Burst limit requests to the API server. By default there is no limit here:
	// the API server's own rules of fairness know better what it can bear.
	QPS   float32
	Burst int
	// Namespace limits the controller to one; "" means all.
	Namespace string
	// InstanceID limits the controller to objects that carry it; "" to those without any.
	InstanceID string

	// LeaderElection makes replicas take turns, with a Lease in LeaseNamespace; ""
	// means the namespace that the process runs in.
	LeaderElection bool
	LeaseNamespace string
	// LeaseDuration, RenewDeadline and RetryPeriod are 15 s, 10 s and 2 s.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration

	// MetricsAddress serves /metrics, HealthAddress /healthz and /readyz; ":8090" and
	// ":8080". "0" turns one off. PprofAddress serves /debug/pprof; "" turns it off.
	MetricsAddress, HealthAddress, PprofAddress string

	// RolloutWorkers, ExperimentWorkers, AnalysisWorkers and ServiceWorkers are passes at a
	// time: 10, 10, 30 and 10. MeasureWorkers are measurements of each source at a time: 30.
	RolloutWorkers, ExperimentWorkers, AnalysisWorkers, ServiceWorkers, MeasureWorkers int
	// MeasureTimeout bounds one measurement; 2 min.
	MeasureTimeout time.Duration
	// Resync is the longest time between two passes of one object; 15 min.
	Resync time.Duration

	// IstioAPIVersion is the version of networking.istio.io; v1alpha3.
	IstioAPIVersion string
	// AppMeshVersion is that of appmesh.k8s.aws; v1beta2.
	AppMeshVersion string
	// AmbassadorAPIVersion is group and version of Mapping; getambassador.io/v2.
	AmbassadorAPIVersion string
	// TraefikGroup and TraefikVersion are those of TraefikService; traefik.io and v1alpha1.
	TraefikGroup, TraefikVersion string
	// SMIVersion is that of TrafficSplit; v1alpha1.
	SMIVersion string
	// ALBClasses are the Ingress classes of AWS load balancers, whose Ingresses are cleaned up
	// after Rollouts that are gone; alb.
	ALBClasses []string
	// VerifyTargetGroups makes load balancers of AWS confirm what they serve. ALBTag is the key
	// of the tag that names a target group's Service; ingress.k8s.aws/resource. VerifyInterval
	// is the time between two tries; 10 s.
	VerifyTargetGroups bool
	ALBTag             string
	VerifyInterval     time.Duration
	// BindingVersion is that of TargetGroupBinding; elbv2.k8s.aws/v1beta1.
	BindingVersion string
	// PrometheusAddress is for metrics that name none.
	PrometheusAddress string
	// MetricNetworks may be asked by metrics although they are link-local or the API
	// server's.
	MetricNetworks []netip.Prefix
	// Settle is how long a data plane that does not report may lag; 0 means each
	// router's default.
	Settle time.Duration

	// Routers and Providers replace the tables; nil takes those of this package.
	Routers   func(reader client.Reader, writer client.Client) []kube.Routing
	Providers func(Sources) []kube.Measuring
	// StepPlugins carry out steps; by default they are the programs that the ConfigMap names.
	// PluginWorkers are calls of them at a time: 10.
	StepPlugins   step.Plugin
	PluginWorkers int
	// OnMeasurement is told of every measurement when it arrives; may be nil.
	OnMeasurement func(run, metric string, phase v1alpha1.AnalysisPhase, at time.Time)

	// DataDir keeps what should outlive the process, if it can: which notifications were sent.
	// "" keeps nothing.
	DataDir string
	// SelfServiceNotifications reads configurations of notifications in every namespace too.
	SelfServiceNotifications bool

	// Logger gets one line for each pass that did something; the zero Logger is silent.
	Logger logr.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// aws finds the credentials of AWS, verifier asks it; nil without VerifyTargetGroups.
	aws      *awsauth.Source
	verifier *alb.Verifier
}

const (
	leaseName     = "argo-rollouts-controller-lock"
	shutdownGrace = 30 * time.Second
)

func (o Options) withDefaults() Options {
	o.QPS, o.Burst = cmp.Or(o.QPS, -1), cmp.Or(o.Burst, 80)
	o.LeaseDuration = cmp.Or(o.LeaseDuration, 15*time.Second)
	o.RenewDeadline = cmp.Or(o.RenewDeadline, 10*time.Second)
	o.RetryPeriod = cmp.Or(o.RetryPeriod, 2*time.Second)
	o.MetricsAddress, o.HealthAddress = cmp.Or(o.MetricsAddress, ":8090"), cmp.Or(o.HealthAddress, ":8080")
	o.RolloutWorkers, o.AnalysisWorkers = cmp.Or(o.RolloutWorkers, 10), cmp.Or(o.AnalysisWorkers, 30)
	o.ExperimentWorkers = cmp.Or(o.ExperimentWorkers, 10)
	o.ServiceWorkers, o.MeasureWorkers = cmp.Or(o.ServiceWorkers, 10), cmp.Or(o.MeasureWorkers, 30)
	o.PluginWorkers = cmp.Or(o.PluginWorkers, 10)
	o.MeasureTimeout = cmp.Or(o.MeasureTimeout, 2*time.Minute)
	o.Resync = cmp.Or(o.Resync, 15*time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Providers == nil {
		o.Providers = Providers
	}
	o.aws = awsauth.New(nil)
	if o.VerifyTargetGroups {
		o.verifier = alb.NewVerifier(alb.VerifierOptions{Config: o.login, Tag: o.ALBTag, Interval: o.VerifyInterval})
	}
	if o.Routers == nil {
		says := RouterOptions{IstioAPIVersion: o.IstioAPIVersion, AmbassadorAPIVersion: o.AmbassadorAPIVersion, AppMeshVersion: o.AppMeshVersion,
			TraefikGroup: o.TraefikGroup, TraefikVersion: o.TraefikVersion, SMIVersion: o.SMIVersion, ALBClasses: o.ALBClasses, ALBVerifier: o.verifier, Settle: o.Settle}
		o.Routers = func(r client.Reader, w client.Client) []kube.Routing { return Routers(r, w, says) }
	}
	return o
}

// login is the way to AWS of the controller itself.
func (o Options) login(ctx context.Context) (aws.Config, error) {
	found, _, err := o.aws.Login(ctx, v1alpha1.Sigv4Config{})
	return found, err
}

// lease is the published name of the Lease (surfaces.md §4.2).
func (o Options) lease() string {
	if o.InstanceID == "" {
		return leaseName
	}
	return leaseName + "-" + o.InstanceID
}
