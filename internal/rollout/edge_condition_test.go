package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// says is one condition as "Status Reason: message".
func says(st v1alpha1.RolloutStatus, kind v1alpha1.RolloutConditionType) string {
	c := conditionOf(st, kind)
	return strings.TrimSpace(fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message))
}

// TestConditionsToTheLetter follows one rollout through its states, pass by pass
// (core.md §7.3). A wait of kubectl for a condition ends when its status is True.
func TestConditionsToTheLetter(t *testing.T) {
	s := given(routed(0, "v1"))
	expect := func(when string, want map[v1alpha1.RolloutConditionType]string) {
		t.Helper()
		for kind, text := range want {
			if got := says(s.Status, kind); got != text {
				t.Errorf("%s: %s is %q, want %q", when, kind, got, text)
			}
		}
	}
	const healthy, completed, paused, progressing, available = v1alpha1.RolloutHealthy, v1alpha1.RolloutCompleted, v1alpha1.RolloutPaused, v1alpha1.RolloutProgressing, v1alpha1.RolloutAvailable
	// Covers: edge 149.
	expect("at rest", map[v1alpha1.RolloutConditionType]string{
		healthy: "True RolloutHealthy: Rollout is healthy", completed: "True RolloutCompleted: RolloutCompleted", paused: ":",
		progressing: `True NewReplicaSetAvailable: ReplicaSet "demo-v1" has successfully progressed.`,
		available:   "True AvailableReason: Rollout has minimum availability"})
	changed(&s)
	persist(&s)
	persist(&s)
	expect("with a new template", map[v1alpha1.RolloutConditionType]string{
		healthy: "False RolloutHealthy: Rollout is not healthy", completed: "False RolloutCompleted: RolloutCompleted",
		available:   "True AvailableReason: Rollout has minimum availability",
		progressing: `True NewReplicaSetCreated: Created new replica set "demo-v2"`})
	updating(1, 1)(&s)
	routed(25, "v2")(&s)
	persist(&s)
	expect("in the pause", map[v1alpha1.RolloutConditionType]string{
		paused: "True RolloutPaused: Rollout is paused", progressing: "Unknown RolloutPaused: Rollout is paused"})
	s.Status.PauseConditions = nil
	persist(&s)
	expect("after the pause", map[v1alpha1.RolloutConditionType]string{
		paused: "False RolloutPaused: Rollout is paused", progressing: "Unknown RolloutResumed: Rollout is resumed"})
	pods("v2", 4, 2)(&s)
	persist(&s)
	expect("on the way", map[v1alpha1.RolloutConditionType]string{progressing: `True ReplicaSetUpdated: ReplicaSet "demo-v2" is progressing.`})
	s.Status.Abort = true
	persist(&s)
	expect("after an abort", map[v1alpha1.RolloutConditionType]string{progressing: "False RolloutAborted: Rollout aborted update to revision 2"})
	s.Status.Abort = false
	persist(&s)
	expect("after a retry", map[v1alpha1.RolloutConditionType]string{progressing: "Unknown RolloutRetry: Retrying Rollout after abort"})
	pods("v1", 4, 1)(&s)
	persist(&s)
	expect("with stable pods missing", map[v1alpha1.RolloutConditionType]string{available: "False AvailableReason: Rollout does not have minimum availability"})
}

