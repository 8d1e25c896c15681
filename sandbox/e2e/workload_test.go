package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// deployed is an application that a Deployment runs, with users.
type deployed struct {
	ns    string
	users *users
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: app, image: "penstock/demo:v1", ports: [{name: http, containerPort: 8080}], lifecycle: {preStop: {sleep: {seconds: 3}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gateway}]
  hostnames: [%s.example]
  rules:
  - backendRefs: [{name: web, port: 80, weight: 1}]
`

func newDeployed(t *testing.T) *deployed {
	t.Helper()
	d := &deployed{ns: space(t)}
	apply(t, d.ns, fmt.Sprintf(deployment, d.ns))
	d.pods(t, 4)
	route := object("gateway.networking.k8s.io", "v1", "HTTPRoute")
	route.SetNamespace(d.ns)
	route.SetName("web")
	followed(t, d.ns+".example", route)
	d.users = newUsers(t, d.ns+".example")
	d.users.answers(t, 20)
	return d
}

// pods wants so many available pods of the Deployment.
func (d *deployed) pods(t *testing.T, n int32) {
	t.Helper()
	within(t, time.Minute, func() error {
		dep := &appsv1.Deployment{}
		if err := shared.Client().Get(t.Context(), types.NamespacedName{Namespace: d.ns, Name: "web"}, dep); err != nil {
			return err
		}
		if *dep.Spec.Replicas != n || dep.Status.AvailableReplicas != n {
			return fmt.Errorf("the Deployment has %d pods of %d, want %d", dep.Status.AvailableReplicas, *dep.Spec.Replicas, n)
		}
		return nil
	})
}

func (d *deployed) takeOver(t *testing.T, mode string) {
	t.Helper()
	apply(t, d.ns, `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: 4
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web, scaleDown: `+mode+`}
  strategy: {canary: {steps: [{setWeight: 25}, {pause: {}}]}}
`)
	await(t, d.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
}

// Covers: outage 44, outage 45, defect 29.
func TestARolloutTakesADeploymentOverAndGivesItBack(t *testing.T) {
	for mode, left := range map[string]int32{"never": 4, "onsuccess": 0, "progressively": 0} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := newDeployed(t)
			d.takeOver(t, mode)
			d.pods(t, left)
			d.users.answers(t, 20)

			image := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"penstock/demo:v2"}]`))
			dep := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: d.ns, Name: "web"}}
			if err := shared.Client().Patch(t.Context(), dep, image); err != nil {
				t.Fatal(err)
			}
			ro := await(t, d.ns, "web", time.Minute, atStep(1))
			if got, want := ro.Status.WorkloadObservedGeneration, fmt.Sprint(dep.Generation); got != want || ro.Annotations["rollout.argoproj.io/workload-generation"] != want {
				t.Errorf("generation %s is observed, annotation %q, want %s", got, ro.Annotations["rollout.argoproj.io/workload-generation"], want)
			}
			if err := shared.Client().Status().Patch(t.Context(), ro, client.RawPatch(types.MergePatchType, []byte(`{"status":{"abort":true}}`))); err != nil {
				t.Fatal(err)
			}
			await(t, d.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseDegraded))
			if err := shared.Client().Delete(t.Context(), ro); err != nil {
				t.Fatal(err)
			}
			within(t, time.Minute, func() error {
				err := shared.Client().Get(t.Context(), client.ObjectKeyFromObject(ro), &v1alpha1.Rollout{})
				if !apierrors.IsNotFound(err) {
					return fmt.Errorf("the Rollout is still there: %v", err)
				}
				return nil
			})
			d.pods(t, 4)
			d.users.answers(t, 50)
			d.users.served(t)
		})
	}
}

func TestAWorkloadThatIsNotThereIsNamedAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	ns := space(t)
	d := &deployed{ns: ns}
	apply(t, ns, fmt.Sprintf(deployment, ns))
	d.pods(t, 4)
	d.takeOver(t, "onsuccess")
	d.pods(t, 0)
	dep := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"}}
	if err := shared.Client().Delete(t.Context(), dep, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	ro := await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseDegraded))
	if want := `InvalidSpec: The Rollout "web" is invalid: deployments.apps "web" not found`; !strings.HasPrefix(ro.Status.Message, want) {
		t.Errorf("it says %q, want %q …", ro.Status.Message, want)
	}
	if n := available(t, ns); n != 4 {
		t.Errorf("%d pods are left, want 4", n)
	}
	if err := shared.Client().Delete(t.Context(), ro); err != nil {
		t.Fatal(err)
	}
	within(t, 30*time.Second, func() error {
		err := shared.Client().Get(t.Context(), client.ObjectKeyFromObject(ro), &v1alpha1.Rollout{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("the Rollout is still there: %v", err)
		}
		return nil
	})
}

// available counts the pods that are ready.
func available(t *testing.T, ns string) (n int) {
	t.Helper()
	list := &corev1.PodList{}
	if err := shared.Client().List(t.Context(), list, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Items {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil {
				n++
			}
		}
	}
	return n
}
