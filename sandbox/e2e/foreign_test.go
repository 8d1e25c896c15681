package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/cluster"
)

// What others write in the middle of a release: docs/foreign-writers.md tells it in prose.

// underway is a canary of four pods with a quarter of the traffic, paused there, while
// users send requests.
type underway struct {
	ns, manifests string
	users         *users
}

const quarter = `
    canary:
      stableService: web-stable
      canaryService: web-canary
      trafficRouting: {istio: {virtualService: {name: web, routes: [primary]}}}
      steps: [{setWeight: 25}, {pause: {}}]
`

// gentle makes of web one of four pods that serve on for a while when they are to go, as
// pods behind any mesh have to: nobody can tell all proxies at once.
var gentle = strings.NewReplacer("replicas: 2", "replicas: 4",
	"containerPort: 8080}]", "containerPort: 8080}], lifecycle: {preStop: {sleep: {seconds: 3}}}")

func newUnderway(t *testing.T) *underway {
	t.Helper()
	ns := space(t)
	u := &underway{ns: ns, manifests: gentle.Replace(web(quarter)) + services + fmt.Sprintf(istioRoute, ns)}
	apply(t, ns, u.manifests)
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	vs := object("networking.istio.io", "v1", "VirtualService")
	vs.SetNamespace(ns)
	vs.SetName("web")
	followed(t, ns+".example", vs)
	u.users = newUsers(t, ns+".example")
	image := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"penstock/demo:v2"}]`))
	if err := shared.Client().Patch(t.Context(), rollout(t, ns, "web"), image); err != nil {
		t.Fatal(err)
	}
	u.atQuarter(t)
	return u
}

// atQuarter waits until the release stands where it is to stand.
func (u *underway) atQuarter(t *testing.T) *v1alpha1.Rollout {
	t.Helper()
	return await(t, u.ns, "web", time.Minute, func(r *v1alpha1.Rollout) error {
		if got := weights(t, u.ns); got != "75 25" {
			return fmt.Errorf("the weights are %s, want 75 25", got)
		}
		return atStep(1)(r)
	})
}

// ends promotes the release and wants it Healthy, with no request lost on the way.
func (u *underway) ends(t *testing.T) {
	t.Helper()
	resume(t, u.ns, "web")
	await(t, u.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	u.users.served(t)
}

// set is the ReplicaSet of a version.
func (u *underway) set(t *testing.T, version string) *appsv1.ReplicaSet {
	t.Helper()
	list := &appsv1.ReplicaSetList{}
	if err := shared.Client().List(t.Context(), list, client.InNamespace(u.ns)); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		if rs := &list.Items[i]; strings.HasSuffix(rs.Spec.Template.Spec.Containers[0].Image, ":"+version) && rs.DeletionTimestamp == nil {
			return rs
		}
	}
	return &appsv1.ReplicaSet{}
}

// pods wants so many available pods of the two versions.
func (u *underway) pods(t *testing.T, v1, v2 int32) {
	t.Helper()
	within(t, time.Minute, func() error {
		if a, b := u.set(t, "v1").Status.AvailableReplicas, u.set(t, "v2").Status.AvailableReplicas; a != v1 || b != v2 {
			return fmt.Errorf("%d and %d pods are available, want %d and %d", a, b, v1, v2)
		}
		return nil
	})
}

// scale is what an autoscaler does.
func (u *underway) scale(t *testing.T, n int32) {
	t.Helper()
	r := rollout(t, u.ns, "web")
	body := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Namespace: u.ns, Name: "web"}, Spec: autoscalingv1.ScaleSpec{Replicas: n}}
	if err := shared.Client().SubResource("scale").Update(t.Context(), r, client.WithSubResourceBody(body)); err != nil {
		t.Fatal(err)
	}
}

// Covers: outage 22, outage 24.
func TestAnAutoscalerInTheMiddleOfARelease(t *testing.T) {
	t.Parallel()
	u := newUnderway(t)
	u.scale(t, 8)
	u.pods(t, 8, 2)
	u.atQuarter(t)
	u.scale(t, 3)
	u.pods(t, 3, 1)
	u.atQuarter(t)
	if err := shared.Client().Status().Patch(t.Context(), rollout(t, u.ns, "web"), client.RawPatch(types.MergePatchType, []byte(`{"status":{"abort":true}}`))); err != nil {
		t.Fatal(err)
	}
	await(t, u.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseDegraded))
	canary := u.set(t, "v2").Status.Replicas
	u.scale(t, 6)
	within(t, time.Minute, func() error {
		if n := u.set(t, "v1").Status.AvailableReplicas; n != 6 {
			return fmt.Errorf("stable has %d pods, want 6", n)
		}
		return nil
	})
	if got, n := weights(t, u.ns), u.set(t, "v2").Status.Replicas; got != "100 0" || n > canary {
		t.Errorf("after the abort the weights are %s, and the canary grew from %d to %d pods", got, canary, n)
	}
	u.users.served(t)
}

// serverSideApply is what Argo CD and Flux do with a manifest.
func serverSideApply(t *testing.T, ns, manifests string, change func(*unstructured.Unstructured)) {
	t.Helper()
	objects, err := cluster.Decode([]byte(manifests))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		o.SetNamespace(ns)
		change(o)
		if err := shared.Client().Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("argocd-controller"), client.ForceOwnership); err != nil {
			t.Fatal(err)
		}
	}
}

// Covers: outage 18, outage 25.
func TestGitOpsAppliesTheManifestsAgain(t *testing.T) {
	t.Parallel()
	u := newUnderway(t)
	before := u.uids(t)
	serverSideApply(t, u.ns, u.manifests, func(o *unstructured.Unstructured) {
		if o.GetKind() == "Rollout" { // Git has the new version, and tracks what it applies
			o.SetLabels(map[string]string{"app.kubernetes.io/instance": "shop"})
			o.SetAnnotations(map[string]string{"argocd.argoproj.io/tracking-id": "shop:argoproj.io/Rollout:" + u.ns + "/web"})
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			containers[0].(map[string]any)["image"] = "penstock/demo:v2"
			if err := unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers"); err != nil {
				t.Fatal(err)
			}
		}
	})
	u.atQuarter(t) // the weights of the manifest, 100 and 0, have gone again
	if after := u.uids(t); after != before {
		t.Errorf("the pods were\n%s\nand are\n%s", before, after)
	}
	for name, want := range map[string]string{"web-stable": u.set(t, "v1").Labels[v1alpha1.PodTemplateHashLabel], "web-canary": u.set(t, "v2").Labels[v1alpha1.PodTemplateHashLabel]} {
		if got := serviceHash(t, u.ns, name); got != want {
			t.Errorf("service %s selects %q, want %q", name, got, want)
		}
	}
	u.ends(t)
}

// uids are the pods there are.
func (u *underway) uids(t *testing.T) string {
	t.Helper()
	list := &corev1.PodList{}
	if err := shared.Client().List(t.Context(), list, client.InNamespace(u.ns)); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range list.Items {
		all = append(all, fmt.Sprint(p.Name, " ", p.UID))
	}
	return strings.Join(all, "\n")
}

// Covers: outage 25.
func TestAServicePointedByHandIsPointedBack(t *testing.T) {
	t.Parallel()
	u := newUnderway(t)
	stable, canary := u.set(t, "v1").Labels[v1alpha1.PodTemplateHashLabel], u.set(t, "v2").Labels[v1alpha1.PodTemplateHashLabel]
	for _, to := range []struct{ service, hash, want string }{
		{"web-stable", `"` + canary + `"`, stable}, {"web-stable", "null", stable}, {"web-canary", `"` + stable + `"`, canary}, {"web-canary", "null", canary},
	} {
		began := time.Now()
		body := fmt.Sprintf(`{"spec":{"selector":{%q:%s}}}`, v1alpha1.PodTemplateHashLabel, to.hash)
		if err := patch(t, &corev1.Service{}, u.ns, to.service, body); err != nil {
			t.Fatal(err)
		}
		within(t, time.Minute, func() error {
			if got := serviceHash(t, u.ns, to.service); got != to.want {
				return fmt.Errorf("service %s selects %q, want %q", to.service, got, to.want)
			}
			return nil
		})
		t.Logf("%s at %s was pointed back after %v", to.service, to.hash, time.Since(began))
		u.atQuarter(t)
	}
	u.ends(t)
}

// Covers: outage 39, edge 33.
func TestAReplicaSetDeletedByHand(t *testing.T) {
	t.Parallel()
	u := newUnderway(t)
	gone := u.set(t, "v2")
	if err := shared.Client().Delete(t.Context(), gone, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, func() error {
		if rs := u.set(t, "v2"); rs.UID == gone.UID || rs.Status.AvailableReplicas != 1 {
			return fmt.Errorf("the ReplicaSet of the canary is %s with %d pods", rs.UID, rs.Status.AvailableReplicas)
		}
		return nil
	})
	u.atQuarter(t)
	if got, want := u.set(t, "v2").Name, gone.Name; got != want {
		t.Errorf("the ReplicaSet came back as %s, want %s", got, want)
	}
	u.users.stop()
	r := u.users.generator.Snapshot()
	t.Logf("of %d requests %d failed: the person took their pod away", r.Sent, r.Failed)
	u.users = newUsers(t, u.ns+".example")
	u.ends(t)
}

// Another controller's finalizer keeps the ReplicaSet of the canary, marked for deletion,
// and later the Rollout.
func TestAForeignFinalizerHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	u := newUnderway(t)
	held := u.set(t, "v2")
	if err := patch(t, &appsv1.ReplicaSet{}, u.ns, held.Name, `{"metadata":{"finalizers":["example.com/audit"]}}`); err != nil {
		t.Fatal(err)
	}
	if err := shared.Client().Delete(t.Context(), held, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	abort := client.RawPatch(types.MergePatchType, []byte(`{"status":{"abort":true}}`))
	if err := shared.Client().Status().Patch(t.Context(), rollout(t, u.ns, "web"), abort); err != nil {
		t.Fatal(err)
	}
	await(t, u.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseDegraded))
	within(t, time.Minute, func() error {
		if got := weights(t, u.ns); got != "100 0" {
			return fmt.Errorf("the weights are %s", got)
		}
		return nil
	})
	if err := patch(t, &appsv1.ReplicaSet{}, u.ns, held.Name, `{"metadata":{"finalizers":null}}`); err != nil {
		t.Fatal(err)
	}
	if err := patch(t, &v1alpha1.Rollout{}, u.ns, "web", `{"metadata":{"finalizers":["example.com/audit"]}}`); err != nil {
		t.Fatal(err)
	}
	if err := shared.Client().Delete(t.Context(), rollout(t, u.ns, "web")); err != nil {
		t.Fatal(err)
	}
	u.users.answers(t, 100) // nothing is taken from a Rollout that is still there
	u.users.served(t)
	if err := patch(t, &v1alpha1.Rollout{}, u.ns, "web", `{"metadata":{"finalizers":null}}`); err != nil {
		t.Fatal(err)
	}
}

// A controller that writes to our objects all the time causes no storm of our own writes,
// and the release ends all the same.
func TestARestlessForeignWriterCausesNoStorm(t *testing.T) {
	t.Parallel()
	u := newUnderway(t)
	const beats = 30
	seen, err := shared.Client().Watch(t.Context(), &v1alpha1.RolloutList{}, client.InNamespace(u.ns))
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Stop()
	for i := range beats {
		body := fmt.Sprintf(`{"metadata":{"annotations":{"example.com/beat":"%d"}}}`, i)
		for _, o := range []struct {
			client.Object
			name string
		}{{&v1alpha1.Rollout{}, "web"}, {u.set(t, "v1"), u.set(t, "v1").Name}, {u.set(t, "v2"), u.set(t, "v2").Name}, {&corev1.Service{}, "web-canary"}} {
			if err := patch(t, o.Object, u.ns, o.name, body); err != nil {
				t.Fatal(err)
			}
		}
	}
	last, writes := u.atQuarter(t).ResourceVersion, 0
	for e := range seen.ResultChan() {
		if writes++; e.Object.(*v1alpha1.Rollout).ResourceVersion == last {
			break
		}
	}
	if writes -= 1 + beats; writes != 0 { // the first is the Rollout as it was
		t.Errorf("%d foreign writes to each object made the controller write %d times to the Rollout", beats, writes)
	}
	u.ends(t)
}
