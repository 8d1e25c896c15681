package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/step"
)

// Covers: edge 159.
func TestStepOfAPlugin(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(context.Context, step.Call) (step.Reply, error)
		given  func(*Plugins)
		phase  v1alpha1.RolloutPhase
		asked  []string
		event  string
		index  int32
	}{
		"goes on when it succeeds": {answer: says("Successful"), phase: "Healthy", asked: []string{"Run 0", "Run 1"},
			event: "Rollout step 2/2 completed (plugin: acme/judge)", index: 2},
		"aborts when it fails": {answer: says("Failed"), phase: "Degraded", asked: []string{"Run 0"},
			event: "Rollout aborted update to revision 2: Step Plugin 1 (acme/judge) failed: so be it"},
		"is asked again when it runs": {answer: says("Running"), phase: "Progressing", asked: []string{"Run 0", "Run 0"}},
		"is asked again when it could not be": {answer: func(context.Context, step.Call) (step.Reply, error) { return step.Reply{}, errors.New("gone") },
			phase: "Progressing", asked: []string{"Run 0", "Run 0"}, event: "Step plugin acme/judge (step 1) transitioned to Error"},
		"is passed over when the plugin is switched off": {given: func(p *Plugins) { p.Steps = off{} },
			phase: "Healthy", event: "Rollout step 2/2 completed (plugin: acme/judge)", index: 2},
		"waits when the plugin is not configured": {given: func(p *Plugins) { p.Steps = nil }, phase: "Progressing",
			event: "Warning ReconciliationError Reconciliation failed with error: could not create step plugin at index 0 : plugin acme/judge not configured"},
	} {
		t.Run(name, func(t *testing.T) {
			j := &judge{answer: c.answer}
			w, answered := judged(t, j)
			if c.given != nil {
				c.given(w.rollouts.Plugins)
			}
			w.work(settled)
			w.edit(setImage("two"))
			w.workJudged(2*settled, answered)
			st := w.rollout().Status
			if st.Phase != c.phase || *st.CurrentStepIndex != c.index {
				t.Errorf("phase %s (%s) at step %d", st.Phase, st.Message, *st.CurrentStepIndex)
			}
			if d := cmp.Diff(c.asked, j.asked()); d != "" {
				t.Error(d)
			}
			if events := strings.Join(w.told(), "\n"); !strings.Contains(events, c.event) {
				t.Errorf("no %q in\n%s", c.event, events)
			}
		})
	}
}

// Covers: edge 160.
func TestPluginsThatRanHearOfTheEnd(t *testing.T) {
	second := func(then string) func(context.Context, step.Call) (step.Reply, error) {
		return func(_ context.Context, c step.Call) (step.Reply, error) {
			if c.Index == 1 && c.Operation == v1alpha1.StepPluginOperationRun {
				return step.Reply{Phase: v1alpha1.StepPluginPhase(then)}, nil
			}
			return step.Reply{Phase: "Successful"}, nil
		}
	}
	for name, c := range map[string]struct {
		say   func(*v1alpha1.Rollout)
		asked []string
	}{
		"an abort tells all of them, the last one first": {func(ro *v1alpha1.Rollout) { ro.Status.Abort = true }, []string{"Run 0", "Run 1", "Abort 1", "Abort 0"}},
		"a full promotion tells the one that runs":       {func(ro *v1alpha1.Rollout) { ro.Status.PromoteFull = true }, []string{"Run 0", "Run 1", "Terminate 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			j := &judge{answer: second("Running")}
			w, answered := judged(t, j)
			w.work(settled)
			w.edit(setImage("two"))
			w.workJudged(settled, answered)
			w.say(c.say)
			w.workJudged(settled, answered)
			if d := cmp.Diff(c.asked, j.asked()); d != "" {
				t.Error(d)
			}
		})
	}
}

// Covers: edge 161.
func TestMemoryOfAPlugin(t *testing.T) {
	j := &judge{}
	j.answer = func(_ context.Context, c step.Call) (step.Reply, error) {
		n := len(j.asked())
		return step.Reply{Phase: "Running", RequeueAfter: 17 * time.Second, State: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}, nil
	}
	w, answered := judged(t, j)
	w.work(settled)
	w.edit(setImage("two"))
	w.workJudged(settled, answered)
	e := w.rollout().Status.Canary.StepPluginStatuses[0]
	if e.Backoff != "17s" || string(e.Status) != fmt.Sprintf(`{"n":%d}`, e.Executions) || int(e.Executions) != len(j.asked()) {
		t.Errorf("%+v after %v", e, j.asked())
	}
	w.workJudged(2*settled, answered)
	if n := len(j.calls); n < 3 || string(j.calls[n-1].State) != fmt.Sprintf(`{"n":%d}`, n-1) {
		t.Errorf("call %d knew %s", n, j.calls[n-1].State)
	}
	w.edit(setImage("three"))
	w.workJudged(settled, answered)
	if c := j.calls[len(j.calls)-1]; w.rollout().Status.Canary.StepPluginStatuses[0].Executions > 2 || len(j.calls[len(j.calls)-int(w.rollout().Status.Canary.StepPluginStatuses[0].Executions)].State) != 0 {
		t.Errorf("the new update began with %s", c.State)
	}
}
