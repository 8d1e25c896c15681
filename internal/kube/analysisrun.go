package kube

import (
	"context"
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/loop"
)

// Runs observes AnalysisRuns and applies plans for them. Measurements are taken by the
// Pool, outside the passes; what they bring is folded into the status by the next pass.
type Runs struct {
	Clients
	Pool *Pool
	// Notices has people told; nil tells nobody.
	Notices *Notices
}

// RunSeen is what one look at an AnalysisRun gives.
type RunSeen struct {
	Run      *v1alpha1.AnalysisRun
	Snapshot analysis.Snapshot

	folded int // how many outcomes of the pool are in Snapshot.Status
}

// Observe reads one run and folds what the pool has brought since the last status write.
func (r *Runs) Observe(ctx context.Context, key loop.Key, now time.Time) (RunSeen, error) {
	run := &v1alpha1.AnalysisRun{}
	if err := r.Reader.Get(ctx, key, run); err != nil {
		if apierrors.IsNotFound(err) {
			r.Pool.forget(key)
			return RunSeen{}, loop.ErrGone
		}
		return RunSeen{}, fmt.Errorf("get analysisrun %s: %w", key, err)
	}
	facts := r.Pool.facts(key, run.UID)
	status := run.Status
	if status.StartedAt == nil {
		status.StartedAt = facts.began
	}
	for _, o := range facts.arrived {
		// The moment of arrival counts, however long the status write may take.
		status = analysis.Fold(status, run.Spec, []analysis.Outcome{o.Outcome}, o.at)
	}
	seen := RunSeen{Run: run, folded: len(facts.arrived), Snapshot: analysis.Snapshot{
		Now: now, Spec: run.Spec, Status: status, Deleting: run.DeletionTimestamp != nil,
		SecretsErr: facts.secretsErr, Busy: facts.busy,
	}}
	if status.StartedAt != nil || run.Status.Phase.Completed() {
		return seen, nil
	}
	// What would fail at the first measurement, perhaps hours later, is found now.
	seen.Snapshot.Problem = r.Pool.problem(run)
	_, forGood, err := r.Pool.secrets(ctx, run)
	if err != nil && !forGood {
		return RunSeen{}, fmt.Errorf("read the secrets of analysisrun %s: %w", key, err)
	}
	if err != nil {
		seen.Snapshot.SecretsErr = err.Error()
	}
	return seen, nil
}

// Decide is the planner.
func (*Runs) Decide(s RunSeen) analysis.Plan { return analysis.Decide(s.Snapshot) }

// Apply starts measurements and returns at once.
func (r *Runs) Apply(ctx context.Context, s RunSeen, p analysis.Plan) error {
	run := *s.Run // with what is held back, which no measurement must miss
	run.Status = p.Status
	if s.Run.Status.StartedAt == nil && !run.Status.Phase.Completed() {
		r.Pool.begin(client.ObjectKeyFromObject(&run), run.UID, run.Status.StartedAt)
	}
	for _, a := range p.Actions {
		switch a := a.(type) {
		case analysis.Measure:
			r.Pool.start(job{run: &run, index: a.Index, name: a.Metric, token: a.Token, number: next(&s.Snapshot.Status, a.Metric)})
		case analysis.Stop:
			r.Pool.start(job{run: &run, index: a.Index, name: a.Metric, token: a.Token, stop: true})
		case analysis.Delete:
			err := r.Writer.Delete(ctx, s.Run, client.Preconditions{UID: &s.Run.UID}, client.PropagationPolicy(metav1.DeletePropagationBackground))
			if client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("delete analysisrun %s/%s: %w", s.Run.Namespace, s.Run.Name, err)
			}
		default:
			return fmt.Errorf("no applier for action %T", a)
		}
	}
	return nil
}

// next counts the measurement that follows, from 1; one in flight counts when it is over.
func next(st *v1alpha1.AnalysisRunStatus, name string) int {
	for i := range st.MetricResults {
		if r := &st.MetricResults[i]; r.Name == name {
			return int(r.Count+r.Error) + 1
		}
	}
	return 1
}

// Explain says what is left to the loop.
func (r *Runs) Explain(s RunSeen, p analysis.Plan) loop.Outcome {
	before, after := &v1alpha1.AnalysisRun{Status: s.Run.Status}, &v1alpha1.AnalysisRun{Status: p.Status}
	before.ObjectMeta, after.ObjectMeta = identity(s.Run), identity(s.Run)
	o := loop.Outcome{Before: before, After: after, Wake: p.Wake}
	o.Minor = analysis.Minor(&before.Status, &after.Status) && len(p.Notes) == 0
	key, uid := client.ObjectKeyFromObject(s.Run), s.Run.UID
	o.Persisted = func() { r.Pool.drop(key, uid, s.folded) }
	for _, a := range p.Actions {
		o.Actions, o.Lines = append(o.Actions, reflect.TypeOf(a).Name()), append(o.Lines, a.String())
		if _, gone := a.(analysis.Delete); gone {
			o.After = nil
		}
	}
	for _, n := range p.Notes {
		kind := corev1.EventTypeNormal
		if n.Warning {
			kind = corev1.EventTypeWarning
		}
		o.Events = append(o.Events, loop.Event{Type: kind, Reason: n.Reason, Message: n.Message})
	}
	r.notices(&o, s, after)
	return o
}
