package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/mesh"
)

// routed measures a release behind Istio's VirtualServices that web metrics judge.
func (b *sandbox) routed(ctx context.Context, w release, all []candidate, o Options, last bool) error {
	if err := mesh.InstallCRDs(ctx, b.config); err != nil {
		return err
	}
	s, err := startVerdicts()
	if err != nil {
		return err
	}
	defer s.stop()
	if w.bad {
		s.turnBad()
	}
	w.make = func(namespace, name string, replicas int32) []client.Object {
		twenty, sixty := int32(20), int32(60)
		count := intstr.FromInt32(3)
		verdict := s.template(namespace, name)
		verdict.Spec.Metrics[0].Count = &count
		return append(behindIstio(namespace, name), verdict, steps(namespace, name, replicas,
			v1alpha1.CanaryStep{SetWeight: &twenty}, v1alpha1.CanaryStep{Analysis: &v1alpha1.RolloutAnalysis{
				Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: name}}}}, v1alpha1.CanaryStep{SetWeight: &sixty}))
	}
	return b.releases(ctx, w, all, o, last)
}

// steps is a canary behind a VirtualService.
func steps(namespace, name string, replicas int32, list ...v1alpha1.CanaryStep) *v1alpha1.Rollout {
	ro := basic(namespace, name, replicas)
	canary := ro.Spec.Strategy.Canary
	canary.Steps, canary.StableService, canary.CanaryService = list, name, name+"-canary"
	canary.TrafficRouting = &v1alpha1.RolloutTrafficRouting{Istio: &v1alpha1.IstioTrafficRouting{
		VirtualService: &v1alpha1.IstioVirtualService{Name: name}}}
	return ro
}

// virtualService is the kind of the routes.
const virtualServiceVersion, virtualServiceKind = "networking.istio.io/v1", "VirtualService"

// behindIstio are the two Services of a Rollout and its VirtualService.
func behindIstio(namespace, name string) []client.Object {
	service := func(n string) client.Object {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: n},
			Spec: corev1.ServiceSpec{Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Port: 80}}}}
	}
	to := func(host string, weight int64) any {
		return map[string]any{"destination": map[string]any{"host": host}, "weight": weight}
	}
	return []client.Object{service(name), service(name + "-canary"), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": virtualServiceVersion, "kind": virtualServiceKind,
		"metadata": map[string]any{"namespace": namespace, "name": name},
		"spec": map[string]any{"hosts": []any{name}, "http": []any{map[string]any{
			"name": "primary", "route": []any{to(name, 100), to(name+"-canary", 0)}}}},
	}}}
}

// verdicts is a source of web metrics: it says of every app whether it is well.
type verdicts struct {
	address string
	server  *http.Server

	mu  sync.Mutex
	bad bool
	// first is when it first said that an app is not.
	first map[string]time.Time
}

func startVerdicts() (*verdicts, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a source of verdicts: %w", err)
	}
	s := &verdicts{address: l.Addr().String(), first: map[string]time.Time{}}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go s.server.Serve(l) //nolint:errcheck // it ends with Close
	return s, nil
}

func (s *verdicts) stop() { s.server.Close() } //nolint:errcheck // nobody listens any more

// ServeHTTP implements http.Handler.
func (s *verdicts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	app := r.FormValue("app")
	s.mu.Lock()
	bad := s.bad
	if _, said := s.first[app]; bad && !said {
		s.first[app] = time.Now()
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"well": %v}`, !bad)
}

func (s *verdicts) turnBad() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = true
}

// turnGood makes it forget what it has said.
func (s *verdicts) turnGood() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = false
	clear(s.first)
}

// told is when it first spoke against an app.
func (s *verdicts) told(app string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first[app]
}

// template asks about one app every second.
func (s *verdicts) template(namespace, name string) *v1alpha1.AnalysisTemplate {
	return &v1alpha1.AnalysisTemplate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.AnalysisTemplateSpec{Metrics: []v1alpha1.Metric{{
			Name: "well", Interval: "1s", SuccessCondition: "result == true",
			Provider: v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{URL: "http://" + s.address + "/?app=" + name, JSONPath: "{$.well}"}},
		}}},
	}
}
