package experiment

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Covers: edge 165, edge 168, analysis edge 137.
func TestAnExperimentRunsForItsDurationAndCleansUp(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a", withService("")), aTemplate("b", replicas(2))), lasting("1m"), delay(30), measuredBy("m"))
	w.pass()
	w.phase("at first", pending, "")
	w.pass()
	w.phase("without pods", pending, "")
	if w.s.Status.AvailableAt != nil || len(w.s.Runs) > 0 {
		t.Fatalf("it counts as available without pods: %+v", w.s)
	}
	w.up()
	w.pass()
	w.phase("with pods", running, "")
	if at := w.s.Status.AvailableAt; at == nil || !at.Time.Equal(start) {
		t.Fatalf("availableAt is %v", at)
	}
	w.work(3)
	w.says("exp-m", running, "")
	w.work(1)
	if a := w.template("a"); a.ServiceName != "exp-a" || a.PodTemplateHash != w.set("exp-a").Hash || a.AvailableReplicas != 1 || a.UpdatedReplicas != 1 {
		t.Errorf("status of a: %+v", a)
	}
	if b := w.template("b"); b.ServiceName != "" || b.PodTemplateHash != "" || b.AvailableReplicas != 2 {
		t.Errorf("status of b: %+v", b)
	}
	w.quiet("while it runs")
	if want := start.Add(time.Minute); w.plan.Wake != want {
		t.Errorf("wakes at %v, want %v", w.plan.Wake, want)
	}
	w.s.Now = start.Add(time.Minute)
	w.pass()
	w.phase("after its duration, with an analysis running that is not required", succeeded, "")
	w.log = nil
	w.pass()
	if want := []string{"retire exp-a at 10:01:30", "retire exp-b at 10:01:30", "stop analysis exp-m"}; !slices.Equal(w.log, want) {
		t.Fatalf("did %v, want %v", w.log, want)
	}
	w.later(29 * time.Second)
	w.pass()
	if w.set("exp-a").Desired != 1 || len(w.s.Services) != 1 || w.plan.Wake != start.Add(90*time.Second) {
		t.Fatalf("before the delay is over: %+v, wake %v", w.s, w.plan.Wake)
	}
	w.later(time.Second)
	w.pass()
	w.pass()
	if w.set("exp-a").Desired+w.set("exp-b").Desired != 0 || len(w.s.Services) != 1 {
		t.Fatalf("the pods have not gone, or the service went before them: %+v", w.s)
	}
	w.up()
	w.pass()
	if a := w.template("a"); len(w.s.Services) != 0 || a.ServiceName != "" || a.PodTemplateHash != "" {
		t.Errorf("the service outlives its pods: %+v %+v", w.s.Services, a)
	}
	w.says("exp-m", succeeded, "Run Terminated")
	w.work(2)
	w.phase("in the end", succeeded, "")
	w.quiet("in the end")
}

// Covers: edge 163.
func TestProgressDeadline(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a", replicas(3)), aTemplate("b")), deadline(60), delay(0))
	w.pass()
	w.pass()
	w.set("exp-b").Available = 1
	clock := start.Add(50 * time.Second)
	w.s.Now = clock
	w.set("exp-a").Actual, w.set("exp-a").Available = 3, 2
	w.pass()
	if got := w.template("a").LastTransitionTime.Time; !got.Equal(clock) {
		t.Fatalf("new counters did not restart the clock: %v", got)
	}
	if w.plan.Wake != clock.Add(61*time.Second) {
		t.Errorf("wakes at %v", w.plan.Wake)
	}
	w.s.Now = clock.Add(time.Minute)
	w.pass()
	if s := w.template("a").Status; s != v1alpha1.TemplateStatusProgressing {
		t.Fatalf("at the deadline, not after it: %s", s)
	}
	w.later(time.Second)
	w.pass()
	const why = "Template 'a' exceeded its progressDeadlineSeconds (60)"
	if a := w.template("a"); a.Status != v1alpha1.TemplateStatusFailed || a.Message != why {
		t.Fatalf("after the deadline: %+v", a)
	}
	w.phase("after the deadline", failed, why)
	w.work(2)
	if b := w.template("b"); b.Status != v1alpha1.TemplateStatusSuccessful || w.set("exp-b").Desired != 0 {
		t.Errorf("the other template: %+v %+v", b, w.set("exp-b"))
	}
	for _, want := range []string{
		"Event TemplateProgressing Template 'a' transitioned from  -> Progressing",
		"Event TemplateRunning Template 'b' transitioned from Progressing -> Running",
		"Warning TemplateFailed Template 'a' transitioned from Progressing -> Failed: " + why,
		"Event ExperimentPending Experiment transitioned from  -> Pending",
		"Warning ExperimentFailed Experiment transitioned from Pending -> Failed",
	} {
		if !slices.Contains(w.events, want) {
			t.Errorf("no event %q in\n%s", want, strings.Join(w.events, "\n"))
		}
	}
	w.quiet("in the end")
}

