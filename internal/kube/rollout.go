package kube

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// +kubebuilder:rbac:groups=argoproj.io,resources=rollouts,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=argoproj.io,resources=rollouts/status,verbs=patch
// +kubebuilder:rbac:groups=argoproj.io,resources=rollouts/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch

// Clients are the ways to one API server.
type Clients struct {
	// Reader reads caches; what it returns may be changed.
	Reader client.Reader
	// Live reads the API server.
	Live client.Reader
	// Writer is the recording client; Plain writes what no cache shows, such as pods.
	Writer, Plain client.Client
}

// Rollouts observes Rollouts and applies plans for them.
type Rollouts struct {
	Clients
	// Routers is the table of traffic providers; all that a Rollout asks for are used.
	Routers []Routing
	// Namespaced controllers have no ClusterAnalysisTemplates.
	Namespaced bool
	// Unindexed says that Reader knows no field indexes, as an API server: for one look
	// from a command, with Reader and Live the same and Writer nil. Nothing is written then.
	Unindexed bool
	// Events gets what actions did; nil tells nobody.
	Events record.EventRecorder
	// Notices has people told; nil tells nobody.
	Notices *Notices
	// Durations count how long updates took; nil counts nothing.
	Durations *Durations
	// Drifts tells of foreign changes on routes; nil tells nobody.
	Drifts *Drifts
	// Plugins calls the step plugins; nil when there are none to call.
	Plugins *Plugins
	// TargetGroups asks AWS about the targets of load balancers; nil asks nobody. Binding is
	// the version of TargetGroupBinding; empty for DefaultBinding.
	TargetGroups TargetGroups
	Binding      schema.GroupVersionKind
	// Sets reads the ReplicaSets that workloadRefs name; nil means Reader.
	Sets client.Reader
	// Watch makes changes of further kinds wake their Rollouts; nil when nothing is watched.
	Watch func(context.Context, []schema.GroupVersionKind) error

	mu        sync.Mutex
	histories map[loop.Key]traffic.History
	routed    map[loop.Key]routed
	refused   map[loop.Key]refusal
	// known are the Rollouts that have been seen, kept the pods that could not be evicted.
	known map[loop.Key]types.UID
	kept  map[loop.Key]map[types.UID]time.Time
	// relayed are the notes that were told and still stand.
	relayed map[loop.Key]map[string][]traffic.Note
}

// refusal is a ReplicaSet that could not be created; invalid for good, until the template
// changes.
type refusal struct {
	hash, text string
	invalid    bool
}

// routed is what a Rollout last steered with, so that it can be left clean.
type routed struct {
	target  traffic.Target
	routers []Routing
}

// Seen is what one look at a Rollout gives: the facts for the planner, and the objects
// for the applier. The objects are copies.
type Seen struct {
	Rollout  *v1alpha1.Rollout
	Snapshot rollout.Snapshot
	// Sets are the owned ReplicaSets by hash.
	Sets map[string]*appsv1.ReplicaSet
	// Runs are the owned AnalysisRuns by name.
	Runs map[string]*v1alpha1.AnalysisRun
	// Experiments are the owned Experiments by name.
	Experiments map[string]*v1alpha1.Experiment

	// services are those that the strategy names, as observed.
	services map[string]*corev1.Service
	target   traffic.Target
	routers  []Routing
	// read are the objects of the routers.
	read  []read
	retry time.Time
	// routes is the first fault of the routes, with its path.
	routes string
	// unrouted says why no router serves the Rollout, unresolved why spec.workloadRef
	// gives no template.
	unrouted, unresolved string
	// blind: a Service that the strategy names could not be read.
	blind bool
	// changedBy is the field manager that wrote the template last, "" where nobody is known. The
	// Rollout's own metadata is that of its last write, and says nothing of a workload's.
	changedBy string
	// deployment is what spec.workloadRef names, nil unless it is one.
	deployment *appsv1.Deployment
	// pods are the pods by name, while a restart is due.
	pods map[string]types.UID
}

