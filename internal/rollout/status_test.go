package rollout

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// midway is a routed canary of v2 at step 0 (setWeight 50) of setWeight 50, pause.
func midway(mods ...func(*Snapshot)) Snapshot {
	a := newArena(twoSet, nil)
	s := a.quiet(2)
	s.Template, s.Pos, s.Index = 1, 1, 0
	s.Revs[1] = smallRev{Exists: true, Number: 2}
	snap := a.snapshot(&s)
	for _, mod := range mods {
		mod(&snap)
	}
	return snap
}

func condition(t *testing.T, p Plan, kind v1alpha1.RolloutConditionType) v1alpha1.RolloutCondition {
	t.Helper()
	c := getCondition(&p.Status, kind)
	if c == nil {
		t.Fatalf("no condition %s", kind)
	}
	return *c
}

func has(p Plan, r Reason) (count int) {
	for _, n := range p.Notes {
		if n.Reason == r && n.Kind != Waiting {
			count++
		}
	}
	return count
}

func TestPhase(t *testing.T) {
	aborted := v1alpha1.RolloutCondition{Type: v1alpha1.RolloutProgressing, Reason: reasonAborted, Message: "why"}
	invalid := v1alpha1.RolloutCondition{Type: v1alpha1.RolloutInvalidSpec, Reason: "InvalidSpec", Message: "what"}
	late := v1alpha1.RolloutCondition{Type: v1alpha1.RolloutProgressing, Reason: reasonTimedOut, Message: "slow"}
	full := v1alpha1.RolloutStatus{UpdatedReplicas: 2, AvailableReplicas: 2, Replicas: 2, StableRS: "v1", CurrentPodHash: "v1"}
	for name, c := range map[string]struct {
		change func(*view, *v1alpha1.RolloutStatus)
		phase  v1alpha1.RolloutPhase
		text   string
	}{
		"healthy": {func(*view, *v1alpha1.RolloutStatus) {}, "Healthy", ""},
		"an invalid spec comes before an abort": {func(_ *view, s *v1alpha1.RolloutStatus) {
			s.Conditions = []v1alpha1.RolloutCondition{invalid, aborted}
		}, "Degraded", "InvalidSpec: what"},
		"aborted, although a person paused it too": {func(v *view, s *v1alpha1.RolloutStatus) {
			s.Conditions, v.Spec.Paused = []v1alpha1.RolloutCondition{aborted}, true
		}, "Degraded", "RolloutAborted: why"},
		"too slow": {func(_ *view, s *v1alpha1.RolloutStatus) { s.Conditions = []v1alpha1.RolloutCondition{late} },
			"Degraded", "ProgressDeadlineExceeded: slow"},
		"paused by the spec": {func(v *view, _ *v1alpha1.RolloutStatus) { v.Spec.Paused = true }, "Paused", "manually paused"},
		"paused by the controller": {func(_ *view, s *v1alpha1.RolloutStatus) {
			s.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonInconclusiveAnalysis}}
		}, "Paused", "InconclusiveAnalysisRun"},
		"new pods missing": {func(_ *view, s *v1alpha1.RolloutStatus) { s.UpdatedReplicas = 1 }, "Progressing", "more replicas need to be updated"},
		"new pods not available": {func(_ *view, s *v1alpha1.RolloutStatus) { s.AvailableReplicas = 1 }, "Progressing",
			"updated replicas are still becoming available"},
		"old pods without a router": {func(v *view, s *v1alpha1.RolloutStatus) { v.Routed, s.Replicas = false, 3 }, "Progressing",
			"old replicas are pending termination"},
		"old pods with a router do not matter": {func(_ *view, s *v1alpha1.RolloutStatus) { s.Replicas = 3 }, "Healthy", ""},
		"a restart that has begun": {func(v *view, _ *v1alpha1.RolloutStatus) { v.Spec.RestartAt = &metav1.Time{Time: v.Now} },
			"Progressing", "rollout is restarting"},
		"blue-green whose active Service has no hash": {func(v *view, _ *v1alpha1.RolloutStatus) { v.blue = &v1alpha1.BlueGreenStrategy{} },
			"Progressing", "active service cutover pending"},
		"blue-green whose active Service is elsewhere": {func(v *view, s *v1alpha1.RolloutStatus) {
			v.blue, s.BlueGreen.ActiveSelector = &v1alpha1.BlueGreenStrategy{}, "v0"
		}, "Progressing", "active service cutover pending"},
		"blue-green in its post-promotion analysis": {func(v *view, s *v1alpha1.RolloutStatus) {
			v.blue = &v1alpha1.BlueGreenStrategy{PostPromotionAnalysis: &v1alpha1.RolloutAnalysis{}}
			s.BlueGreen.ActiveSelector, s.StableRS = "v1", "v0"
			s.BlueGreen.PostPromotionAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Status: v1alpha1.AnalysisPhaseRunning}
		}, "Progressing", "waiting for analysis to complete"},
		"blue-green after it": {func(v *view, s *v1alpha1.RolloutStatus) {
			v.blue = &v1alpha1.BlueGreenStrategy{PostPromotionAnalysis: &v1alpha1.RolloutAnalysis{}}
			s.BlueGreen.ActiveSelector, s.StableRS = "v1", "v0"
			s.BlueGreen.PostPromotionAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Status: v1alpha1.AnalysisPhaseSuccessful}
		}, "Progressing", "waiting for post-promotion verification to complete"},
		"blue-green that is promoted, with old pods": {func(v *view, s *v1alpha1.RolloutStatus) {
			v.blue, s.BlueGreen.ActiveSelector, s.Replicas = &v1alpha1.BlueGreenStrategy{}, "v1", 4
		}, "Healthy", ""},
		"a first deployment": {func(_ *view, s *v1alpha1.RolloutStatus) { s.StableRS, s.CurrentPodHash = "", "" },
			"Progressing", "waiting for all steps to complete"},
		"steps left": {func(_ *view, s *v1alpha1.RolloutStatus) { s.StableRS = "v0" }, "Progressing", "waiting for all steps to complete"},
	} {
		t.Run(name, func(t *testing.T) {
			snap := midway()
			v, st := newView(&snap), full
			c.change(v, &st)
			if ph, text := phase(v, &st); ph != c.phase || text != c.text {
				t.Errorf("%s %q, want %s %q", ph, text, c.phase, c.text)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	old := func(reason string, age time.Duration) func(*Snapshot) {
		return func(s *Snapshot) {
			at := metav1.NewTime(epoch.Add(-age))
			s.Status.Conditions = []v1alpha1.RolloutCondition{{Type: v1alpha1.RolloutProgressing, Status: corev1.ConditionTrue,
				Reason: reason, LastUpdateTime: at, LastTransitionTime: at}}
			p := Decide(*s) // counters as the last pass left them, so that nothing has progressed
			conds := s.Status.Conditions
			s.Status.Replicas, s.Status.UpdatedReplicas = p.Status.Replicas, p.Status.UpdatedReplicas
			s.Status.ReadyReplicas, s.Status.AvailableReplicas = p.Status.ReadyReplicas, p.Status.AvailableReplicas
			s.Status.Conditions = conds
		}
	}
	for name, c := range map[string]struct {
		snap           Snapshot
		status, reason string
		text           string
	}{
		"the deadline has passed":                    {midway(old(reasonUpdated, 11*time.Minute)), "False", reasonTimedOut, `ReplicaSet "demo-v2" has timed out progressing.`},
		"the deadline has not":                       {midway(old(reasonUpdated, 9*time.Minute)), "True", reasonUpdated, ""},
		"139: a retry prevents an immediate timeout": {midway(old(reasonAborted, time.Hour)), "Unknown", reasonRetry, "Retrying Rollout after abort"}, // Covers: edge 139.
		"140: a resume restarts the clock":           {midway(old(reasonPaused, time.Hour)), "Unknown", reasonResumed, "Rollout is resumed"},          // Covers: edge 140.
		// Covers: edge 138.
		"138: a user's abort has no suffix": {midway(old(reasonUpdated, time.Minute), func(s *Snapshot) { s.Status.Abort = true }),
			"False", reasonAborted, "Rollout aborted update to revision 2"},
		"144: paused by the spec": {midway(old(reasonUpdated, time.Minute), func(s *Snapshot) { s.Spec.Paused = true }),
			"Unknown", reasonPaused, "Rollout is paused"},
	} {
		t.Run(name, func(t *testing.T) {
			got := condition(t, Decide(c.snap), v1alpha1.RolloutProgressing)
			if string(got.Status) != c.status || got.Reason != c.reason || c.text != "" && got.Message != c.text {
				t.Errorf("%s %s %q", got.Status, got.Reason, got.Message)
			}
		})
	}
}

// Covers: edge 138.
func TestAbortByAnalysisSaysWhy(t *testing.T) {
	a := newArena(check, nil)
	s := a.quiet(2)
	s.Template, s.Pos, s.Index, s.Weight, s.LiveWeights, s.Canary, s.LiveCanary = 1, 1, 1, 1, 2, 1, 2
	s.Revs[1] = smallRev{Exists: true, Desired: 1, Avail: 1, Number: 2}
	s.Run, s.Named, s.RunRev = 3, 2, 1
	snap := a.snapshot(&s)
	snap.Runs[0].Message = `Metric "errors" assessed Failed due to failed (1) > failureLimit (0)`
	p := Decide(snap)
	c := condition(t, p, v1alpha1.RolloutProgressing)
	want := `Rollout aborted update to revision 2: Step-based analysis phase error/failed: Metric "errors" assessed Failed due to failed (1) > failureLimit (0)`
	if !p.Status.Abort || c.Message != want || p.Status.Phase != v1alpha1.RolloutPhaseDegraded {
		t.Errorf("%v %s %q", p.Status.Abort, p.Status.Phase, c.Message)
	}
	if text := planText(p); !strings.Contains(text, "Canary v2 0") || strings.Contains(text, "scale") {
		t.Errorf("the pass that sees the verdict moves traffic, and no pods: %s", text)
	}
	snap.Status = p.Status
	if next := Decide(snap); has(next, RolloutAborted) != 0 || !strings.Contains(planText(next), "Canary v2 0") {
		t.Errorf("the next pass: %s", planText(next))
	}
	if has(p, RolloutAborted) != 1 {
		t.Error("one RolloutAborted event is wanted")
	}
}

func planText(p Plan) string {
	var lines []string
	for _, a := range p.Actions {
		lines = append(lines, a.String())
	}
	return strings.Join(lines, "; ")
}

func TestPositions(t *testing.T) {
	five := intstr.FromString("5m")
	for name, c := range map[string]struct {
		change func(*Snapshot)
		check  func(Plan) string
	}{
		// Covers: edge 42.
		"42: a new template starts over and drops pause, abort and full promotion": {func(s *Snapshot) {
			s.Status.CurrentPodHash, s.Status.Abort, s.Status.PromoteFull = "old", true, true
			s.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonCanaryPauseStep}}
		}, func(p Plan) string {
			if p.Status.Abort || p.Status.PromoteFull || len(p.Status.PauseConditions) > 0 || *p.Status.CurrentStepIndex != 0 {
				return "something was kept"
			}
			return ""
		}},
		// Covers: edge 46.
		"46: an empty stored step hash resets": {func(s *Snapshot) { s.Status.CurrentStepHash = "" }, func(p Plan) string {
			if p.Status.CurrentStepHash == "" || len(p.Actions) != 0 {
				return "not a reset pass: " + planText(p)
			}
			return ""
		}},
		// Covers: defect 12.
		"an index beyond the steps is clamped": {func(s *Snapshot) { n := int32(9); s.Status.CurrentStepIndex = &n }, func(p Plan) string {
			if *p.Status.CurrentStepIndex != 2 {
				return "not clamped"
			}
			return ""
		}},
		// Covers: edge 6.
		"a name that is taken raises the collision count": {func(s *Snapshot) {
			s.Revisions, s.NameTaken = s.Revisions[1:], true
		}, func(p Plan) string {
			if p.Status.CollisionCount == nil || *p.Status.CollisionCount != 1 || strings.Contains(planText(p), "create") {
				return "no new name: " + planText(p)
			}
			return ""
		}},
		// Covers: edge 51.
		"51: a timed pause does not end while the spec pauses": {func(s *Snapshot) {
			one := int32(1)
			s.Status.CurrentStepIndex, s.Spec.Paused = &one, true
			c := *s.Spec.Strategy.Canary
			c.Steps = []v1alpha1.CanaryStep{{SetWeight: &w50}, {Pause: &v1alpha1.RolloutPause{Duration: &five}}}
			s.Spec.Strategy.Canary, s.StepsHash = &c, v1alpha1.StepHash(c.Steps)
			s.Status.CurrentStepHash = s.StepsHash
			s.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonCanaryPauseStep, StartTime: metav1.NewTime(epoch.Add(-time.Hour))}}
			s.Status.ControllerPause = true
		}, func(p Plan) string {
			if *p.Status.CurrentStepIndex != 1 {
				return "it went on"
			}
			return ""
		}},
		// Covers: edge 50.
		"50: a resume goes on by exactly one step": {func(s *Snapshot) {
			one := int32(1)
			s.Status.CurrentStepIndex, s.Status.ControllerPause = &one, true
		}, func(p Plan) string {
			if *p.Status.CurrentStepIndex != 2 || p.Status.ControllerPause || has(p, RolloutResumed) != 1 {
				return "index, controllerPause or event is wrong"
			}
			return ""
		}},
		// Covers: edge 89.
		"what cannot be read keeps every pod and every weight": {func(s *Snapshot) {
			s.Trouble = []Note{{Waiting, Unreadable, "get route: timeout"}}
			s.Revisions[0].Desired, s.Revisions[0].Available = 2, 2
		}, func(p Plan) string {
			if strings.Contains(planText(p), "set split") || strings.Contains(planText(p), "scale v2") {
				return planText(p)
			}
			return ""
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if wrong := c.check(Decide(midway(c.change))); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}