func TestTheDeadline(t *testing.T) {
	abort := func(s *snapshot) { s.Spec.ProgressDeadlineAbort = true }
	const late = `False ProgressDeadlineExceeded: ReplicaSet "demo-v2" has timed out progressing.`
	waiting := []mod{routed(0, "v2"), updating(1, 0), seen, seen}
	retiring := of("v0", func(r *rollout.Revision) { r.RetireAt = noon.Add(time.Hour) })
	for name, c := range map[string]struct {
		mods    []mod
		want    string // of the Progressing condition
		aborted bool
	}{
		"the deadline has passed":             {append(slices.Clone(waiting), later(11*time.Minute)), late, false},
		"the deadline has not":                {append(slices.Clone(waiting), later(9*time.Minute)), `True ReplicaSetUpdated: ReplicaSet "demo-v2" is progressing.`, false},
		"an old revision waits for its end":   {append(slices.Clone(waiting), old("v0", 0, 4, 4), retiring, seen, seen, later(11*time.Minute)), `True ReplicaSetUpdated: ReplicaSet "demo-v2" is progressing.`, false}, // Covers: edge 85.
		"an abort is wanted at the deadline":  {append(slices.Clone(waiting), abort, later(11*time.Minute)), `False RolloutAborted: Rollout aborted update to revision 2: ReplicaSet "demo-v2" has timed out progressing.`, true},
		"it goes on after the deadline":       {append(slices.Clone(waiting), later(11*time.Minute), seen, pods("v2", 1, 1)), `True ReplicaSetUpdated: ReplicaSet "demo-v2" is progressing.`, false},                                                                           // Covers: edge 141.
		"a promoted one that lost a pod":      {[]mod{routed(0, "v1"), pods("v1", 4, 3)}, "True ReplicaSetNotAvailable: Rollout does not have minimum availability", false},                                                                                                    // Covers: edge 142.
		"a promoted one that stays so":        {[]mod{routed(0, "v1"), abort, pods("v1", 4, 3), seen, later(11 * time.Minute)}, `False ProgressDeadlineExceeded: ReplicaSet "demo-v1" has timed out progressing.`, false},                                                      // Covers: edge 126.
		"a pause of an hour":                  {[]mod{routed(25, "v2"), updating(1, 1), at(1), seen, later(time.Hour)}, "Unknown RolloutPaused: Rollout is paused", false},                                                                                                     // Covers: edge 52, edge 140, outage 43.
		"the first pass after a pause":        {[]mod{routed(25, "v2"), updating(1, 1), at(1), seen, later(time.Hour), func(s *snapshot) { s.Status.PauseConditions = nil }}, "Unknown RolloutResumed: Rollout is resumed", false},                                             // Covers: edge 140, outage 43.
		"a retry of an old abort":             {[]mod{routed(0, "v2"), updating(1, 0), abort, func(s *snapshot) { s.Status.Abort = true }, seen, later(time.Hour), func(s *snapshot) { s.Status.Abort = false }}, "Unknown RolloutRetry: Retrying Rollout after abort", false}, // Covers: edge 139.
		"the first deployment is not aborted": {[]mod{pods("v1", 4, 0), abort, seen, later(11 * time.Minute)}, `False ProgressDeadlineExceeded: ReplicaSet "demo-v1" has timed out progressing.`, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(c.mods...))
			if got := says(p.Status, v1alpha1.RolloutProgressing); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if p.Status.Abort != c.aborted || len(told(p, "RolloutAborted")) > 1 {
				t.Errorf("abort %v, told %v", p.Status.Abort, told(p, "RolloutAborted"))
			}
		})
	}
}

