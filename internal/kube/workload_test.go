package kube

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

func TestTemplateComesFromTheWorkload(t *testing.T) {
	set := owned(t, "abc")
	set.Name, set.OwnerReferences, set.Labels = "old", nil, nil
	set.Spec.Template.Spec.Containers[0].Image = "from the set"
	for name, c := range map[string]struct {
		spec  func(*v1alpha1.Rollout)
		image string
		why   string // "" when it resolves
	}{
		"of a Deployment": {byRef(""), "one", ""},
		"of a ReplicaSet": {refTo("apps/v1", "ReplicaSet", "old"), "from the set", ""},
		"of a PodTemplate, beside a selector": {func(ro *v1alpha1.Rollout) {
			selector := ro.Spec.Selector
			refTo("v1", "PodTemplate", "pods")(ro)
			ro.Spec.Selector = selector
		}, "from the pod template", ""},
		"a PodTemplate has no selector":              {refTo("v1", "PodTemplate", "pods"), "", "spec.selector: Required value: Rollout has missing field '.spec.selector'"},
		"not of other kinds":                         {refTo("apps/v1", "StatefulSet", "web"), "", "workload of type apps/StatefulSet is not supported"},
		"not of a kind in the wrong group":           {refTo("v1", "Deployment", "web"), "", "workload of type /Deployment is not supported"},
		"not of a group that cannot be read":         {refTo("a/b/c", "Deployment", "web"), "", "workload of type /Deployment is not supported"},
		"not of a version that nobody serves":        {refTo("apps/v1beta1", "Deployment", "web"), "", "failed to sync informer for apps/v1beta1, Kind=Deployment"},
		"not of a Deployment that does not exist":    {refTo("apps/v1", "Deployment", "no"), "", `deployments.apps "no" not found`},
		"not of a Deployment in another namespace":   {refTo("apps/v1", "Deployment", "elsewhere"), "", `deployments.apps "elsewhere" not found`},
		"not of a PodTemplate that does not exist":   {refTo("v1", "PodTemplate", "no"), "", `podtemplates "no" not found`},
		"not of a Deployment without a name":         {refTo("apps/v1", "Deployment", ""), "", `deployments.apps "" not found`},
		"not beside a template that says other pods": {func(ro *v1alpha1.Rollout) { byRef("")(ro); ro.Spec.Template = webRollout().Spec.Template }, "", "spec.template: Internal error: template must be empty for workload reference rollout"},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t, c.spec)
			elsewhere := deployment(func(d *appsv1.Deployment) { d.Namespace, d.Name = "other", "elsewhere" })
			for _, o := range []client.Object{deployment(), elsewhere, set.DeepCopy(), podTemplate()} {
				w.create(o)
			}
			s := w.observe()
			if want := `The Rollout "web" is invalid: ` + c.why; c.why != "" && !strings.HasPrefix(s.Snapshot.Invalid, want) || c.why == "" && s.Snapshot.Invalid != "" {
				t.Fatalf("got %s", s.Snapshot.Invalid)
			}
			if c.why != "" {
				if s.Snapshot.Workload != nil || unresolved(s.Rollout) != true {
					t.Errorf("it was resolved all the same: %+v", s.Snapshot.Workload)
				}
				return
			}
			w.work(settled)
			if rs := w.sets()[c.image]; rs == nil || *rs.Spec.Replicas != 4 || w.rollout().Status.Phase != v1alpha1.RolloutPhaseHealthy {
				t.Errorf("phase %s, sets %v", w.rollout().Status.Phase, w.sets())
			}
		})
	}
}

func TestWorkloadsAreReadFromCachesThatAreStartedForThem(t *testing.T) {
	down := errors.New("no answer")
	var asked []schema.GroupVersionKind
	watch := func(err error) func(context.Context, []schema.GroupVersionKind) error {
		return func(_ context.Context, kinds []schema.GroupVersionKind) error {
			asked = append(asked, kinds...)
			return err
		}
	}
	w := newWorld(t, webRollout(byRef(""), unrouted), service("web-stable"), service("web-canary"), deployment())
	w.rollouts.Watch = watch(nil)
	w.observe()
	if d := cmp.Diff([]schema.GroupVersionKind{{Group: "apps", Version: "v1", Kind: "Deployment"}}, asked); d != "" {
		t.Error(d)
	}
	w.rollouts.Watch = watch(down)
	s := w.observe()
	if want := "failed to sync informer for apps/v1, Kind=Deployment"; !strings.Contains(s.Snapshot.Invalid, want) || len(s.Snapshot.Trouble) == 0 || s.retry.IsZero() {
		t.Errorf("invalid %q, trouble %v, again at %s", s.Snapshot.Invalid, s.Snapshot.Trouble, s.retry)
	}
	w.rollouts.Watch, w.rollouts.Reader = nil, speechless{w.client}
	if s := w.observe(); s.Snapshot.Invalid == "" || len(s.Snapshot.Trouble) == 0 || s.retry.IsZero() {
		t.Errorf("invalid %q, trouble %v, again at %s", s.Snapshot.Invalid, s.Snapshot.Trouble, s.retry)
	}

	// A ReplicaSet that nothing of ours runs is not in the cache of those that we run.
	set := owned(t, "abc")
	set.Name, set.Labels, set.OwnerReferences = "old", nil, nil
	hidden := newWorld(t, webRollout(refTo("apps/v1", "ReplicaSet", "old"), unrouted), service("web-stable"), service("web-canary"), set)
	hidden.rollouts.Reader = unseen{hidden.client, "old"}
	if s := hidden.observe(); s.Snapshot.Workload != nil {
		t.Error("it was read from the wrong cache")
	}
	hidden.rollouts.Sets = hidden.client
	if s := hidden.observe(); s.Snapshot.Workload == nil {
		t.Errorf("got %s", s.Snapshot.Invalid)
	}
}