// NewRollouts makes the observer and applier of Rollouts.
func NewRollouts(c Clients) *Rollouts {
	return &Rollouts{Clients: c, histories: map[loop.Key]traffic.History{}, routed: map[loop.Key]routed{}, refused: map[loop.Key]refusal{},
		known: map[loop.Key]types.UID{}, kept: map[loop.Key]map[types.UID]time.Time{}, relayed: map[loop.Key]map[string][]traffic.Note{}}
}

// Observe reads everything about one Rollout. It writes only when it adopts a
// ReplicaSet without an owner.
func (r *Rollouts) Observe(ctx context.Context, key loop.Key, now time.Time) (Seen, error) {
	ro := &v1alpha1.Rollout{}
	err := r.Reader.Get(ctx, key, ro)
	switch {
	case apierrors.IsNotFound(err), err == nil && ro.DeletionTimestamp != nil && !controllerutil.ContainsFinalizer(ro, workloadFinalizer):
		return Seen{}, r.leave(ctx, key, err != nil)
	case err != nil:
		return Seen{}, fmt.Errorf("get rollout %s: %w", key, err)
	}
	r.welcome(ro)
	s := Seen{Rollout: ro, changedBy: v1alpha1.ChangedBy(ro), Sets: map[string]*appsv1.ReplicaSet{}, Runs: map[string]*v1alpha1.AnalysisRun{}}
	s.Snapshot = rollout.Snapshot{
		Now: now, Namespace: ro.Namespace, Name: ro.Name, Generation: ro.Generation,
		Number: number(ro.Annotations), Spec: ro.Spec, Status: ro.Status,
		TemplateHash: v1alpha1.PodTemplateHash(&ro.Spec.Template, ro.Status.CollisionCount),
	}
	if c := ro.Spec.Strategy.Canary; c != nil {
		s.Snapshot.StepsHash = v1alpha1.StepHash(c.Steps)
	}
	s.Snapshot.Finalizer = controllerutil.ContainsFinalizer(ro, workloadFinalizer)
	if at := ro.DeletionTimestamp; at != nil {
		s.Snapshot.Deleting, s.Snapshot.DeletedAt = true, at.Time
	}
	if ro.DeletionTimestamp == nil && misread(&s) {
		return s, nil
	}
	r.observeWorkload(ctx, &s)
	if err := r.observeSets(ctx, &s); err != nil {
		return Seen{}, err
	}
	if err := r.observeRuns(ctx, &s); err != nil {
		return Seen{}, err
	}
	r.observePods(ctx, &s)
	r.observeAnswers(&s)
	services := r.observeServices(ctx, &s)
	s.services = services
	r.observeTraffic(ctx, &s, services)
	r.observeTargets(ctx, &s)
	if err := r.observeExperiments(ctx, &s); err != nil {
		return Seen{}, err
	}
	r.check(ctx, &s, services)
	if s.unrouted != "" && s.Snapshot.Invalid == "" {
		s.Snapshot.Invalid = invalid(ro, s.unrouted)
	}
	r.recallRefusal(key, &s)
	return s, nil
}

// Decide is the planner.
func (*Rollouts) Decide(s Seen) rollout.Plan { return rollout.Decide(s.Snapshot) }

