package kube

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/experiment"
	"github.com/penstock-io/penstock/internal/loop"
)

// +kubebuilder:rbac:groups=argoproj.io,resources=experiments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=argoproj.io,resources=experiments/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=services,verbs=create;delete

// Experiments observes Experiments and applies plans for them. Their status is written
// through the main resource: the published kind has no subresource.
type Experiments struct {
	Clients
	// Namespaced controllers have no ClusterAnalysisTemplates.
	Namespaced bool
	// Events gets what actions did, and what owning Rollouts are told; nil tells nobody.
	Events record.EventRecorder
	// Notices has people told; nil tells nobody.
	Notices *Notices

	mu      sync.Mutex
	refused map[loop.Key]refusals
}

// refusals are what the API server will not do for one Experiment, until the status
// tells it.
type refusals struct {
	uid  types.UID
	list map[string]experiment.Refusal
}

// ExperimentSeen is what one look at an Experiment gives. The objects are copies.
type ExperimentSeen struct {
	Experiment *v1alpha1.Experiment
	Snapshot   experiment.Snapshot
	// Sets, Services and Runs are the owned objects by name.
	Sets     map[string]*appsv1.ReplicaSet
	Services map[string]*corev1.Service
	Runs     map[string]*v1alpha1.AnalysisRun
}

// NewExperiments makes the observer and applier of Experiments.
func NewExperiments(c Clients) *Experiments {
	return &Experiments{Clients: c, refused: map[loop.Key]refusals{}}
}

// Observe reads everything about one Experiment.
func (e *Experiments) Observe(ctx context.Context, key loop.Key, now time.Time) (ExperimentSeen, error) {
	x := &v1alpha1.Experiment{}
	if err := e.Reader.Get(ctx, key, x); err != nil {
		if apierrors.IsNotFound(err) {
			e.mu.Lock()
			defer e.mu.Unlock()
			delete(e.refused, key)
			return ExperimentSeen{}, loop.ErrGone
		}
		return ExperimentSeen{}, fmt.Errorf("get experiment %s: %w", key, err)
	}
	s := ExperimentSeen{Experiment: x, Sets: map[string]*appsv1.ReplicaSet{}, Services: map[string]*corev1.Service{}, Runs: map[string]*v1alpha1.AnalysisRun{}}
	s.Snapshot = experiment.Snapshot{
		Now: now, Namespace: x.Namespace, Name: x.Name, Spec: x.Spec, Status: x.Status,
		Deleting: x.DeletionTimestamp != nil, Refused: e.refusals(key, x.UID),
	}
	if s.Snapshot.Deleting {
		return s, nil
	}
	for _, look := range []func(context.Context, *ExperimentSeen) error{e.observeSets, e.observeServices, e.observeRuns, e.observeTemplates, e.observeRollout} {
		if err := look(ctx, &s); err != nil {
			return ExperimentSeen{}, err
		}
	}
	return s, nil
}

// Decide is the planner.
func (*Experiments) Decide(s ExperimentSeen) experiment.Plan { return experiment.Decide(s.Snapshot) }

// Explain says what is left to the loop.
func (e *Experiments) Explain(s ExperimentSeen, p experiment.Plan) loop.Outcome {
	after := s.Experiment.DeepCopy()
	after.Status = p.Status
	o := loop.Outcome{Before: s.Experiment, After: after, Wake: p.Wake}
	for _, a := range p.Actions {
		o.Actions, o.Lines = append(o.Actions, reflect.TypeOf(a).Name()), append(o.Lines, a.String())
	}
	var owners []loop.Event
	for _, n := range p.Notes {
		if n.Kind == experiment.Waiting {
			o.Waiting, o.Why = append(o.Waiting, string(n.Reason)), append(o.Why, n.Message)
			continue
		}
		event := eventOf(n)
		o.Events = append(o.Events, event)
		if n.Owner {
			owners = append(owners, event)
		}
	}
	o.Persisted = func() {
		e.told(s)
		if ro := rolloutOf(s.Experiment); ro != nil && e.Events != nil {
			for _, event := range owners {
				e.Events.Event(ro, event.Type, event.Reason, event.Message)
			}
		}
	}
	e.notices(&o, s, owners, after)
	return o
}

func eventOf(n experiment.Note) loop.Event {
	kind := corev1.EventTypeNormal
	if n.Kind == experiment.Warning {
		kind = corev1.EventTypeWarning
	}
	return loop.Event{Type: kind, Reason: string(n.Reason), Message: n.Message}
}

// rolloutOf is a reference to the Rollout that owns an Experiment, nil for none.
func rolloutOf(x *v1alpha1.Experiment) *v1alpha1.Rollout {
	ref := metav1.GetControllerOf(x)
	if ref == nil || ref.Kind != "Rollout" {
		return nil
	}
	return &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: x.Namespace, Name: ref.Name, UID: ref.UID}}
}

func (e *Experiments) refusals(key loop.Key, uid types.UID) map[string]experiment.Refusal {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.refused[key]; r.uid == uid {
		return maps.Clone(r.list)
	}
	delete(e.refused, key)
	return nil
}

// refuse remembers what the API server will not do.
func (e *Experiments) refuse(x *v1alpha1.Experiment, a experiment.Action, r experiment.Refusal) {
	key := client.ObjectKeyFromObject(x)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.refused[key]
	if now.uid != x.UID {
		now = refusals{x.UID, map[string]experiment.Refusal{}}
	}
	now.list[a.String()] = r
	e.refused[key] = now
}

// told forgets the refusals that a plan has known of: the status tells them now, and a
// retry is a new try.
func (e *Experiments) told(s ExperimentSeen) {
	key := client.ObjectKeyFromObject(s.Experiment)
	e.mu.Lock()
	defer e.mu.Unlock()
	for a := range s.Snapshot.Refused {
		delete(e.refused[key].list, a)
	}
	if len(e.refused[key].list) == 0 {
		delete(e.refused, key)
	}
}
