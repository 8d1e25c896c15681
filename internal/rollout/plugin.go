package rollout

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	// pluginBackoff is how long to leave a plugin alone that names no time of its own, or
	// one below pluginSoonest; pluginSlack is added before the next call (core.md §5.13).
	pluginBackoff = 30 * time.Second
	pluginSoonest = 10 * time.Second
	pluginSlack   = 5 * time.Second
)

// calls are the step plugins at the position: their next statuses, whom to call, and
// when to look again.
type calls struct {
	list  []v1alpha1.StepPluginStatus
	acts  []Action
	notes []Note
	// failed is the abort message of a plugin that judged against the revision.
	failed string
	wake   time.Time
}

// plugins takes in what step plugins have answered and calls those whose turn it is
// (core.md §5.13). An abort calls them also where the first step is a pause (§16 no. 16).
func plugins(v *view) calls {
	c := calls{list: slices.Clone(v.Status.Canary.StepPluginStatuses)}
	if v.mode == changed || v.retrying() {
		return calls{}
	}
	for _, a := range v.Answers {
		c.fold(a)
	}
	switch s, ok := v.at(); {
	case v.mode == aborted:
		c.undo()
	case v.mode == done || v.express == expressFull:
		c.terminate()
	case ok && s.kind == pluginStep:
		c.run(v, s)
	}
	return c
}

// find returns the entry of an operation, nil if there is none.
func (c *calls) find(index int32, name string, op v1alpha1.StepPluginOperation) *v1alpha1.StepPluginStatus {
	i := slices.IndexFunc(c.list, func(s v1alpha1.StepPluginStatus) bool {
		return s.Index == index && s.Name == name && s.Operation == op
	})
	if i < 0 {
		return nil
	}
	return &c.list[i]
}

// fold puts one answer into its entry.
func (c *calls) fold(a Answer) {
	e := c.find(a.Index, a.Name, a.Operation)
	if e == nil {
		c.list = append(c.list, v1alpha1.StepPluginStatus{Index: a.Index, Name: a.Name, Operation: a.Operation, StartedAt: stampOf(a.At)})
		e = &c.list[len(c.list)-1]
	}
	before := e.Phase
	e.Executions, e.UpdatedAt = e.Executions+1, stampOf(a.At)
	run := a.Operation == v1alpha1.StepPluginOperationRun
	switch {
	case a.Disabled:
		e.Disabled, e.Phase = true, ""
		return
	case a.Unknown:
		c.notes = append(c.notes, Note{Warning, ReconciliationError, "Reconciliation failed with error: " + a.Err})
		fallthrough
	case a.Err != "":
		e.Phase, e.Message = v1alpha1.StepPluginPhaseError, a.Err
	default:
		e.Message = a.Message
		if a.Phase != "" {
			e.Phase = a.Phase
		}
		if a.Phase != v1alpha1.StepPluginPhaseError {
			e.Status = a.State
		}
	}
	if !run && e.Phase == v1alpha1.StepPluginPhaseRunning {
		e.Phase = v1alpha1.StepPluginPhaseFailed
	}
	e.Backoff = ""
	switch e.Phase {
	case v1alpha1.StepPluginPhaseSuccessful, v1alpha1.StepPluginPhaseFailed:
		e.FinishedAt = stampOf(a.At)
	default:
		e.Backoff = v1alpha1.DurationString(pluginBackoff.String())
		if a.RequeueAfter > pluginSoonest && e.Phase == v1alpha1.StepPluginPhaseRunning {
			e.Backoff = v1alpha1.DurationString(a.RequeueAfter.String())
		}
	}
	c.tell(e, before)
}

// tell tells of a change of phase; a run that succeeds is told by its step.
func (c *calls) tell(e *v1alpha1.StepPluginStatus, before v1alpha1.StepPluginPhase) {
	if e.Phase == before && e.Executions > 1 {
		return
	}
	n := Note{Event, StepPluginTransition, fmt.Sprintf("Step plugin %s (step %d) ", e.Name, e.Index+1)}
	switch e.Operation {
	case v1alpha1.StepPluginOperationAbort:
		n.Message += fmt.Sprintf("aborted (%s)", e.Phase)
	case v1alpha1.StepPluginOperationTerminate:
		n.Message += fmt.Sprintf("terminated (%s)", e.Phase)
	default:
		if e.Phase == v1alpha1.StepPluginPhaseSuccessful {
			return
		}
		n.Message += fmt.Sprintf("transitioned to %s", e.Phase)
	}
	if e.Phase == v1alpha1.StepPluginPhaseError || e.Phase == v1alpha1.StepPluginPhaseFailed {
		n.Kind = Warning
	}
	c.notes = append(c.notes, n)
}

