package app

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/kube"
	"github.com/penstock-io/penstock/internal/metric/cloudwatch"
	"github.com/penstock-io/penstock/internal/metric/datadog"
	"github.com/penstock-io/penstock/internal/metric/graphite"
	"github.com/penstock-io/penstock/internal/metric/influxdb"
	"github.com/penstock-io/penstock/internal/metric/job"
	"github.com/penstock-io/penstock/internal/metric/kayenta"
	"github.com/penstock-io/penstock/internal/metric/newrelic"
	"github.com/penstock-io/penstock/internal/metric/plugin"
	"github.com/penstock-io/penstock/internal/metric/prometheus"
	"github.com/penstock-io/penstock/internal/metric/skywalking"
	"github.com/penstock-io/penstock/internal/metric/wavefront"
	"github.com/penstock-io/penstock/internal/metric/web"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/alb"
	"github.com/penstock-io/penstock/internal/traffic/ambassador"
	"github.com/penstock-io/penstock/internal/traffic/apisix"
	"github.com/penstock-io/penstock/internal/traffic/appmesh"
	"github.com/penstock-io/penstock/internal/traffic/gatewayapi"
	"github.com/penstock-io/penstock/internal/traffic/istio"
	"github.com/penstock-io/penstock/internal/traffic/nginx"
	"github.com/penstock-io/penstock/internal/traffic/smi"
	"github.com/penstock-io/penstock/internal/traffic/traefik"
)

// RouterOptions are what the process says about routers.
type RouterOptions struct {
	// IstioAPIVersion is the version of networking.istio.io.
	IstioAPIVersion string
	// AppMeshVersion is that of appmesh.k8s.aws.
	AppMeshVersion string
	// AmbassadorAPIVersion is group and version of Mapping.
	AmbassadorAPIVersion string
	// TraefikGroup and TraefikVersion are those of TraefikService.
	TraefikGroup, TraefikVersion string
	// SMIVersion is that of TrafficSplit.
	SMIVersion string
	// ALBClasses are the Ingress classes of AWS load balancers.
	ALBClasses []string
	// ALBVerifier makes AWS load balancers confirm their weights; nil means a settle time.
	ALBVerifier *alb.Verifier
	// Settle is how long a data plane that does not report may lag behind; 0 means each
	// router's own default.
	Settle time.Duration
}

// Routers is the table of traffic providers; all that a Rollout asks for are used,
// in this order.
func Routers(reader client.Reader, writer client.Client, o RouterOptions) []kube.Routing {
	is := istio.Options{APIVersion: o.IstioAPIVersion, Settle: o.Settle}
	gw := gatewayapi.Options{Settle: o.Settle}
	lb := alb.Options{Settle: o.Settle, Classes: o.ALBClasses, Verifier: o.ALBVerifier}
	am := ambassador.Options{APIVersion: o.AmbassadorAPIVersion, Settle: o.Settle}
	me := appmesh.Options{Version: o.AppMeshVersion, Settle: o.Settle}
	if writer != nil {
		gw.Mapper = writer.RESTMapper()
	}
	ax := apisix.Options{Settle: o.Settle}
	ng := nginx.Options{Settle: o.Settle}
	sm := smi.Options{Version: o.SMIVersion, Settle: o.Settle}
	tk := traefik.Options{Group: o.TraefikGroup, Version: o.TraefikVersion, Settle: o.Settle}
	return []kube.Routing{ // in published order
		{Name: "istio", Uses: istio.Uses, Objects: istio.Objects, Kinds: is.Kinds,
			Router: istio.New(reader, writer, is), Carries: traffic.Everything, Signed: is.Signed(), Release: istio.Release},
		{Name: "nginx", Uses: nginx.Uses, Objects: nginx.Objects, Kinds: ng.Kinds, Router: nginx.New(reader, writer, ng)},
		{Name: "alb", Uses: alb.Uses, Objects: alb.Objects, Kinds: lb.Kinds, Router: alb.New(reader, writer, lb),
			Carries: traffic.Carries{Extras: true, Headers: true}, Signed: lb.Signed(), Owners: lb.Owners, Release: alb.Release, Verifies: lb.Verifier != nil},
		{Name: "smi", Uses: smi.Uses, Objects: sm.Objects, Kinds: sm.Kinds,
			Router: smi.New(reader, writer, sm), Carries: traffic.Carries{Extras: true}},
		{Name: "ambassador", Uses: ambassador.Uses, Objects: am.Objects, Kinds: am.Kinds, Router: ambassador.New(reader, writer, am)},
		{Name: "appmesh", Uses: appmesh.Uses, Objects: me.Objects, Kinds: me.Kinds, Router: appmesh.New(reader, writer, me)},
		{Name: "traefik", Uses: traefik.Uses, Objects: tk.Objects, Kinds: tk.Kinds, Router: traefik.New(reader, writer, tk)},
		{Name: "apisix", Uses: apisix.Uses, Objects: apisix.Objects, Kinds: ax.Kinds,
			Router: apisix.New(reader, writer, ax), Carries: traffic.Carries{Headers: true}},
		{Name: "gatewayapi", Uses: gatewayapi.Uses, Objects: gatewayapi.Objects, Kinds: gw.Kinds,
			Router: gatewayapi.New(reader, writer, gw), Carries: traffic.Everything, Verifies: true},
	}
}

