package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/internal/lint"
)

const aDeploymentText = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "web:1", securityContext: {}, volumeMounts: [{name: tmp, mountPath: /tmp}]}]
      volumes: [{name: tmp, emptyDir: {}}]
`

const aServiceText = `---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`

const anIngressText = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: edge}
spec:
  ingressClassName: nginx
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
`

func TestConvertedFilesAreWholeManifests(t *testing.T) {
	dir := files(t, map[string]string{"all.yaml": aDeploymentText + aServiceText + anIngressText, "web.yaml": aDeploymentText, "service.yaml": aServiceText})
	for name, args := range map[string]string{
		"convert":           "-f DIR/all.yaml",
		"convert-bluegreen": "-f DIR/web.yaml -f DIR/service.yaml --strategy bluegreen",
		"convert-reference": "-f - --workload-ref",
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			got := s.callWith(t.Context(), Options{In: strings.NewReader(aDeploymentText)}, append([]string{"convert", "deployment", "web"}, strings.Fields(strings.ReplaceAll(args, "DIR", dir))...)...)
			if got.code != 0 || len(s.reads) > 0 || !strings.HasPrefix(got.err, "Note: ") || strings.Contains(got.err, "kubectl penstock") {
				t.Fatalf("%+v after %v", got, s.reads)
			}
			golden(t, name, got.out)
			found, err := lint.Check([]lint.Source{{Name: "out", Data: []byte(got.out + aServiceText)}})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Severity == lint.Error {
					t.Errorf("%s: %s", f.Path, f.Message)
				}
			}
		})
	}
}

func TestALiveDeploymentIsConverted(t *testing.T) {
	svc := &corev1.Service{}
	svc.Name, svc.Namespace = "web", "shop"
	svc.Spec.Selector, svc.Spec.Ports = map[string]string{"app": "web"}, []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}
	d := givenDeployment()
	d.Spec.Template.Labels = map[string]string{"app": "web"}
	s := newServer(t, d, svc)
	s.deny["GET /apis/networking.k8s.io/v1/namespaces/shop/ingresses"] = http.StatusForbidden
	got := s.call(t.Context(), "convert", "deployment", "web", "--strategy", "bluegreen")
	if got.code != 0 || !strings.Contains(got.out, "activeService: web\n") || !strings.Contains(got.err, "Warning: objects of kind Ingress are left out") || len(s.seen) > 0 {
		t.Errorf("%+v", got)
	}
	if strings.Contains(got.out, "status") || strings.Contains(got.out, "creationTimestamp") || strings.Contains(got.out, "resourceVersion") {
		t.Errorf("it prints what a server adds:\n%s", got.out)
	}
}

func TestWhatCannotBeConvertedIsSaid(t *testing.T) {
	t.Chdir(files(t, map[string]string{"web.yaml": aDeploymentText, "typo.yaml": strings.Replace(aDeploymentText, "replicas", "replica", 1), "bad.yaml": "a: ["}))
	for args, want := range map[string]string{
		"web":                                  `deployment.apps "web" not found`,
		"api -f web.yaml":                      `there is no Deployment "api" in web.yaml`,
		"web -f bad.yaml":                      "bad.yaml: ",
		"web -f typo.yaml":                     `typo.yaml: strict decoding error: unknown field "spec.replica"`,
		"web -f web.yaml --strategy rolling":   `--strategy: want canary or bluegreen, got "rolling"`,
		"web -f web.yaml --strategy bluegreen": "blue-green switches a Service, and none of those given selects the pods",
	} {
		got := newServer(t).call(t.Context(), append([]string{"convert", "deployment"}, strings.Fields(args)...)...)
		if got.code != 1 || got.out != "" || !strings.HasPrefix(got.err, "Error: "+want) {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestAPrometheusIsAskedWhatItHas(t *testing.T) {
	var asked []string
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.FormValue("match[]")
		asked = append(asked, name)
		if name != "http_requests_total" {
			fmt.Fprint(w, `{"status":"success","data":[]}`)
			return
		}
		fmt.Fprint(w, `{"status":"success","data":[{"__name__":"http_requests_total","app":"web","code":"200"}]}`)
	}))
	defer prometheus.Close()
	text := strings.NewReader(aDeploymentText)
	got := newServer(t).callWith(t.Context(), Options{In: text}, "convert", "deployment", "web", "-f", "-", "--prometheus", prometheus.URL)
	for _, want := range []string{"kind: AnalysisTemplate\n", `sum(rate(http_requests_total{app="{{args.service}}",code!~"5.."}[2m]))`, "address: " + prometheus.URL, "templateName: web-requests\n"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is missing in\n%s", want, got.out)
		}
	}
	if got.code != 0 || !strings.Contains(got.err, "Note: AnalysisTemplate web-requests asks for metrics of http") || len(asked) != 8 {
		t.Errorf("%+v after %v", got, asked)
	}
	prometheus.Close()
	for address, want := range map[string]string{"prometheus:9090": `Error: --prometheus: want an address such as http://`, prometheus.URL: "Error: ask the Prometheus at " + prometheus.URL + " for series of istio_requests_total: "} {
		got := newServer(t).callWith(t.Context(), Options{In: strings.NewReader(aDeploymentText)}, "convert", "deployment", "web", "-f", "-", "--prometheus", address)
		if got.code != 1 || got.out != "" || !strings.HasPrefix(got.err, want) {
			t.Errorf("%s: %+v", address, got)
		}
	}
}
