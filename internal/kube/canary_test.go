package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// settled is enough passes for anything that needs no person.
const settled = 25

func setImage(image string) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) { ro.Spec.Template.Spec.Containers[0].Image = image }
}

// state is what a user sees of the shop.
type state struct {
	Phase    v1alpha1.RolloutPhase
	Weight   int64
	One, Two int32
	Stable   string // image behind the stable Service
	Canary   string
}

func (w *world) state() state {
	w.t.Helper()
	sets := w.sets()
	s := state{Phase: w.rollout().Status.Phase, Weight: w.weight()}
	image := map[string]string{}
	for i, rs := range sets {
		image[rs.Labels[hashLabel]] = i
	}
	for i, to := range map[string]*int32{"one": &s.One, "two": &s.Two} {
		if rs := sets[i]; rs != nil {
			*to = *rs.Spec.Replicas
		}
	}
	for name, to := range map[string]*string{"web-stable": &s.Stable, "web-canary": &s.Canary} {
		svc := &corev1.Service{}
		w.get(name, svc)
		*to = image[svc.Spec.Selector[hashLabel]]
	}
	return s
}

func (w *world) expect(when string, want state) {
	w.t.Helper()
	if d := cmp.Diff(want, w.state()); d != "" {
		w.t.Fatalf("%s (-want +got):\n%s\nstatus %+v", when, d, w.rollout().Status)
	}
}

func resume(ro *v1alpha1.Rollout) { ro.Status.PauseConditions = nil }

// say writes intent into the status, as the published plugin does.
func (w *world) say(change func(*v1alpha1.Rollout)) {
	w.t.Helper()
	ro := w.rollout()
	change(ro)
	if err := w.client.Status().Update(context.Background(), ro); err != nil {
		w.t.Fatal(err)
	}
}

// Covers: traffic edge 141, traffic edge 156.
func TestCanaryFromTemplateChangeToPromotion(t *testing.T) {
	w := shop(t)
	w.work(settled)
	w.expect("after the first deployment", state{v1alpha1.RolloutPhaseHealthy, 0, 4, 0, "one", "one"})
	w.told()
	w.edit(setImage("two"))
	w.work(settled)
	w.expect("at the pause", state{v1alpha1.RolloutPhasePaused, 25, 4, 1, "one", "two"})
	w.say(resume)
	w.work(settled)
	w.now = w.now.Add(31e9)
	w.work(settled)
	w.expect("after the promotion", state{v1alpha1.RolloutPhaseHealthy, 0, 0, 4, "two", "two"})
	events := strings.Join(w.told(), "\n")
	for _, want := range []string{
		"Normal NewReplicaSetCreated Created ReplicaSet web-", "Normal RolloutUpdated Rollout updated to revision 2",
		"Normal RolloutStepCompleted Rollout step 1/3 completed (setWeight: 25)", "Normal RolloutPaused Rollout is paused (CanaryPauseStep)",
		"Normal RolloutResumed Rollout is resumed", "Normal RolloutCompleted Rollout completed update to revision 2",
		"Normal SwitchService Switched selector for service 'web-canary'", "Normal ScalingReplicaSet Scaled up ReplicaSet web-",
	} {
		if strings.Count(events, want) == 0 {
			t.Errorf("no event %q in\n%s", want, events)
		}
	}
	if n := strings.Count(events, "RolloutCompleted Rollout completed"); n != 1 {
		t.Errorf("the completion was told %d times", n)
	}
}

// Covers: edge 92.
func TestAbortGoesBackToStable(t *testing.T) {
	w := shop(t)
	w.work(settled)
	w.edit(setImage("two"))
	w.work(settled)
	w.say(func(ro *v1alpha1.Rollout) { ro.Status.Abort = true })
	w.work(settled)
	w.now = w.now.Add(31e9)
	w.work(settled)
	w.expect("after the abort", state{v1alpha1.RolloutPhaseDegraded, 0, 4, 0, "one", "one"})
}