// Providers is the table of metric providers; the first that a metric asks for is used.
func Providers(s Sources) []kube.Measuring {
	return []kube.Measuring{
		{Name: "prometheus", Uses: func(m *v1alpha1.MetricProvider) bool { return m.Prometheus != nil },
			Provider: prometheus.New(prometheus.Options{Address: s.PrometheusAddress, Client: s.Client, AWS: s.AWS})},
		{Name: "web", Uses: func(m *v1alpha1.MetricProvider) bool { return m.Web != nil },
			Provider: web.New(web.Options{Client: s.Client, AWS: s.AWS})},
		{Name: "job", Uses: func(m *v1alpha1.MetricProvider) bool { return m.Job != nil }, Provider: job.New(s.Jobs)},
		{Name: "datadog", Uses: func(m *v1alpha1.MetricProvider) bool { return m.Datadog != nil },
			Provider: datadog.New(datadog.Options{Client: s.Client, Secrets: s.Secrets, Env: s.Env})},
		{Name: "newRelic", Uses: func(m *v1alpha1.MetricProvider) bool { return m.NewRelic != nil },
			Provider: newrelic.New(newrelic.Options{Client: s.Client, Secrets: s.Secrets})},
		{Name: "wavefront", Uses: func(m *v1alpha1.MetricProvider) bool { return m.Wavefront != nil },
			Provider: wavefront.New(wavefront.Options{Client: s.Client, Secrets: s.Secrets})},
		{Name: "kayenta", Uses: func(m *v1alpha1.MetricProvider) bool { return m.Kayenta != nil },
			Provider: kayenta.New(kayenta.Options{Client: s.Client})},
		{Name: "cloudWatch", Uses: func(m *v1alpha1.MetricProvider) bool { return m.CloudWatch != nil },
			Provider: cloudwatch.New(cloudwatch.Options{Client: s.Client, AWS: s.AWS})},
		{Name: "plugin", Uses: func(m *v1alpha1.MetricProvider) bool { return len(m.Plugin) > 0 },
			Provider: plugin.New(plugin.Options{Plugins: s.Plugins})},
		{Name: "influxdb", Uses: func(m *v1alpha1.MetricProvider) bool { return m.Influxdb != nil },
			Provider: influxdb.New(influxdb.Options{Client: s.Client, Secrets: s.Secrets})},
		{Name: "graphite", Uses: func(m *v1alpha1.MetricProvider) bool { return m.Graphite != nil },
			Provider: graphite.New(graphite.Options{Client: s.Client})},
		{Name: "skywalking", Uses: func(m *v1alpha1.MetricProvider) bool { return m.SkyWalking != nil },
			Provider: skywalking.New(skywalking.Options{Client: s.Client})},
	}
}