func unrouted(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.TrafficRouting = nil }

// Covers: edge 136.
func TestNothingOfTheWorkloadIsWrittenBack(t *testing.T) {
	w := shop(t, byRef(v1alpha1.ScaleDownProgressively), func(ro *v1alpha1.Rollout) { ro.Spec.Replicas = nil })
	w.create(deployment())
	var bodies []string
	note := func(o client.Object, body []byte) {
		_, typed := o.(*v1alpha1.Rollout)
		bare, is := o.(*metav1.PartialObjectMetadata) // a status
		if typed || is && bare.Kind == "Rollout" {
			bodies = append(bodies, string(body))
		}
	}
	spy := interceptor.NewClient(&listener{w.client, note}, interceptor.Funcs{})
	w.rollouts.Writer, w.loop.Writer = spy, spy
	w.work(settled)
	w.change(image("two"))
	w.work(settled)
	w.request(func(st *v1alpha1.RolloutStatus) { st.PromoteFull = true })
	w.work(settled)
	if len(bodies) < 8 {
		t.Fatalf("only %d writes of the Rollout were seen: %v", len(bodies), bodies)
	}
	kinds := map[string]bool{}
	for _, b := range bodies {
		var body struct{ Metadata, Spec, Status map[string]any }
		if err := json.Unmarshal([]byte(b), &body); err != nil {
			t.Fatal(err)
		}
		for k := range body.Spec {
			if k != "replicas" {
				t.Errorf("spec.%s is written: %s", k, b)
			}
		}
		for part, fields := range map[string]map[string]any{"metadata": body.Metadata, "spec": body.Spec, "status": body.Status} {
			kinds[part] = kinds[part] || len(fields) > 0
		}
	}
	if !kinds["metadata"] || !kinds["spec"] || !kinds["status"] {
		t.Errorf("not every kind of write was seen: %v", kinds)
	}
	if ro := w.rollout(); ro.Spec.Selector != nil || len(ro.Spec.Template.Spec.Containers)+len(ro.Spec.Template.Labels) > 0 {
		t.Errorf("stored: %+v", ro.Spec)
	}
}

// Covers: edge 135.
func TestTheGenerationOfTheWorkloadIsKept(t *testing.T) {
	w := shop(t, byRef(""))
	w.create(deployment())
	w.work(settled)
	check := func(annotation, observed string, sets int) {
		t.Helper()
		ro := w.rollout()
		if got := ro.Annotations[workloadKey]; got != annotation || ro.Status.WorkloadObservedGeneration != observed || len(w.sets()) != sets {
			t.Errorf("annotation %q, observed %q, %d revisions", got, ro.Status.WorkloadObservedGeneration, len(w.sets()))
		}
	}
	check("1", "1", 1)
	w.writes = nil
	w.work(3)
	if len(w.writes) != 0 {
		t.Errorf("at rest it writes %v", w.writes)
	}
	w.change(image("two"))
	if _, err := w.pass(); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(w.writes[1], "patch Rollout") { // after the user's own
		t.Errorf("the generation is not on the Rollout before everything else: %v", w.writes)
	}
	w.work(settled)
	check("2", "2", 2)
	w.request(func(st *v1alpha1.RolloutStatus) { st.PromoteFull = true })
	w.work(settled)

	// From here on nothing but the place of the template changes.
	w.edit(func(ro *v1alpha1.Rollout) {
		ro.Spec.Template, ro.Spec.Selector, ro.Spec.WorkloadRef = webRollout(setImage("two")).Spec.Template, webRollout().Spec.Selector, nil
	})
	w.work(settled)
	check("2", "", 2) // what an inline Rollout carries means nothing to anybody
	inline := w.rollout().Status
	w.edit(byRef(""))
	w.work(settled)
	check("2", "2", 2)
	if st := w.rollout().Status; st.Phase != v1alpha1.RolloutPhaseHealthy || st.StableRS != inline.StableRS || st.CurrentPodHash != inline.CurrentPodHash {
		t.Errorf("phase %s, stable %s, wanted %s", st.Phase, st.StableRS, st.CurrentPodHash)
	}
}

