package convert_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/internal/convert"
	"github.com/penstock-io/penstock/internal/lint"
)

func TestATemplateFitsTheMetricsThatAreThere(t *testing.T) {
	plain := convert.Input{Deployment: deployment(4), Services: []*corev1.Service{service("orders", "app=orders")}}
	routed := plain
	routed.Routes = []*unstructured.Unstructured{route(t, virtualService)}
	istio := map[string]string{"destination_service_name": "orders", "destination_service_namespace": "shop", "response_code": "200"}
	elsewhere := map[string]string{"destination_service_name": "orders", "destination_service_namespace": "bank", "response_code": "200"}
	for name, c := range map[string]struct {
		in            convert.Input
		found         convert.Series
		queries, note []string
		value         string
	}{
		"a mesh and a route": {routed, convert.Series{"istio_requests_total": {elsewhere, istio}, "istio_request_duration_milliseconds_bucket": {istio}, "http_requests_total": {{"app": "orders", "code": "200"}}},
			[]string{`sum(rate(istio_requests_total{destination_service_name="{{args.service}}",destination_service_namespace="shop",response_code!~"5.."}[2m])) / sum(rate(istio_requests_total{destination_service_name="{{args.service}}",destination_service_namespace="shop"}[2m]))`,
				`histogram_quantile(0.95, sum by (le) (rate(istio_request_duration_milliseconds_bucket{destination_service_name="{{args.service}}",destination_service_namespace="shop"}[2m])))`},
			[]string{`metrics of Istio with destination_service_name="orders-canary"`}, "orders-canary"},
		"a mesh without a route": {plain, convert.Series{"istio_requests_total": {istio}}, []string{"istio_requests_total"},
			[]string{"They count both versions together", "There is no istio_request_duration_milliseconds_bucket"}, "orders"},
		"the application's own": {routed, convert.Series{"http_requests_total": {{"job": "node"}, {"app": "orders", "status": "200", "namespace": "shop"}}, "http_request_duration_seconds_bucket": {{"app": "orders"}}},
			[]string{`sum(rate(http_requests_total{app="{{args.service}}",namespace="shop",status!~"5.."}[2m]))`, "http_request_duration_seconds_bucket"}, []string{"metrics of http", "They count both versions together"}, "orders"},
		"OpenTelemetry": {plain, convert.Series{"http_server_request_duration_seconds_count": {{"service_name": "orders", "http_response_status_code": "200"}}, "http_server_request_duration_seconds_bucket": {{}}},
			[]string{`http_server_request_duration_seconds_count{service_name="{{args.service}}",http_response_status_code!~"5.."}`, "0.95"}, []string{"OpenTelemetry"}, "orders"},
		"another application's": {plain, convert.Series{"http_requests_total": {{"app": "other", "code": "200"}}, "istio_requests_total": {elsewhere}}, nil,
			[]string{"has none of the well-known request metrics about orders"}, ""},
		"no status": {plain, convert.Series{"http_requests_total": {{"app": "orders"}}}, nil, []string{"has none"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			template, note := convert.Judge(c.in, "http://prometheus:9090", c.found)
			for _, n := range c.note {
				if !strings.Contains(note, n) {
					t.Errorf("%q is missing in %q", n, note)
				}
			}
			if template == nil {
				if c.queries != nil {
					t.Fatal(note)
				}
				return
			}
			raw, err := yaml.Marshal(template)
			if err != nil {
				t.Fatal(err)
			}
			for i, q := range c.queries {
				if got := template.Spec.Metrics[i].Provider.Prometheus.Query; !strings.Contains(got, q) {
					t.Errorf("metric %d asks %s", i, got)
				}
			}
			if *template.Spec.Args[0].Value != c.value || template.Name != "orders-requests" {
				t.Errorf("%s", raw)
			}
			found, err := lint.Check([]lint.Source{{Name: "t", Data: raw}})
			if err != nil || len(found) > 0 {
				t.Errorf("%v: %+v", err, found)
			}
			in := c.in
			in.Template = template
			if out, err := convert.Deployment(in); err != nil || strings.Contains(strings.Join(out.Notes, " "), "nothing judges") {
				t.Errorf("%v %v", err, out.Notes)
			}
		})
	}
}