// run calls the plugin of the current step, unless it has finished or rests.
func (c *calls) run(v *view, s step) {
	index, name := int32(v.index), s.plugin.Name
	e := c.find(index, name, v1alpha1.StepPluginOperationRun)
	call := CallPlugin{Index: index, Name: name, Operation: v1alpha1.StepPluginOperationRun}
	switch {
	case e == nil:
		if v.busy() {
			return
		}
		c.list = append(c.list, v1alpha1.StepPluginStatus{Index: index, Name: name,
			Operation: v1alpha1.StepPluginOperationRun, Phase: v1alpha1.StepPluginPhaseRunning, StartedAt: stampOf(v.Now)})
		c.acts = append(c.acts, call)
	case e.Disabled || e.Phase == v1alpha1.StepPluginPhaseSuccessful:
	case e.Phase == v1alpha1.StepPluginPhaseFailed:
		c.failed = fmt.Sprintf("Step Plugin %d (%s) failed: %s", index+1, name, e.Message)
	default:
		next := nextCall(e)
		if v.Now.Before(next) {
			c.wake = next.Add(pluginSlack)
		} else if !v.busy() {
			c.acts = append(c.acts, call)
		}
	}
}

// busy: a plugin is called only while the rollout moves, not while it is paused.
func (v *view) busy() bool { return v.Spec.Paused || len(v.Status.PauseConditions) > 0 }

func nextCall(e *v1alpha1.StepPluginStatus) time.Time {
	if e.Executions == 0 || e.UpdatedAt == nil {
		return time.Time{}
	}
	rest, err := time.ParseDuration(string(e.Backoff))
	if err != nil {
		rest = pluginBackoff
	}
	return e.UpdatedAt.Add(rest)
}

// terminate tells the last plugin that still runs, once, that the rest of the steps is
// left out.
func (c *calls) terminate() {
	for _, e := range slices.Backward(c.list) {
		if e.Operation != v1alpha1.StepPluginOperationRun || e.Phase != v1alpha1.StepPluginPhaseRunning {
			continue
		}
		if c.find(e.Index, e.Name, v1alpha1.StepPluginOperationTerminate) == nil {
			c.acts = append(c.acts, CallPlugin{Index: e.Index, Name: e.Name, Operation: v1alpha1.StepPluginOperationTerminate})
		}
		return
	}
}

// undo tells every plugin that ran, in reverse order and once each, that the update was
// aborted.
func (c *calls) undo() {
	for _, e := range slices.Backward(c.list) {
		ran := e.Phase == v1alpha1.StepPluginPhaseRunning || e.Phase == v1alpha1.StepPluginPhaseSuccessful
		if e.Operation != v1alpha1.StepPluginOperationRun || !ran || c.find(e.Index, e.Name, v1alpha1.StepPluginOperationAbort) != nil {
			continue
		}
		c.acts = append(c.acts, CallPlugin{Index: e.Index, Name: e.Name, Operation: v1alpha1.StepPluginOperationAbort})
		return // the next one after this one's answer
	}
}

// pluginDone: the plugin of this step has finished.
func pluginDone(v *view, _ goal, t tests) (Note, bool) {
	s, _ := v.at()
	e := t.calls.find(int32(v.index), s.plugin.Name, v1alpha1.StepPluginOperationRun)
	if e != nil && (e.Disabled || e.Phase == v1alpha1.StepPluginPhaseSuccessful) {
		return Note{}, true
	}
	why := "step plugin " + s.plugin.Name + " has not finished"
	if e != nil && e.Message != "" {
		why += ": " + e.Message
	}
	return Note{Waiting, PluginRunning, why}, false
}

func stampOf(t time.Time) *metav1.Time {
	m := metav1.NewTime(t).Rfc3339Copy()
	return &m
}