// Covers: edge 143, traffic defect 30.
func TestQuietRolloutWritesNothing(t *testing.T) {
	w := shop(t)
	w.work(settled)
	w.writes = nil
	w.work(5)
	w.now = w.now.Add(3600e9)
	if _, err := w.pass(); err != nil {
		t.Fatal(err)
	}
	mine := slices.DeleteFunc(w.writes, func(s string) bool { return strings.HasPrefix(s, "status ReplicaSet") })
	if len(mine) != 0 {
		t.Errorf("writes %v", mine)
	}
}

func TestDriftIsRepaired(t *testing.T) {
	w := shop(t)
	w.work(settled)
	w.edit(setImage("two"))
	w.work(settled)
	svc := &corev1.Service{}
	w.get("web-canary", svc)
	svc.Spec.Selector[hashLabel] = "foreign"
	if err := w.client.Update(context.Background(), svc); err != nil {
		t.Fatal(err)
	}
	w.work(settled)
	w.expect("after the repair", state{v1alpha1.RolloutPhasePaused, 25, 4, 1, "one", "two"})
}

// TestFailureAtAnyWriteConverges lets the n-th write of a whole release fail, for every
// n, and expects the same end (T6).
func TestFailureAtAnyWriteConverges(t *testing.T) {
	total := 0
	for n := 0; n == 0 || n <= total; n++ {
		w := shop(t)
		count := 0
		w.refuse = func(string, client.Object) error {
			if count++; count == n {
				return apierrors.NewInternalError(fmt.Errorf("write %d", n))
			}
			return nil
		}
		tolerant := func() {
			for range settled {
				before := len(w.writes)
				r, err := w.pass()
				if err != nil && !strings.Contains(err.Error(), "write ") {
					t.Fatal(err)
				}
				if err == nil && len(w.writes) == before && r.RequeueAfter > time.Minute {
					return
				}
				hold := w.refuse
				w.refuse = nil
				w.pods()
				w.refuse = hold
				w.now = w.now.Add(1e9)
			}
		}
		person := func(f func()) { hold := w.refuse; w.refuse = nil; f(); w.refuse = hold }
		tolerant()
		person(func() { w.edit(setImage("two")) })
		tolerant()
		person(func() { w.say(resume) })
		tolerant()
		w.now = w.now.Add(31e9)
		tolerant()
		w.expect(fmt.Sprintf("with write %d failing", n), state{v1alpha1.RolloutPhaseHealthy, 0, 0, 4, "two", "two"})
		if n == 0 {
			if total = count; total < 10 {
				t.Fatalf("only %d writes seen", total)
			}
		}
	}
}

func TestRefusedReplicaSetIsShown(t *testing.T) {
	w := shop(t)
	w.refuse = func(verb string, o client.Object) error {
		if verb == "create" && kindOf(o) == "ReplicaSet" {
			return apierrors.NewInvalid(o.GetObjectKind().GroupVersionKind().GroupKind(), o.GetName(), nil)
		}
		return nil
	}
	if _, err := w.pass(); err == nil {
		t.Fatal("the refusal was swallowed")
	}
	if _, err := w.pass(); err != nil {
		t.Fatal(err)
	}
	st := w.rollout().Status
	if st.Phase != v1alpha1.RolloutPhaseDegraded || !strings.Contains(st.Message, `InvalidSpec: The Rollout "web" is invalid:`) {
		t.Errorf("phase %s: %s", st.Phase, st.Message)
	}
	if !strings.Contains(strings.Join(w.told(), "\n"), "Warning ReplicaSetCreateError") {
		t.Error("no event")
	}
	w.refuse = nil
	w.edit(setImage("two"))
	w.work(settled)
	w.expect("after a better template", state{v1alpha1.RolloutPhaseHealthy, 0, 0, 4, "two", "two"})
}

