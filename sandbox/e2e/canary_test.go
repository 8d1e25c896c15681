package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/demo"
	"github.com/penstock-io/penstock/sandbox/mesh"
)

// It is not parallel: it measures, and the example has its host for itself.
func TestTheDemoPromotesTheGoodAndAbortsTheBad(t *testing.T) {
	var told strings.Builder
	result, err := demo.Play(t.Context(), shared, &arrivals, &told, 100)
	if err != nil {
		t.Error(err)
	}
	for _, p := range result.Problems() {
		t.Error(p)
	}
	if want := "Rollout aborted update to revision 3"; !strings.HasPrefix(result.Bad.Reason, want) {
		t.Errorf("reason %q, want %q …", result.Bad.Reason, want)
	}
	if result.Bad.FailedRequests*100 > result.Bad.Requests {
		t.Errorf("%d of %d requests failed, though only 5 %% of 5 %% should", result.Bad.FailedRequests, result.Bad.Requests)
	}
	t.Logf("\n%s%+v", told.String(), result)
}

const istioRoute = `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [%s.example]
  http:
  - name: primary
    route:
    - {destination: {host: web-stable}, weight: 100}
    - {destination: {host: web-canary}, weight: 0}
`

const istioStrategy = `
    canary:
      stableService: web-stable
      canaryService: web-canary
      trafficRouting: {istio: {virtualService: {name: web, routes: [primary]}}}
      steps: [{setWeight: 20}, {pause: {}}]
`

// weights of the first route of the VirtualService web.
func weights(t *testing.T, ns string) string {
	t.Helper()
	vs := object("networking.istio.io", "v1", "VirtualService")
	if err := shared.Client().Get(t.Context(), types.NamespacedName{Namespace: ns, Name: "web"}, vs); err != nil {
		t.Fatal(err)
	}
	return routeWeights(t, vs, "http", "route")
}

func routeWeights(t *testing.T, u *unstructured.Unstructured, rules, targets string) string {
	t.Helper()
	list, _, err := unstructured.NestedSlice(u.Object, "spec", rules)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range list[0].(map[string]any)[targets].([]any) {
		all = append(all, fmt.Sprint(d.(map[string]any)["weight"]))
	}
	return strings.Join(all, " ")
}

// Covers: outage 18.
func TestWeightsChangedByHandAreRepairedAtOnce(t *testing.T) {
	t.Parallel()
	ns := space(t)
	apply(t, ns, web(istioStrategy)+services+fmt.Sprintf(istioRoute, ns))
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	setImage(t, ns, "web", "penstock/demo:v2")
	await(t, ns, "web", 30*time.Second, atStep(1))
	if got := weights(t, ns); got != "80 20" {
		t.Fatalf("at the pause the weights are %s, want 80 20", got)
	}
	body := `[{"op":"replace","path":"/spec/http/0/route/0/weight","value":50},{"op":"replace","path":"/spec/http/0/route/1/weight","value":50}]`
	vs := object("networking.istio.io", "v1", "VirtualService")
	vs.SetNamespace(ns)
	vs.SetName("web")
	began := time.Now()
	if err := shared.Client().Patch(t.Context(), vs, client.RawPatch(types.JSONPatchType, []byte(body))); err != nil {
		t.Fatal(err)
	}
	within(t, 3*time.Second, func() error {
		if got := weights(t, ns); got != "80 20" {
			return fmt.Errorf("the weights are %s, want 80 20", got)
		}
		return nil
	})
	t.Logf("repaired after %v", time.Since(began))
}

// send makes n requests to a host through the gateway and counts the versions that answer.
func send(t *testing.T, host string, n int) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for range n {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, shared.Gateway().URL(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close() //nolint:errcheck // only the header is read
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("the gateway answers %s", answer.Status)
		}
		seen[answer.Header.Get("X-Demo-Version")]++
	}
	return seen
}

// followed waits until the gateway routes a host by the object as it is now.
func followed(t *testing.T, host string, u client.Object) {
	t.Helper()
	within(t, 5*time.Second, func() error {
		if err := shared.Client().Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
			return err
		}
		for _, a := range shared.Gateway().Applied(host) {
			if a.Name == u.GetName() && a.ResourceVersion == u.GetResourceVersion() {
				return nil
			}
		}
		return fmt.Errorf("the gateway follows %+v", shared.Gateway().Applied(host))
	})
}

