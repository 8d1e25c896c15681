package kube

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// +kubebuilder:rbac:groups=networking.istio.io,resources=virtualservices;destinationrules,verbs=get;list;watch;update
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get;list;watch;update

// Routing is one entry of the table of routers.
type Routing struct {
	// Name is for messages, such as "istio".
	Name string
	// Uses reports whether a Rollout asks for this router.
	Uses func(*v1alpha1.RolloutTrafficRouting) bool
	// Router reads and writes.
	Router traffic.Router
	// Objects lists what the router reads for a target.
	Objects func(traffic.Target) []traffic.Ref
	// Kinds are what to watch once a Rollout uses the router.
	Kinds []schema.GroupVersionKind
	// Verifies says that the router can vouch for the data plane.
	Verifies bool
}

// pick returns the first router that the section asks for.
func pick(table []Routing, tr *v1alpha1.RolloutTrafficRouting) (r Routing, found bool) {
	for _, r := range table {
		if tr != nil && r.Uses(tr) {
			return r, true
		}
	}
	return Routing{}, false
}

func targetOf(ro *v1alpha1.Rollout) traffic.Target {
	t := traffic.Target{Namespace: ro.Namespace, Name: ro.Name}
	if c := ro.Spec.Strategy.Canary; c != nil {
		t.StableService, t.CanaryService, t.Routing = c.StableService, c.CanaryService, c.TrafficRouting
	}
	return t
}

// missingRetry is how long to wait for a kind that the cluster does not serve yet.
const missingRetry = 30 * time.Second

// observeTraffic fills what the snapshot says about traffic.
func (r *Rollouts) observeTraffic(ctx context.Context, s *Seen, services map[string]*corev1.Service) {
	s.target = targetOf(s.Rollout)
	if s.target.Routing == nil {
		return
	}
	snap := &s.Snapshot
	snap.Routed = true
	table, ok := pick(r.Routers, s.target.Routing)
	if !ok {
		s.unrouted = routingPath.String() + ": names no router that this controller knows"
		return
	}
	s.router, snap.Verifies = table.Router, table.Verifies
	r.steer(ctx, s)
	if err := r.watch(ctx, table.Kinds); err != nil {
		s.unroutable(err)
		return
	}
	o, err := table.Router.Observe(ctx, s.target)
	if err != nil {
		s.unroutable(err)
		return
	}
	written := o.Written
	if !o.Pinned {
		written = pinned(written, s.target, services)
	}
	key := loop.Key{Namespace: s.Rollout.Namespace, Name: s.Rollout.Name}
	r.mu.Lock()
	defer r.mu.Unlock()
	var state traffic.State
	r.histories[key], state = r.histories[key].See(snap.Now, written, o.Confirmed, o.Settle)
	state.Problem, s.routes = o.Problem, o.Problem
	snap.Traffic, snap.Pinned = state, o.Pinned
	snap.SettledAt = r.histories[key].Settled(o.Settle)
}

// pinned fills the revisions behind the destinations from the Services' selectors.
func pinned(s traffic.Split, t traffic.Target, services map[string]*corev1.Service) traffic.Split {
	out := traffic.Split{Total: s.Total}
	for _, d := range s.Destinations {
		name := d.Service
		switch {
		case name != "":
		case d.Role == traffic.Stable:
			name = t.StableService
		case d.Role == traffic.Canary:
			name = t.CanaryService
		}
		if svc := services[name]; svc != nil {
			d.Hash = svc.Spec.Selector[hashLabel]
		}
		out.Destinations = append(out.Destinations, d)
	}
	return out
}

var routingPath = field.NewPath("spec", "strategy", "canary", "trafficRouting")

// unroutable records why the routes could not be read. What does not exist is a fault
// that the user sees in the status.
func (s *Seen) unroutable(err error) {
	s.trouble(s.Snapshot.Now, err)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		s.routes = routingPath.String() + ": " + err.Error()
	}
}

// trouble records that something could not be read, and when to try again. A missing
// object comes back with its own event, a missing kind does not.
func (s *Seen) trouble(now time.Time, err error) {
	again := time.Second
	if meta.IsNoMatchError(err) || apierrors.IsForbidden(err) {
		again = missingRetry
	}
	if !apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		if at := now.Add(again); s.retry.IsZero() || at.Before(s.retry) {
			s.retry = at
		}
	}
	s.Snapshot.Trouble = append(s.Snapshot.Trouble,
		rollout.Note{Kind: rollout.Waiting, Reason: rollout.Unreadable, Message: err.Error()})
}

// observeServices reads the Services that the strategy names.
func (r *Rollouts) observeServices(ctx context.Context, s *Seen) map[string]*corev1.Service {
	services := map[string]*corev1.Service{}
	for _, name := range serviceNames(s.Rollout) {
		svc := &corev1.Service{}
		err := r.Reader.Get(ctx, loop.Key{Namespace: s.Rollout.Namespace, Name: name}, svc)
		fact := rollout.Service{Name: name, Exists: err == nil}
		switch {
		case err == nil:
			services[name] = svc
			fact.Hash = svc.Spec.Selector[hashLabel]
			fact.Managed = svc.Annotations[managedKey] == s.Rollout.Name
		case !apierrors.IsNotFound(err):
			s.trouble(s.Snapshot.Now, fmt.Errorf("get service %s/%s: %w", s.Rollout.Namespace, name, err))
			continue
		}
		s.Snapshot.Services = append(s.Snapshot.Services, fact)
	}
	return services
}
