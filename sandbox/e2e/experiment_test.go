package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// trialStep is a canary whose first step is an experiment with a tenth of the traffic.
const trialStep = `
    canary:
      stableService: web-stable
      canaryService: web-canary
      trafficRouting: {istio: {virtualService: {name: web, routes: [primary]}}}
      steps:
      - experiment:
          duration: %s
          scaleDownDelaySeconds: 0
          templates: [{name: candidate, specRef: canary, weight: 10}]
          analyses: [{name: errors, templateName: errors}]
      - setWeight: 25
      - pause: {}
`

func newTrial(t *testing.T, duration string) (*underway, *judge) {
	t.Helper()
	ns, j := space(t), newJudge(t)
	apply(t, ns, gentle.Replace(web(fmt.Sprintf(trialStep, duration)))+services+fmt.Sprintf(istioRoute, ns)+j.template())
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	vs := object("networking.istio.io", "v1", "VirtualService")
	vs.SetNamespace(ns)
	vs.SetName("web")
	followed(t, ns+".example", vs)
	u := &underway{ns: ns, users: newUsers(t, ns+".example")}
	image := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"penstock/demo:v2"}]`))
	if err := shared.Client().Patch(t.Context(), rollout(t, ns, "web"), image); err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, func() error {
		if got := weights(t, ns); got != "90 0 10" {
			return fmt.Errorf("the weights are %s, want 90 0 10", got)
		}
		return nil
	})
	return u, j
}

// experiment is the one of the namespace.
func (u *underway) experiment(t *testing.T) *v1alpha1.Experiment {
	t.Helper()
	list := &v1alpha1.ExperimentList{}
	if err := shared.Client().List(t.Context(), list, client.InNamespace(u.ns)); err != nil || len(list.Items) != 1 {
		t.Fatalf("%v: %d experiments", err, len(list.Items))
	}
	return &list.Items[0]
}

func TestAnExperimentGetsItsShareAndLeavesWithoutALostRequest(t *testing.T) {
	t.Parallel()
	u, _ := newTrial(t, "10s")
	u.users.answers(t, 100)
	if r := u.users.generator.Snapshot(); r.ByVersion["v2"] == 0 {
		t.Errorf("nobody met the candidate: %v", r.ByVersion)
	}
	u.atQuarter2(t)
	if x := u.experiment(t); x.Status.Phase != v1alpha1.AnalysisPhaseSuccessful {
		t.Errorf("the experiment is %s (%s)", x.Status.Phase, x.Status.Message)
	}
	resume(t, u.ns, "web")
	await(t, u.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	u.users.served(t)
}

// atQuarter2 waits for the pause after the experiment and the weight.
func (u *underway) atQuarter2(t *testing.T) {
	t.Helper()
	await(t, u.ns, "web", time.Minute, func(r *v1alpha1.Rollout) error {
		if got := weights(t, u.ns); got != "75 25" {
			return fmt.Errorf("the weights are %s, want 75 25", got)
		}
		return atStep(2)(r)
	})
}

func TestAFailingExperimentAbortsTheRelease(t *testing.T) {
	t.Parallel()
	u, j := newTrial(t, "10m")
	j.percent.Store(9)
	ro := await(t, u.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseDegraded))
	if want := "RolloutAborted: Rollout aborted update to revision 2: Experiment analysis phase is error/failed"; !strings.HasPrefix(ro.Status.Message, want) {
		t.Errorf("it says %q, want %q …", ro.Status.Message, want)
	}
	within(t, time.Minute, func() error {
		if got := weights(t, u.ns); got != "100 0" {
			return fmt.Errorf("the weights are %s, want 100 0", got)
		}
		if n := available(t, u.ns); n != 4 {
			return fmt.Errorf("%d pods are there, want 4", n)
		}
		return nil
	})
	u.users.served(t)
}

// Covers: defect 30.
func TestARestartKeepsToTheDisruptionBudget(t *testing.T) {
	t.Parallel()
	ns := space(t)
	apply(t, ns, strings.Replace(web(`{canary: {}}`), "replicas: 2", "replicas: 4", 1))
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	one := intstr.FromInt32(1)
	budget := &policyv1.PodDisruptionBudget{Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one, Selector: rollout(t, ns, "web").Spec.Selector}}
	budget.Namespace, budget.Name = ns, "web"
	if err := shared.Client().Create(t.Context(), budget); err != nil {
		t.Fatal(err)
	}
	before := (&underway{ns: ns}).uids(t)
	at := time.Now().Add(2 * time.Second).UTC().Format(time.RFC3339) // pods of the same second are not older
	if err := patch(t, &v1alpha1.Rollout{}, ns, "web", `{"spec":{"restartAt":"`+at+`"}}`); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Minute, func() error {
		if n := available(t, ns); n < 3 {
			t.Errorf("only %d pods of 4 were available", n)
		}
		r := rollout(t, ns, "web")
		if r.Status.RestartedAt == nil || r.Status.Phase != v1alpha1.RolloutPhaseHealthy {
			return fmt.Errorf("restarted at %v, %s (%s)", r.Status.RestartedAt, r.Status.Phase, r.Status.Message)
		}
		return nil
	})
	list := &corev1.PodList{}
	if err := shared.Client().List(t.Context(), list, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Items {
		if strings.Contains(before, string(p.UID)) && p.DeletionTimestamp == nil {
			t.Errorf("pod %s was not restarted", p.Name)
		}
	}
}

// The canary's port in a route, 80, is not one of the containers', 8080: what is copied from
// there for an experiment has to lead to its pods all the same.
func TestAnExperimentOfAnHTTPRouteIsServed(t *testing.T) {
	t.Parallel()
	ns := space(t)
	host := ns + ".route.example"
	apply(t, ns, web(`
    canary:
      stableService: web-stable
      canaryService: web-canary
      trafficRouting: {plugins: {argoproj-labs/gatewayAPI: {httpRoute: web, namespace: `+ns+`}}}
      steps:
      - experiment: {templates: [{name: candidate, specRef: canary, weight: 10}]}
      - pause: {}
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
	route := object("gateway.networking.k8s.io", "v1", "HTTPRoute")
	route.SetNamespace(ns)
	route.SetName("web")
	within(t, time.Minute, func() error {
		followed(t, host, route)
		if got := routeWeights(t, route, "rules", "backendRefs"); got != "90 0 10" {
			return fmt.Errorf("the HTTPRoute says %s, want 90 0 10", got)
		}
		return nil
	})
	if seen := send(t, host, 200); seen["v2"] < 19 || seen["v2"] > 21 {
		t.Errorf("of 200 requests at 10 %% the versions answered %v", seen)
	}
}