func TestACanaryOfAnHTTPRoute(t *testing.T) {
	t.Parallel()
	ns := space(t)
	host := ns + ".route.example"
	apply(t, ns, web(`
    canary:
      stableService: web-stable
      canaryService: web-canary
      trafficRouting: {plugins: {argoproj-labs/gatewayAPI: {httpRoute: web, namespace: `+ns+`}}}
      steps: [{setWeight: 25}, {pause: {}}]
`)+services+`
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gateway}]
  hostnames: [`+host+`]
  rules:
  - backendRefs: [{name: web-stable, port: 80, weight: 100}, {name: web-canary, port: 80, weight: 0}]
`)
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	setImage(t, ns, "web", "penstock/demo:v2")
	await(t, ns, "web", 30*time.Second, atStep(1))
	route := object("gateway.networking.k8s.io", "v1", "HTTPRoute")
	route.SetNamespace(ns)
	route.SetName("web")
	followed(t, host, route)
	if got := routeWeights(t, route, "rules", "backendRefs"); got != "75 25" {
		t.Errorf("the HTTPRoute says %s, want 75 25", got)
	}
	if seen := send(t, host, 200); seen["v2"] < 49 || seen["v2"] > 51 {
		t.Errorf("of 200 requests at 25 %% the versions answered %v", seen)
	}
	resume(t, ns, "web")
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	before := shared.Gateway().Stats()
	if seen := send(t, host, 50); seen["v2"] != 50 {
		t.Errorf("after the promotion the versions answered %v", seen)
	}
	failed := shared.Gateway().Stats().Since(before).Total(func(k mesh.Key) bool { return k.Host == host && k.Class != "2xx" })
	if failed != 0 {
		t.Errorf("%d requests failed", failed)
	}
}

// The autoscaler needs no metrics to go up to its minimum, which it does by the scale
// subresource of the Rollout.
func TestAnAutoscalerDrivesTheScaleSubresource(t *testing.T) {
	t.Parallel()
	ns := space(t)
	apply(t, ns, web(`{canary: {}}`))
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	four := int32(4)
	hpa := &autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "web"},
		MinReplicas:    &four, MaxReplicas: 8,
	}}
	hpa.Namespace, hpa.Name = ns, "web"
	if err := shared.Client().Create(t.Context(), hpa); err != nil {
		t.Fatal(err)
	}
	available := func(n int32) func(*v1alpha1.Rollout) error {
		return func(r *v1alpha1.Rollout) error {
			if r.Status.AvailableReplicas != n || r.Status.HPAReplicas != n {
				return fmt.Errorf("%d pods are available and %d reported, want %d", r.Status.AvailableReplicas, r.Status.HPAReplicas, n)
			}
			return inPhase(v1alpha1.RolloutPhaseHealthy)(r)
		}
	}
	await(t, ns, "web", time.Minute, available(4))

	// What the autoscaler does with metrics is this.
	r := rollout(t, ns, "web")
	scale := &autoscalingv1.Scale{}
	if err := shared.Client().SubResource("scale").Get(t.Context(), r, scale); err != nil {
		t.Fatal(err)
	}
	if scale.Spec.Replicas != 4 || scale.Status.Replicas != 4 || !strings.Contains(scale.Status.Selector, "app=web") {
		t.Errorf("the scale is %+v", scale)
	}
	scale.Spec.Replicas = 6
	if err := shared.Client().SubResource("scale").Update(t.Context(), r, client.WithSubResourceBody(scale)); err != nil {
		t.Fatal(err)
	}
	await(t, ns, "web", time.Minute, available(6))
}

func TestAnUnreachablePrometheusHoldsTheRollout(t *testing.T) {
	t.Parallel()
	ns := space(t)
	apply(t, ns, web(`
    canary:
      steps:
      - setWeight: 50
      - analysis: {templates: [{templateName: errors}]}
`)+`
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  metrics:
  - name: errors
    interval: 1s
    count: 3
    consecutiveErrorLimit: 100
    successCondition: result[0] < 0.01
    provider: {prometheus: {address: "http://127.0.0.1:1", query: up}}
`)
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	setImage(t, ns, "web", "penstock/demo:v2")
	within(t, time.Minute, func() error {
		runs := &v1alpha1.AnalysisRunList{}
		if err := shared.Client().List(t.Context(), runs, client.InNamespace(ns)); err != nil {
			return err
		}
		if len(runs.Items) != 1 || len(runs.Items[0].Status.MetricResults) != 1 {
			return fmt.Errorf("%d runs", len(runs.Items))
		}
		result := runs.Items[0].Status.MetricResults[0]
		if result.Error < 3 {
			return fmt.Errorf("%d measurements ended with an error, want 3", result.Error)
		}
		for _, m := range result.Measurements {
			if m.Phase != v1alpha1.AnalysisPhaseError || !strings.Contains(m.Message, "connection refused") {
				return fmt.Errorf("a measurement is %s: %q", m.Phase, m.Message)
			}
		}
		if phase := runs.Items[0].Status.Phase; phase != v1alpha1.AnalysisPhaseRunning {
			return fmt.Errorf("the run is %s", phase)
		}
		return nil
	})
	r := rollout(t, ns, "web")
	if i := r.Status.CurrentStepIndex; i == nil || *i != 1 || r.Status.Phase != v1alpha1.RolloutPhaseProgressing || r.Status.Abort {
		t.Errorf("the rollout is %s at step %v, abort %v; want it to hold at 1", r.Status.Phase, i, r.Status.Abort)
	}
	if r.Status.StableRS == r.Status.CurrentPodHash {
		t.Error("it was promoted without one measurement")
	}
}
