package experiment

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Covers: defect 28.
func TestANameThatIsTakenIsGivenUp(t *testing.T) {
	w := newWorld(t, delay(0))
	w.taken["exp-a"] = ""
	first := w.s.Spec.Templates[0].Template
	one, two := "exp-a-"+Hash(&first, ptr(int32(1))), "exp-a-"+Hash(&first, ptr(int32(2)))
	w.taken[one] = ""
	w.work(10)
	w.phase("with the third name", running, "")
	if len(w.s.Sets) != 1 || w.s.Sets[0].Name != two || w.s.Sets[0].Hash != Hash(&first, ptr(int32(2))) {
		t.Fatalf("sets %+v, want %s", w.s.Sets, two)
	}
	if a := w.template("a"); a.CollisionCount == nil || *a.CollisionCount != 2 {
		t.Errorf("status %+v", a)
	}
	w.quiet("in the end")
}

// Covers: defect 28.
func TestPodsOfTwoTemplatesAreToldApart(t *testing.T) {
	same := func(name string) v1alpha1.TemplateSpec {
		x := aTemplate("web")
		x.Name = name
		return x
	}
	revision := Hash(&corev1.PodTemplateSpec{ObjectMeta: aTemplate("web").Template.ObjectMeta, Spec: aTemplate("web").Template.Spec}, nil)
	w := newWorld(t, templates(same("one"), same("two"), same("three")))
	for i := range w.s.Spec.Templates { // copied from a revision of the same template
		w.s.Spec.Templates[i].Template.Labels[v1alpha1.PodTemplateHashLabel] = revision
	}
	w.work(10)
	w.phase("with three alike", running, "")
	hashes := map[string]bool{revision: true}
	for _, s := range w.s.Sets {
		hashes[s.Hash] = true
	}
	if len(hashes) != 4 {
		t.Errorf("sets %+v beside %s", w.s.Sets, revision)
	}
}

// Covers: outage 71.
func TestAReplicaSetOfAnotherTemplateIsNeverUsed(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a", withService("s"), replicas(2))), delay(30))
	w.work(6)
	old := w.set("exp-a").Hash
	w.s.Spec.Templates[0].Template.Spec.Containers[0].Image = "another"
	w.work(2)
	if len(w.s.Sets) != 2 || w.s.Sets[1].Hash == old || w.s.Sets[1].Name == "exp-a" {
		t.Fatalf("sets %+v", w.s.Sets)
	}
	if w.s.Services[0].Hash != old || w.set("exp-a").Desired != 2 || !w.set("exp-a").RetireAt.IsZero() {
		t.Fatalf("the old pods go before the new ones serve: %+v", w.s)
	}
	w.work(4)
	if fresh := w.s.Sets[1]; w.s.Services[0].Hash != fresh.Hash || fresh.Desired != 2 || w.template("a").PodTemplateHash != fresh.Hash {
		t.Fatalf("the service stays behind: %+v", w.s)
	}
	if w.set("exp-a").RetireAt.IsZero() {
		t.Fatalf("the old pods stay: %+v", w.set("exp-a"))
	}
	w.later(time.Minute)
	w.work(2)
	if w.set("exp-a").Desired != 0 {
		t.Errorf("the old pods stay: %+v", w.set("exp-a"))
	}
	w.phase("in the end", running, "")
	w.s.Spec.Templates[0].Template.Spec.Containers[0].Image = "a"
	w.look() // the observer knows the first one by its template again
	w.work(6)
	if len(w.s.Sets) != 2 || w.set("exp-a").Desired != 2 {
		t.Errorf("going back made a third: %+v", w.s.Sets)
	}
}