// TestAReplicaSetThatCannotBeMade: core.md §3.4 and §7.3.1.
func TestAReplicaSetThatCannotBeMade(t *testing.T) {
	refused := func(text string) mod { return func(s *snapshot) { s.Uncreated = text } }
	made := func(s *snapshot) {
		r := revision("v2", 2, 0, 0)
		r.Current = true
		s.Uncreated, s.Revisions = "", append([]rollout.Revision{r}, s.Revisions...)
	}
	const (
		created = `True NewReplicaSetCreated: Created new replica set "demo-v2"`
		failed  = `False ReplicaSetCreateError: Failed to create new replica set "demo-v2": exceeded quota`
	)
	begun := []mod{routed(0, "v1"), changed, seen}
	for name, c := range map[string]struct {
		mods []mod
		want string
	}{
		"it is to be made":                  {nil, created},
		"it was refused":                    {[]mod{refused("exceeded quota")}, failed},
		"another controller has just begun": {[]mod{refused("exceeded quota"), seen, refused("")}, failed},
		"it was made after all":             {[]mod{refused("exceeded quota"), seen, made}, created},
		"it is refused for too long":        {[]mod{refused("exceeded quota"), seen, later(11 * time.Minute)}, `False ProgressDeadlineExceeded: Rollout "demo" has timed out progressing.`},
		"and still is":                      {[]mod{refused("exceeded quota"), seen, later(11 * time.Minute), seen, later(time.Minute)}, `False ProgressDeadlineExceeded: Rollout "demo" has timed out progressing.`},
		"and then another template is there": {[]mod{refused("exceeded quota"), seen, later(11 * time.Minute), seen, refused(""), func(s *snapshot) { s.TemplateHash = "v3" }},
			`True NewReplicaSetCreated: Created new replica set "demo-v3"`},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(append(slices.Clone(begun), c.mods...)...))
			if got := says(p.Status, v1alpha1.RolloutProgressing); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestARevisionWithoutAConditionIsFound(t *testing.T) {
	p := rollout.Decide(given(routed(0, "v2"), updating(1, 0), seen, func(s *snapshot) { s.Status.Conditions = nil }))
	if got, want := says(p.Status, v1alpha1.RolloutProgressing), `True FoundNewReplicaSet: Found new replica set "demo-v2"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Covers: defect 27.
func TestAnAbortIsToldOnce(t *testing.T) {
	s := given(routed(0, "v2"), updating(1, 0), seen, seen, func(s *snapshot) { s.Spec.ProgressDeadlineAbort = true }, later(11*time.Minute))
	var all []string
	for range 4 {
		p := rollout.Decide(s)
		all = append(all, told(p, "RolloutAborted")...)
		s.Status = p.Status
	}
	if len(all) != 1 {
		t.Errorf("told %v", all)
	}
}

// Covers: edge 61.
func TestAnAbortGoesToTheFirstStepAndARetryBeginsThere(t *testing.T) {
	s := given(routed(25, "v2"), updating(1, 1), at(1), seen, seen)
	s.Status.Abort = true
	for _, when := range []string{"in the first pass", "and it stays there"} {
		if p := rollout.Decide(s); index(p) != 0 || !p.Status.Abort || p.Status.AbortedAt == nil || p.Status.PauseConditions != nil || p.Status.ControllerPause {
			t.Errorf("%s: index %d, %+v", when, index(p), p.Status)
		}
		persist(&s)
	}
	s.Status.Abort = false
	p := rollout.Decide(s)
	if index(p) != 0 || p.Status.AbortedAt != nil || len(told(p, "RolloutStepCompleted")) > 0 {
		t.Errorf("after a retry: index %d, aborted at %v, told %v", index(p), p.Status.AbortedAt, p.Notes)
	}
	none := given(steps(), routed(0, "v2"), updating(4, 1), func(s *snapshot) { s.Status.Abort, s.Status.CurrentStepIndex = true, nil })
	if p := rollout.Decide(none); index(p) != -1 {
		t.Errorf("without steps: index %d", index(p))
	}
}

func TestAnAbortWhereNothingIsUnderWay(t *testing.T) {
	// Covers: edge 62, outage 29.
	s := given(routed(0, "v1"))
	s.Status.Abort = true
	p := rollout.Decide(s)
	does(t, p)
	if p.Status.Abort || p.Status.AbortedAt != nil || index(p) != 2 || p.Status.Phase != v1alpha1.RolloutPhaseHealthy {
		t.Errorf("abort %v, index %d, phase %s", p.Status.Abort, index(p), p.Status.Phase)
	}
}

// Covers: edge 145, edge 150.
func TestEventsOfOneUpdateComeOnce(t *testing.T) {
	s := given(routed(0, "v1"))
	count := map[string]int{}
	pass := func(mods ...mod) {
		for _, m := range mods {
			m(&s)
		}
		for range 3 {
			p := rollout.Decide(s)
			for _, n := range p.Notes {
				if n.Kind != rollout.Waiting {
					count[string(n.Reason)]++
				}
			}
			s.Status = p.Status
		}
	}
	pass(changed)
	pass(func(s *snapshot) {
		s.Revisions = append([]rollout.Revision{revision("v2", 2, 1, 1)}, s.Revisions...)
		s.Revisions[0].Current, s.Number = true, 2
		w := s.Traffic.Written
		w.Destinations = slices.Clone(w.Destinations)
		w.Destinations[1].Hash, w.Destinations[1].Weight, w.Destinations[0].Weight = "v2", 25, 75
		s.Traffic.Written, s.Traffic.Live[0], s.Services[1].Hash = w, w, "v2"
	})
	pass()
	pass(func(s *snapshot) { s.Status.Abort = true })
	want := map[string]int{"RolloutNotCompleted": 1, "TrafficWeightUpdated": 1, "RolloutStepCompleted": 1, "RolloutPaused": 1, "RolloutAborted": 1}
	if d := cmp.Diff(want, count); d != "" {
		t.Error(d)
	}
}

// TestThePhaseComesFromReasons: the condition that stands first gives the message.
// Covers: edge 148.
func TestThePhaseComesFromReasons(t *testing.T) {
	for name, order := range map[string][]int{"as written": {0, 1}, "the other way round": {1, 0}} {
		s := given(routed(0, "v2"), updating(1, 0))
		s.Status.Abort = true
		persist(&s)
		foreign := v1alpha1.RolloutCondition{Type: "Foreign", Status: "True", Reason: "ProgressDeadlineExceeded", Message: "said by another"}
		both := []v1alpha1.RolloutCondition{conditionOf(s.Status, v1alpha1.RolloutProgressing), foreign}
		s.Status.Conditions = []v1alpha1.RolloutCondition{both[order[0]], both[order[1]]}
		p := rollout.Decide(s)
		want := []string{"RolloutAborted: Rollout aborted update to revision 2", "ProgressDeadlineExceeded: said by another"}[order[0]]
		if p.Status.Phase != v1alpha1.RolloutPhaseDegraded || p.Status.Message != want {
			t.Errorf("%s: %s %q, want %q", name, p.Status.Phase, p.Status.Message, want)
		}
	}
}

// Covers: defect 33.
func TestARestartInTheFutureIsNoRestart(t *testing.T) {
	s := given(routed(0, "v1"), func(s *snapshot) { s.Spec.RestartAt = &metav1.Time{Time: noon.Add(time.Hour)} })
	if p := rollout.Decide(s); p.Status.Phase != v1alpha1.RolloutPhaseHealthy {
		t.Errorf("%s %s", p.Status.Phase, p.Status.Message)
	}
}

// A spec that nobody has looked at yet is not healthy, whatever the pods are (core.md §7.3.2).
func TestHealthyIsSaidOfASpecThatAPassHasSeen(t *testing.T) {
	s := given(routed(0, "v1"), func(s *snapshot) { s.Generation = 2 })
	for _, want := range []string{"False RolloutHealthy: Rollout is not healthy", "True RolloutHealthy: Rollout is healthy"} {
		persist(&s)
		if got := says(s.Status, v1alpha1.RolloutHealthy); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Covers: edge 144.
func TestAPausedHealthyRolloutDoesNotFlap(t *testing.T) {
	s := given(routed(0, "v1"), func(s *snapshot) { s.Spec.Paused, s.Generation = true, 2 }, seen, seen)
	for range 3 {
		later(time.Hour)(&s)
		p := rollout.Decide(s)
		does(t, p)
		if d := cmp.Diff(s.Status, p.Status); d != "" {
			t.Fatalf("the status changes:\n%s", d)
		}
	}
	if s.Status.Phase != v1alpha1.RolloutPhasePaused || !strings.HasPrefix(says(s.Status, v1alpha1.RolloutProgressing), "True") {
		t.Errorf("%s, progressing %s", s.Status.Phase, says(s.Status, v1alpha1.RolloutProgressing))
	}
}

// Covers: edge 143.
func TestAtRestNothingIsWritten(t *testing.T) {
	for name, s := range map[string]snapshot{
		"healthy":   given(routed(0, "v1")),
		"paused":    given(routed(25, "v2"), updating(1, 1), seen, seen, seen),
		"aborted":   given(routed(0, "v1"), updating(0, 0), func(s *snapshot) { s.Status.Abort = true }, seen, seen),
		"too late":  given(routed(0, "v2"), updating(1, 0), seen, later(time.Hour), seen, seen),
		"by itself": given(),
	} {
		later(time.Hour)(&s)
		p := rollout.Decide(s)
		does(t, p)
		if d := cmp.Diff(s.Status, p.Status); d != "" {
			t.Errorf("%s: the status changes:\n%s", name, d)
		}
	}
}

// Covers: outage 33.
func TestAnAutoscalerSeesThePodsThatTheSelectorSelects(t *testing.T) {
	p := rollout.Decide(given(routed(25, "v2"), updating(1, 1), old("v0", 0, 4, 2)))
	if p.Status.HPAReplicas != 9 || p.Status.Replicas != 9 || p.Status.Selector != "app=demo" {
		t.Errorf("HPA %d, replicas %d, selector %q", p.Status.HPAReplicas, p.Status.Replicas, p.Status.Selector)
	}
}

// Covers: outage 49.
func TestAnEmptyStatusIsDerivedAnew(t *testing.T) {
	s := given(routed(0, "v1"))
	s.Status = v1alpha1.RolloutStatus{}
	for range 4 {
		p := rollout.Decide(s)
		does(t, p)
		s.Status = p.Status
	}
	if s.Status.Phase != v1alpha1.RolloutPhaseHealthy || s.Status.StableRS != "v1" || s.Status.CurrentPodHash != "v1" {
		t.Errorf("%s %s, stable %q", s.Status.Phase, s.Status.Message, s.Status.StableRS)
	}
}