// Explain says what is left to the loop.
func (r *Rollouts) Explain(s Seen, p rollout.Plan) loop.Outcome {
	// Only the statuses are to be compared, so nothing else is copied.
	before, after := &v1alpha1.Rollout{Status: s.Rollout.Status}, &v1alpha1.Rollout{Status: p.Status}
	before.ObjectMeta, after.ObjectMeta = identity(s.Rollout), identity(s.Rollout)
	o := loop.Outcome{Before: before, After: after, Wake: p.Wake, Hurried: p.Hurried, Minor: rollout.Minor(&before.Status, &after.Status)}
	if !s.retry.IsZero() && (o.Wake.IsZero() || s.retry.Before(o.Wake)) {
		o.Wake = s.retry
	}
	if r.justRefused(&s) && (o.Wake.IsZero() || o.Wake.Sub(s.Snapshot.Now) > time.Second) {
		o.Wake = s.Snapshot.Now.Add(time.Second)
	}
	o.Minor = o.Minor && !slices.ContainsFunc(p.Notes, urgent)
	o.Persisted = r.persisted(&s, &p)
	r.notices(&o, &s, &p, after)
	for _, a := range p.Actions {
		o.Actions = append(o.Actions, reflect.TypeOf(a).Name())
		o.Lines = append(o.Lines, a.String())
	}
	for _, n := range p.Notes {
		switch n.Kind {
		case rollout.Event:
			o.Events = append(o.Events, loop.Event{Type: corev1.EventTypeNormal, Reason: string(n.Reason), Message: n.Message})
		case rollout.Warning:
			o.Events = append(o.Events, loop.Event{Type: corev1.EventTypeWarning, Reason: string(n.Reason), Message: n.Message})
		case rollout.Waiting:
			o.Waiting, o.Why = append(o.Waiting, string(n.Reason)), append(o.Why, n.Message)
		}
	}
	return o
}

// urgent: what is told is more than that something goes on.
func urgent(n rollout.Note) bool {
	switch {
	case n.Kind == rollout.Waiting:
		return false
	case n.Kind == rollout.Event && (n.Reason == rollout.TrafficWeightUpdated || n.Reason == rollout.AnalysisRunPrefix+rollout.Reason(v1alpha1.AnalysisPhaseRunning)):
		return false
	}
	return true
}

// observeAnswers are what step plugins have answered since the last status.
func (r *Rollouts) observeAnswers(s *Seen) {
	if r.Plugins != nil {
		s.Snapshot.Answers = r.Plugins.answers(client.ObjectKeyFromObject(s.Rollout), attemptOf(s.Rollout))
	}
}

func (r *Rollouts) recallRefusal(key loop.Key, s *Seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch was, ok := r.refused[key]; {
	case !ok:
	case was.hash != s.Snapshot.TemplateHash:
		delete(r.refused, key)
	case !was.invalid:
		s.Snapshot.Uncreated = was.text
	case s.Snapshot.Invalid == "":
		s.Snapshot.Invalid = invalid(s.Rollout, was.text)
	}
}

func (r *Rollouts) watch(ctx context.Context, kinds []schema.GroupVersionKind) error {
	if r.Watch == nil {
		return nil
	}
	return r.Watch(ctx, kinds)
}

// tell emits an event at once: for what an action did, or could not do.
func (r *Rollouts) tell(ro *v1alpha1.Rollout, n rollout.Note) {
	r.Notices.tell(ro.UID, n)
	if r.Events == nil {
		return
	}
	kind := corev1.EventTypeNormal
	if n.Kind == rollout.Warning {
		kind = corev1.EventTypeWarning
	}
	r.Events.Event(ro, kind, string(n.Reason), n.Message)
}

// invalid is the published text of the InvalidSpec condition (core.md §1.7.4).
func invalid(ro *v1alpha1.Rollout, problem string) string {
	return fmt.Sprintf("The Rollout %q is invalid: %s", ro.Name, problem)
}

// owner selects by the index of owners, where there is one.
func (r *Rollouts) owner(uid string) client.ListOption {
	if r.Unindexed {
		return &client.ListOptions{}
	}
	return client.MatchingFields{ownerIndex: uid}
}

// identity is what events and status writes need to know of an object.
func identity(o metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(), ResourceVersion: o.GetResourceVersion()}
}

func ownedBy(o metav1.Object, ro *v1alpha1.Rollout) bool { return controllerOf(o) == string(ro.UID) }