// The Rollout sends traffic to a Service that the status names. One that is to select
// other pods loses its name first, and is let go of before it moves.
func TestAServiceIsNotNamedWhileItMoves(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a", withService("s"))))
	w.work(6)
	old := w.set("exp-a").Hash
	w.s.Spec.Templates[0].Template.Spec.Containers[0].Image = "z"
	w.s.Sets = append(w.s.Sets, Set{Template: "a", Name: "exp-a-z", Hash: Hash(&w.s.Spec.Templates[0].Template, nil), Desired: 1, Actual: 1, Ready: 1, Available: 1, Observed: true})
	w.log = nil
	w.pass()
	if a := w.template("a"); len(w.log) > 0 || a.ServiceName != "" || a.PodTemplateHash != "" {
		t.Fatalf("it moves at once: %v, %+v", w.log, a)
	}
	w.s.Services[0].Routed = true
	w.pass()
	if len(w.log) > 0 {
		t.Fatalf("it moves while traffic arrives over it: %v", w.log)
	}
	w.s.Services[0].Routed = false
	w.pass()
	w.pass()
	if a := w.template("a"); w.log[0] != "point service s at exp-a-z" || a.ServiceName != "s" || a.PodTemplateHash == old {
		t.Errorf("%v, %+v", w.log, a)
	}
	w.s.Spec.Templates[0].Service = nil
	w.log = nil
	w.pass()
	if len(w.log) > 0 || w.template("a").ServiceName != "" {
		t.Fatalf("it goes at once: %v", w.log)
	}
	w.pass()
	if !slices.Contains(w.log, "delete service s") {
		t.Errorf("%v", w.log)
	}
}

func TestATemplateThatIsTakenOutGoes(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a"), aTemplate("b", withService(""))), delay(10))
	w.work(6)
	w.s.Spec.Templates = w.s.Spec.Templates[:1]
	w.work(3)
	if w.set("exp-b").Desired != 1 || len(w.s.Services) != 1 {
		t.Fatalf("without its delay: %+v", w.s)
	}
	w.work(15)
	if w.set("exp-b").Desired != 0 || len(w.s.Services) != 0 || len(w.s.Status.TemplateStatuses) != 1 {
		t.Errorf("what is left: %+v", w.s)
	}
	w.phase("in the end", running, "")
}

func TestAReplicaSetOnItsWayOutIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.work(6)
	w.set("exp-a").Deleting = true
	w.log = nil
	w.work(3)
	if len(w.log) > 0 {
		t.Fatalf("did %v", w.log)
	}
	w.s.Sets = nil
	w.work(1)
	if !slices.Equal(w.log, []string{"create set exp-a (" + w.s.Sets[0].Hash + ")"}) {
		t.Errorf("did %v", w.log)
	}
}

func TestWhatTheAPIServerRefusesEndsTheTemplate(t *testing.T) {
	hash := func() string { x := aTemplate("a"); return Hash(&x.Template, nil) }()
	for name, c := range map[string]struct {
		action Action
		mods   []mod
		want   string
		event  string
	}{
		"the ReplicaSet": {action: EnsureSet{Name: "exp-a", Hash: hash},
			want: "Failed to create ReplicaSet for template 'a': quota"},
		"its pods": {action: Scale{Set: "exp-a", From: 0, To: 1},
			want:  "Unable to scale ReplicaSet for template 'a' to desired replica count '1': quota",
			event: "Warning ReplicaSetUpdateError Unable to scale ReplicaSet for template 'a' to desired replica count '1': quota"},
		"its Service": {action: EnsureService{Name: "s", Set: "exp-a"}, mods: []mod{templates(aTemplate("a", withService("s")))},
			want: "Failed to create Service s for template 'a': quota"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.mods...)
			w.refused[c.action.String()] = "quota"
			w.work(5)
			if a := w.template("a"); a.Message != c.want {
				t.Errorf("%+v", a)
			}
			w.phase("after the refusal", errored, c.want)
			if n := w.told("Warning TemplateError Template 'a' transitioned from Progressing -> Error: " + c.want); n != 1 {
				t.Errorf("events %s", strings.Join(w.events, "\n"))
			}
			if c.event != "" && !slices.Contains(w.events, c.event) {
				t.Errorf("events %s", strings.Join(w.events, "\n"))
			}
		})
	}
}