func TestPodsThatFallBehindGetANewDeadline(t *testing.T) {
	w := newWorld(t, deadline(60))
	w.work(4)
	w.later(time.Hour)
	w.set("exp-a").Available = 0
	w.pass()
	if a := w.template("a"); a.Status != v1alpha1.TemplateStatusProgressing {
		t.Fatalf("after an hour of running: %+v", a)
	}
	w.phase("while pods are missing", pending, "")
	w.up()
	w.pass()
	w.phase("with the pods back", running, "")
}

// Covers: edge 164, edge 165, edge 166, edge 167, analysis edge 137.
func TestVerdicts(t *testing.T) {
	type run = map[string]v1alpha1.AnalysisPhase
	for name, c := range map[string]struct {
		mods  []mod
		runs  run
		act   func(*world) // once everything runs
		want  v1alpha1.AnalysisPhase
		says  string
		stops []string // runs that are told to stop
	}{
		"no analyses, no end": {want: running},
		"analyses that are not required end nothing": {
			mods: []mod{measuredBy("x", "y")}, runs: run{"x": succeeded, "y": succeeded}, want: running},
		"a required success ends it early": {
			mods: []mod{measuredBy("x!", "y")}, runs: run{"x": succeeded, "y": running}, want: succeeded, says: "Required AnalysisRuns completed", stops: []string{"exp-y"}},
		"all that are required must succeed": {
			mods: []mod{measuredBy("x!", "y!")}, runs: run{"x": succeeded, "y": running}, want: running},
		"all required and all others done": {
			mods: []mod{measuredBy("x!", "y")}, runs: run{"x": succeeded, "y": succeeded}, want: succeeded},
		"a required failure": {
			mods: []mod{measuredBy("x!", "y")}, runs: run{"x": failed, "y": running}, want: failed, says: "x is Failed", stops: []string{"exp-y"}},
		"a failure of one that is not required": {
			mods: []mod{measuredBy("x", "y!")}, runs: run{"x": failed, "y": running}, want: failed, says: "x is Failed", stops: []string{"exp-y"}},
		"a failure beside a required success": {
			mods: []mod{measuredBy("x", "y!")}, runs: run{"x": failed, "y": succeeded}, want: failed, says: "x is Failed"},
		"inconclusive": {
			mods: []mod{measuredBy("x!", "y")}, runs: run{"x": unsure, "y": running}, want: unsure, says: "x is Inconclusive", stops: []string{"exp-y"}},
		"an error is worse than inconclusive": {
			mods: []mod{measuredBy("x", "y")}, runs: run{"x": errored, "y": unsure}, want: errored, says: "x is Error"},
		"a failure is worse than an error": {
			mods: []mod{measuredBy("x", "y")}, runs: run{"x": errored, "y": failed}, want: failed, says: "y is Failed"},
		"the duration, with a required analysis still running": {
			mods: []mod{measuredBy("x!"), lasting("1m")}, runs: run{"x": running}, act: func(w *world) { w.later(time.Minute) }, want: running},
		"the duration, with all analyses done": {
			mods: []mod{measuredBy("x", "y"), lasting("1m")}, runs: run{"x": succeeded, "y": succeeded}, act: func(w *world) { w.later(time.Minute) }, want: succeeded},
		"a person ends it": {
			act: func(w *world) { w.s.Spec.Terminate = true }, want: succeeded},
		"a person ends it while analyses run": {
			mods: []mod{measuredBy("x")}, runs: run{"x": running}, act: func(w *world) { w.s.Spec.Terminate = true }, want: succeeded, stops: []string{"exp-x"}},
		"a person ends it while a required analysis runs": { // its run has to end first
			mods: []mod{measuredBy("x!")}, runs: run{"x": running}, act: func(w *world) { w.s.Spec.Terminate = true }, want: running, stops: []string{"exp-x"}},
		"a person ends it as an analysis fails": {
			mods: []mod{measuredBy("x")}, runs: run{"x": failed}, act: func(w *world) { w.s.Spec.Terminate = true }, want: failed, says: "x is Failed"},
		"a person ends it before it runs": {
			mods: []mod{measuredBy("x!")}, act: func(w *world) { w.s.Spec.Terminate, w.s.Status, w.s.Runs = true, v1alpha1.ExperimentStatus{}, nil }, want: succeeded},
		"a run that somebody deleted": {
			mods: []mod{measuredBy("x")}, runs: run{"x": running}, act: func(w *world) { w.pass(); w.s.Runs = nil }, want: errored, says: "AnalysisRun 'exp-x' not found"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.mods...)
			w.work(6)
			for n, p := range c.runs {
				message := ""
				if unsuccessful(p) {
					message = n + " is " + string(p)
				}
				w.says("exp-"+n, p, message)
			}
			if c.act != nil {
				c.act(w)
			}
			w.work(3)
			w.phase(name, c.want, c.says)
			for _, r := range c.stops {
				if !w.run(r).Terminating {
					t.Errorf("%s was not told to stop", r)
				}
			}
			for _, r := range w.s.Runs {
				if r.Terminating && !slices.Contains(c.stops, r.Name) {
					t.Errorf("%s was told to stop", r.Name)
				}
			}
			if w.s.Status.Phase.Completed() {
				for _, ts := range w.s.Status.TemplateStatuses {
					if ts.Status != v1alpha1.TemplateStatusSuccessful {
						t.Errorf("template %s is %s", ts.Name, ts.Status)
					}
				}
			}
		})
	}
}