// A quota may be raised: unlike an invalid template this is no fault of the spec.
func TestAReplicaSetThatIsRefusedForNowIsTriedAgain(t *testing.T) {
	w := shop(t)
	w.work(settled)
	w.refuse = func(verb string, o client.Object) error {
		if verb == "create" && kindOf(o) == "ReplicaSet" {
			return apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "replicasets"}, "x", errors.New("exceeded quota"))
		}
		return nil
	}
	w.edit(setImage("two"))
	for range 4 {
		_, _ = w.pass()
	}
	const text = `Failed to create new replica set "web-`
	if told := strings.Join(w.told(), "\n"); !strings.Contains(told, "Warning ReplicaSetCreateError "+text) || !strings.Contains(told, "exceeded quota") {
		t.Errorf("told %s", told)
	}
	progressing := func() (c v1alpha1.RolloutCondition) {
		for _, c = range w.rollout().Status.Conditions {
			if c.Type == v1alpha1.RolloutProgressing {
				return c
			}
		}
		return v1alpha1.RolloutCondition{}
	}
	if c := progressing(); c.Status != "False" || c.Reason != "ReplicaSetCreateError" || !strings.HasPrefix(c.Message, text) || !strings.HasSuffix(c.Message, "exceeded quota") {
		t.Errorf("%+v", c)
	}
	w.refuse = nil
	if _, err := w.pass(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.pass(); err != nil {
		t.Fatal(err)
	}
	if c := progressing(); c.Status != "True" || c.Reason != "NewReplicaSetCreated" {
		t.Errorf("once it was made: %+v", c)
	}
	w.work(settled)
	w.expect("with a higher quota", state{v1alpha1.RolloutPhasePaused, 25, 4, 1, "one", "two"})
}

// Covers: traffic edge 161.
func TestAMissingVirtualServiceIsToldOnce(t *testing.T) {
	w := shop(t)
	w.work(settled)
	w.told()
	if err := w.client.Delete(context.Background(), virtualService()); err != nil {
		t.Fatal(err)
	}
	w.work(settled)
	var told []string
	for _, e := range w.told() {
		if strings.Contains(e, "NotFound") {
			told = append(told, e)
		}
	}
	if len(told) != 1 || !strings.HasPrefix(told[0], "Warning VirtualServiceNotFound ") || !strings.Contains(told[0], "web") {
		t.Errorf("told %q", told)
	}
	if m := w.rollout().Status.Message; !strings.HasPrefix(m, "InvalidSpec: ") || !strings.Contains(m, "not found") {
		t.Errorf("message %q", m)
	}
	w.create(virtualService())
	w.work(settled)
	if p := w.rollout().Status.Phase; p != v1alpha1.RolloutPhaseHealthy {
		t.Errorf("phase %s once it is back", p)
	}
}

// Covers: edge 89, outage 2.
func TestUnreadableRouteRemovesNothing(t *testing.T) {
	w := shop(t)
	w.work(settled)
	w.edit(setImage("two"))
	w.work(settled)
	vs := virtualService()
	if err := w.client.Delete(context.Background(), vs); err != nil {
		t.Fatal(err)
	}
	w.say(func(ro *v1alpha1.Rollout) { ro.Status.Abort = true })
	w.work(settled)
	w.now = w.now.Add(60e9)
	w.work(settled)
	for image, rs := range w.sets() {
		if *rs.Spec.Replicas == 0 {
			t.Errorf("revision %s lost its pods while its traffic is unknown", image)
		}
	}
}

func TestErrorOfTheCacheIsAnError(t *testing.T) {
	w := shop(t)
	w.rollouts.Reader = broken{w.client}
	if _, err := w.pass(); err == nil || !strings.Contains(err.Error(), "get rollout shop/web") {
		t.Errorf("got %v", err)
	}
}

type broken struct{ client.Reader }

func (broken) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("down")
}

func BenchmarkQuietPass(b *testing.B) {
	w := shop(b)
	w.work(settled)
	w.writes = nil
	for b.Loop() {
		if _, err := w.pass(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(w.writes))/float64(b.N), "writes/op")
	if len(w.writes) != 0 {
		b.Fatalf("a quiet rollout writes: %v", w.writes[0])
	}
}