func TestARefusedScaleDownIsTriedAgain(t *testing.T) {
	w := newWorld(t, delay(0))
	w.work(5)
	down := Scale{Set: "exp-a", From: 1, To: 0}
	w.refused[down.String()] = "no"
	w.s.Spec.Terminate = true
	w.work(5)
	w.phase("told to end", succeeded, "")
	delete(w.refused, down.String())
	w.work(2)
	if w.set("exp-a").Desired != 0 {
		t.Errorf("%+v", w.set("exp-a"))
	}
}

func TestServices(t *testing.T) {
	portless := func(t *v1alpha1.TemplateSpec) { t.Template.Spec.Containers[0].Ports = nil }
	for name, c := range map[string]struct {
		template v1alpha1.TemplateSpec
		foreign  []Service
		want     []string // Services in the end
		fault    string
	}{
		// Covers: edge 162.
		"no container port, no Service": {template: aTemplate("a", withService("s"), portless)},
		"none is asked for":             {template: aTemplate("a")},
		// Covers: edge 169.
		"a name of its own":              {template: aTemplate("a", withService("s")), want: []string{"s"}},
		"the ReplicaSet's name":          {template: aTemplate("a", withService("")), want: []string{"exp-a"}},
		"no pods, no Service":            {template: aTemplate("a", withService("s"), replicas(0))},
		"a name that somebody else uses": {template: aTemplate("a", withService("s")), foreign: []Service{{Name: "s"}}, fault: "Failed to create Service s for template 'a': service s already exists and is not owned by experiment template a", want: []string{"s"}},
		"a name under which it has none": {template: aTemplate("a", withService("s")), foreign: []Service{{Name: "old", Template: "a"}}, want: []string{"s"}},
		"one that is being deleted":      {template: aTemplate("a", withService("s")), foreign: []Service{{Name: "s", Template: "a", Deleting: true}}, want: []string{"s"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, templates(c.template))
			w.s.Services = c.foreign
			w.work(6)
			var got []string
			for _, s := range w.s.Services {
				got = append(got, s.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("services %v, want %v", got, c.want)
			}
			if a := w.template("a"); a.Message != c.fault || (a.Status == v1alpha1.TemplateStatusError) != (c.fault != "") {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestTwoTemplatesCannotShareAService(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a", withService("s")), aTemplate("b", withService("s"))))
	w.work(6)
	w.phase("with one name twice", errored, "Failed to create Service s for template 'b': service s already exists and is not owned by experiment template b")
}

func TestAServiceTakenUnseenIsAFault(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a", withService("s"))))
	w.work(1)
	w.pass()
	w.s.Services = nil // ours was never made: the cache of Services does not show somebody else's
	w.refuse(EnsureService{Name: "s", Set: "exp-a"}, Refusal{Taken: true})
	w.pass()
	if a := w.template("a"); a.Message != "Failed to create Service s for template 'a': service s already exists and is not owned by experiment template a" {
		t.Errorf("%+v", a)
	}
}

func TestDelays(t *testing.T) {
	for name, c := range map[string]struct {
		delay     *int32
		mark      func(*Set)
		downAfter time.Duration
	}{
		"none is at once":           {delay: ptr(int32(0))},
		"a negative one is at once": {delay: ptr(int32(-5))},
		"not given, 30 s":           {downAfter: 30 * time.Second},
		"an hour":                   {delay: ptr(int32(3600)), downAfter: time.Hour},
		"one that has begun":        {mark: func(s *Set) { s.RetireAt = start.Add(10*time.Second + 7*time.Second) }, downAfter: 10 * time.Second},
		"one that has ended":        {mark: func(s *Set) { s.RetireAt = start }},
		"one that is no time":       {mark: func(s *Set) { s.RetireUnreadable = true }, downAfter: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(s *v1alpha1.ExperimentSpec) { s.ScaleDownDelaySeconds = c.delay })
			w.work(7)
			w.s.Spec.Terminate = true
			if c.mark != nil {
				c.mark(w.set("exp-a"))
			}
			begin := w.s.Now
			for w.set("exp-a").Desired > 0 && w.s.Now.Sub(begin) < 2*time.Hour {
				w.pass()
				if w.set("exp-a").Desired == 0 {
					break
				}
				if w.plan.Wake.IsZero() {
					t.Fatal("it never wakes")
				}
				w.s.Now = w.plan.Wake
			}
			if got := w.s.Now.Sub(begin); got != c.downAfter {
				t.Errorf("the pods go after %v, want %v", got, c.downAfter)
			}
			w.work(1)
			w.phase(name, succeeded, "")
			if s := w.template("a").Status; s != v1alpha1.TemplateStatusSuccessful {
				t.Errorf("template %s", s)
			}
		})
	}
}

func TestPodsStayWhileTheRolloutListsThem(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a", withService("s"))), delay(30))
	w.work(7)
	w.set("exp-a").Routed = true
	w.s.Spec.Terminate = true
	w.set("exp-a").RetireAt = w.s.Now.Add(-time.Hour) // from somebody who did not look
	w.log = nil
	w.later(time.Hour)
	w.work(3)
	if s := w.set("exp-a"); s.Desired != 1 || !s.RetireAt.IsZero() || len(w.s.Services) != 1 || w.template("a").ServiceName != "s" {
		t.Fatalf("it lets go of pods that serve: %+v, %v", s, w.log)
	}
	if !slices.ContainsFunc(w.plan.Notes, func(n Note) bool { return n.Kind == Waiting && n.Reason == StillRouted }) {
		t.Errorf("no word of it: %+v", w.plan.Notes)
	}
	w.set("exp-a").Routed = false
	from := w.s.Now
	w.pass()
	if s := w.set("exp-a"); !s.RetireAt.Equal(from.Add(30*time.Second)) || s.Desired != 1 {
		t.Fatalf("the delay does not count from when traffic left: %+v", s)
	}
	w.later(30 * time.Second)
	w.work(4)
	if w.set("exp-a").Desired != 0 || len(w.s.Services) != 0 {
		t.Errorf("it does not end: %+v", w.s)
	}
}

func TestFewerPodsAreNotWantedWhileTheyAreRouted(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a", replicas(3))))
	w.work(5)
	w.set("exp-a").Routed = true
	w.s.Spec.Templates[0].Replicas = ptr(int32(1))
	w.work(2)
	if w.set("exp-a").Desired != 3 {
		t.Fatalf("%+v", w.set("exp-a"))
	}
	w.set("exp-a").Routed = false
	w.work(1)
	if w.set("exp-a").Desired != 1 {
		t.Errorf("%+v", w.set("exp-a"))
	}
}

// A status that belongs to a former size says nothing about the pods of this one.
func TestStaleCountersDoNotCount(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a", replicas(2))))
	w.pass()
	s := w.set("exp-a")
	s.Available, s.Actual, s.Observed, s.Desired = 2, 2, false, 2
	w.pass()
	w.pass()
	if a := w.template("a"); a.Status != v1alpha1.TemplateStatusProgressing || w.s.Status.AvailableAt != nil {
		t.Errorf("%+v", a)
	}
}

func TestHashLeavesTheRolloutsHashOut(t *testing.T) {
	a := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}}
	b := *a.DeepCopy()
	b.Labels[v1alpha1.PodTemplateHashLabel] = "abc"
	if Hash(&a, nil) != Hash(&b, nil) || b.Labels[v1alpha1.PodTemplateHashLabel] != "abc" {
		t.Error("the inherited label counts, or was taken away")
	}
	if Hash(&a, nil) == Hash(&a, ptr(int32(1))) {
		t.Error("a collision changes nothing")
	}
}

func TestDidTellsOfScales(t *testing.T) {
	for a, want := range map[Scale]string{
		{Set: "exp-a", From: 0, To: 2}: "Scaled up ReplicaSet exp-a from 0 to 2",
		{Set: "exp-a", From: 2, To: 0}: "Scaled down ReplicaSet exp-a from 2 to 0",
	} {
		n, ok := Did(a)
		if d := cmp.Diff(Note{Kind: Event, Reason: ScalingReplicaSet, Message: want}, n); d != "" || !ok {
			t.Error(d)
		}
	}
	if _, ok := Did(EnsureSet{}); ok {
		t.Error("making a ReplicaSet is no event")
	}
}
