package convert

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// family is a well-known way to count requests: a counter, and a histogram of how long they
// took. The names are those that the projects document.
type family struct {
	name, total, buckets string
	// perSecond is how many of the histogram's units a second has.
	perSecond float64
	// services and namespaces are the labels that may hold the name of a Service or of an
	// application, and its namespace; codes those of the status.
	services, namespaces, codes []string
	// routed: the label holds the Service that a request was sent to, which is another one for
	// the new version.
	routed bool
}

var families = []family{
	{"Istio", "istio_requests_total", "istio_request_duration_milliseconds_bucket", 1000,
		[]string{"destination_service_name"}, []string{"destination_service_namespace"}, []string{"response_code"}, true},
	{"ingress-nginx", "nginx_ingress_controller_requests", "nginx_ingress_controller_request_duration_seconds_bucket", 1,
		[]string{"exported_service", "service"}, []string{"exported_namespace", "namespace"}, []string{"status"}, true},
	{"OpenTelemetry", "http_server_request_duration_seconds_count", "http_server_request_duration_seconds_bucket", 1,
		[]string{"service_name", "service", "app", "job"}, []string{"service_namespace", "namespace"}, []string{"http_response_status_code"}, false},
	{"http", "http_requests_total", "http_request_duration_seconds_bucket", 1,
		[]string{"service", "app", "application", "job"}, []string{"namespace", "kubernetes_namespace"}, []string{"code", "status", "status_code"}, false},
}

// Metrics are the counters and histograms that Judge knows.
func Metrics() (names []string) {
	for _, f := range families {
		names = append(names, f.total, f.buckets)
	}
	return names
}

// Series are the label sets that a Prometheus has, by metric.
type Series map[string][]map[string]string

// Judge makes an AnalysisTemplate of the request metrics that a Prometheus has about what the
// input is about: the share of requests without a server error, and how long 95 % of them
// take at most. The note says what was found; without anything the template is nil.
func Judge(in Input, address string, found Series) (t *v1alpha1.AnalysisTemplate, note string) {
	m := &making{Input: in}
	service, canary := in.Deployment.Name, in.Deployment.Name
	if s := m.service(); s != nil {
		service, canary = s.Name, s.Name
		if cmp.Or(in.Strategy, Canary) == Canary && m.route(s.Name) != nil {
			canary = s.Name + "-canary"
		}
	}
	for _, f := range families {
		for _, labels := range found[f.total] {
			own := label(labels, f.services, service, in.Deployment.Name)
			code := label(labels, f.codes)
			if own == "" || code == "" {
				continue
			}
			value := labels[own]
			if f.routed && value == service {
				value = canary
			}
			space := label(labels, f.namespaces, in.Deployment.Namespace)
			if space == "" && label(labels, f.namespaces) != "" && in.Deployment.Namespace != "" {
				continue // it is about another namespace
			}
			t = f.template(in, address, own, code, space)
			t.Spec.Args = []v1alpha1.Argument{{Name: "service", Value: &value}}
			note = fmt.Sprintf("AnalysisTemplate %s asks for metrics of %s with %s=%q.", t.Name, f.name, own, value)
			if len(found[f.buckets]) > 0 {
				t.Spec.Metrics = append(t.Spec.Metrics, f.latency(in, address, own, space))
			} else {
				note += fmt.Sprintf(" There is no %s, so nothing watches how long requests take.", f.buckets)
			}
			if value != canary || canary == service {
				note += " They count both versions together: a few bad requests of the new one hide among those of the old."
			}
			return t, note + " Look at the bounds: 95 % without a server error, and 95 % within 0.5 s."
		}
	}
	return nil, fmt.Sprintf("the Prometheus at %s has none of the well-known request metrics about %s: write an AnalysisTemplate for those that it has.", address, service)
}

// label is the first of the names that a set has, with one of the values if there are any.
func label(set map[string]string, names []string, values ...string) string {
	for _, n := range names {
		if v, has := set[n]; has && (len(values) == 0 || slices.Contains(values, v)) {
			return n
		}
	}
	return ""
}

// selector of the series about the service, and what else must hold.
func selector(own, space, namespace string, more string) string {
	text := own + `="{{args.service}}"`
	if space != "" {
		text += fmt.Sprintf(",%s=%q", space, namespace)
	}
	return "{" + text + more + "}"
}

func (f family) template(in Input, address, own, code, space string) *v1alpha1.AnalysisTemplate {
	t := &v1alpha1.AnalysisTemplate{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AnalysisTemplate"},
		ObjectMeta: metav1.ObjectMeta{Namespace: in.Deployment.Namespace, Name: in.Deployment.Name + "-requests", Labels: maps.Clone(in.Deployment.Labels)}}
	all := selector(own, space, in.Deployment.Namespace, "")
	good := selector(own, space, in.Deployment.Namespace, ","+code+`!~"5.."`)
	t.Spec.Metrics = []v1alpha1.Metric{metric("success-rate", address, "result[0] >= 0.95",
		fmt.Sprintf("sum(rate(%s%s[2m])) / sum(rate(%[1]s%[3]s[2m]))", f.total, good, all))}
	return t
}

func (f family) latency(in Input, address, own, space string) v1alpha1.Metric {
	return metric("latency", address, fmt.Sprintf("result[0] <= %v", f.perSecond/2),
		fmt.Sprintf("histogram_quantile(0.95, sum by (le) (rate(%s%s[2m])))", f.buckets, selector(own, space, in.Deployment.Namespace, "")))
}

// metric is measured once a minute; two bad measurements are let pass, and five that say
// nothing, such as those without data.
func metric(name, address, condition, query string) v1alpha1.Metric {
	return v1alpha1.Metric{Name: name, Interval: "1m", InitialDelay: "1m", SuccessCondition: condition,
		FailureLimit: new(intstr.FromInt32(2)), InconclusiveLimit: new(intstr.FromInt32(5)),
		Provider: v1alpha1.MetricProvider{Prometheus: &v1alpha1.PrometheusMetric{Address: address, Query: query}}}
}