// Covers: defect 7.
func TestMissingWorkloadLeavesEverythingAsItIs(t *testing.T) {
	for name, c := range map[string]struct {
		spec func(*v1alpha1.Rollout)
		mend func(*world)
	}{
		"with the selector of the workload": {byRef(""), func(w *world) { w.create(deployment(image("two"))) }},
		"with a selector of its own": {func(ro *v1alpha1.Rollout) { byRef("")(ro); ro.Spec.Selector = webRollout().Spec.Selector },
			func(w *world) { w.create(deployment(image("two"))) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t, c.spec)
			w.create(deployment())
			w.work(settled)
			w.change(image("two"))
			w.work(settled)
			one, two := w.sets()["one"], w.sets()["two"]
			one.Labels["app"] = "strange" // its selector would let it go
			if err := w.client.Update(context.Background(), one); err != nil {
				t.Fatal(err)
			}
			orphan := owned(t, "lost")
			orphan.OwnerReferences = nil // and would take this one
			orphan.Spec.Template.Spec.Containers[0].Image = "lost"
			w.create(orphan)
			gone := &appsv1.Deployment{}
			w.get("web", gone)
			if err := w.client.Delete(context.Background(), gone); err != nil {
				t.Fatal(err)
			}
			w.writes = nil
			w.work(5)
			for _, line := range w.writes {
				if line != "status Rollout web" && !strings.HasPrefix(line, "status ") {
					t.Errorf("%s", line)
				}
			}
			if !ownedBy(w.sets()["one"], webRollout()) || !ownedBy(w.sets()["two"], webRollout()) || ownedBy(w.sets()["lost"], webRollout()) {
				t.Error("ReplicaSets were released or adopted")
			}
			st := w.rollout().Status
			if st.Phase != v1alpha1.RolloutPhaseDegraded || !strings.Contains(st.Message, `deployments.apps "web" not found`) || st.CurrentPodHash != two.Labels[hashLabel] {
				t.Errorf("phase %s: %s, hash %s", st.Phase, st.Message, st.CurrentPodHash)
			}
			one = w.sets()["one"]
			one.Labels["app"] = "web"
			if err := w.client.Update(context.Background(), one); err != nil {
				t.Fatal(err)
			}
			if err := w.client.Delete(context.Background(), w.sets()["lost"]); err != nil {
				t.Fatal(err)
			}
			c.mend(w)
			w.work(settled)
			if st := w.rollout().Status; st.Phase != v1alpha1.RolloutPhasePaused || len(w.sets()) != 2 || w.weight() != 25 {
				t.Errorf("after its return: phase %s (%s), weight %d, %d revisions", st.Phase, st.Message, w.weight(), len(w.sets()))
			}
		})
	}
}

func TestAbortIsCarriedOutWhileTheWorkloadIsMissing(t *testing.T) {
	w := shop(t, byRef(""))
	w.create(deployment())
	w.work(settled)
	w.change(image("two"))
	w.work(settled)
	gone := &appsv1.Deployment{}
	w.get("web", gone)
	if err := w.client.Delete(context.Background(), gone); err != nil || w.weight() != 25 {
		t.Fatalf("weight %d, %v", w.weight(), err)
	}
	w.request(func(st *v1alpha1.RolloutStatus) { st.Abort = true })
	w.work(5)
	if w.weight() != 0 || *w.sets()["one"].Spec.Replicas != 4 {
		t.Errorf("weight %d, stable has %d pods", w.weight(), *w.sets()["one"].Spec.Replicas)
	}
}

func TestAnAnswerDoesNotTakeTheTemplateAway(t *testing.T) {
	w := shop(t, byRef(""))
	w.create(deployment())
	s := w.observe()
	hash := s.Snapshot.TemplateHash
	err := w.rollouts.Apply(context.Background(), s, rollout.Plan{Actions: []rollout.Action{rollout.SetNumber{Number: 1}, rollout.DefaultReplicas{},
		rollout.SetFinalizer{On: true}, rollout.EnsureRevision{Hash: hash, Number: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	rs := w.sets()["one"]
	if rs == nil || rs.Spec.Selector.MatchLabels["app"] != "web" || rs.Spec.Template.Labels["app"] != "web" {
		t.Errorf("got %+v", rs)
	}
}