// Covers: defect 28.
func TestACompletedExperimentFollowsItsRunsToTheirEnd(t *testing.T) {
	w := newWorld(t, measuredBy("x!", "y"))
	w.work(6)
	w.says("exp-y", running, "")
	w.says("exp-x", succeeded, "")
	w.work(3)
	w.phase("after the required success", succeeded, "Required AnalysisRuns completed")
	if n := w.told("Terminating"); n != 0 {
		t.Errorf("an action's event came from the plan")
	}
	w.says("exp-y", failed, "too late")
	w.work(2)
	w.phase("a completed phase stays", succeeded, "Required AnalysisRuns completed")
	if y := analysisStatus(w.s.Status.AnalysisRuns, "y"); y.Phase != failed || y.Message != "too late" {
		t.Errorf("the status of y stands still: %+v", y)
	}
	want := Note{Kind: Event, Reason: AnalysisRunTerminating, Message: "Terminating y (exp-y)"}
	if n, ok := Did(StopRun{Analysis: "y", Name: "exp-y"}); !ok || n != want {
		t.Errorf("%+v", n)
	}
}

// Covers: defect 28.
func TestNothingIsMadeWhileTheExperimentEnds(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a", withService("s"))), measuredBy("x!"), func(s *v1alpha1.ExperimentSpec) { s.Terminate = true })
	w.work(5)
	w.phase("it was told to end before it began", succeeded, "")
	if len(w.log) > 0 {
		t.Errorf("did %v", w.log)
	}
}

func TestAChangedMindKeepsThePods(t *testing.T) {
	w := newWorld(t, templates(aTemplate("a", withService("s"))), measuredBy("x"))
	w.work(6)
	w.says("exp-x", failed, "no")
	w.work(3)
	w.phase("after the failure", failed, "no")
	if w.set("exp-a").RetireAt.IsZero() {
		t.Fatal("no deadline")
	}
	w.s.Status = v1alpha1.ExperimentStatus{} // the published plugin's retry
	w.work(6)
	w.phase("after the retry", running, "")
	if s := w.set("exp-a"); !s.RetireAt.IsZero() || s.Desired != 1 {
		t.Errorf("the pods are still to go: %+v", s)
	}
	if x := w.s.Status.AnalysisRuns[0]; x.AnalysisRun != "exp-x.1" || x.Phase != pending {
		t.Errorf("the verdict of the last attempt counts again: %+v", x)
	}
}

func TestARetryStopsTheRunsOfTheAttemptBefore(t *testing.T) {
	w := newWorld(t, measuredBy("x"))
	w.work(6)
	w.says("exp-x", running, "")
	w.work(1)
	w.s.Status = v1alpha1.ExperimentStatus{}
	w.work(5)
	if !w.run("exp-x").Terminating || w.run("exp-x.1") == nil || w.run("exp-x.1").Terminating {
		t.Errorf("runs %+v", w.s.Runs)
	}
}

func TestConditions(t *testing.T) {
	w := newWorld(t, lasting("1m"))
	condition := func(when, status, reason, message string) {
		t.Helper()
		if len(w.s.Status.Conditions) != 1 {
			t.Fatalf("%s: %+v", when, w.s.Status.Conditions)
		}
		c := w.s.Status.Conditions[0]
		if got := []string{string(c.Type), string(c.Status), c.Reason, c.Message}; !slices.Equal(got, []string{"Progressing", status, reason, message}) {
			t.Fatalf("%s: %v", when, got)
		}
	}
	w.work(2)
	condition("at first", "True", "ReplicaSetUpdated", `Experiment "exp" is progressing.`)
	w.work(4)
	condition("with pods", "True", "NewReplicaSetAvailable", `Experiment "exp" is running.`)
	if c := w.s.Status.Conditions[0]; !c.LastTransitionTime.Time.Equal(start) || c.LastUpdateTime.Time.Equal(start) {
		t.Errorf("times %+v", c)
	}
	w.later(time.Minute)
	w.work(1)
	condition("in the end", "False", "ExperimentCompleted", `Experiment "exp" has successfully ran and completed.`)
}

func TestDeletingDoesNothing(t *testing.T) {
	s := Snapshot{Now: start, Name: "exp", Spec: aSpec(), Deleting: true}
	if d := cmp.Diff(Plan{}, Decide(s)); d != "" {
		t.Error(d)
	}
}
