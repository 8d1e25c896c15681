package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=apisix.apache.org,resources=apisixroutes,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=split.smi-spec.io,resources=trafficsplits,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=traefik.io;traefik.containo.us,resources=traefikservices,verbs=get;list;watch;update
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes;grpcroutes;tcproutes;tlsroutes,verbs=get;list;watch;update

// Routing is one entry of the table of routers.
type Routing struct {
	// Name is for messages, such as "istio".
	Name string
	// Uses reports whether a Rollout asks for this router.
	Uses func(*v1alpha1.RolloutTrafficRouting) bool
	// Router reads and writes.
	Router traffic.Router
	// Objects lists what the router reads for a target; a Ref without a name stands for
	// whatever a selector finds in the namespace.
	Objects func(traffic.Target) []traffic.Ref
	// Kinds lists what to watch for a target. Others of the router's kinds need not be
	// served by the cluster.
	Kinds func(traffic.Target) []schema.GroupVersionKind
	// Verifies says that the router can vouch for the data plane.
	Verifies bool
	// Signed is the kind whose objects name their Rollout in the managed-by annotation;
	// Release takes what is ours off such an object. Nil where the router signs nothing.
	Signed  schema.GroupVersionKind
	Release func(object map[string]any)
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
	t := traffic.Target{Namespace: ro.Namespace, Name: ro.Name, UID: ro.UID}
	t.StableService, t.CanaryService = rollout.Roles(&ro.Spec, &ro.Status)
	if c := ro.Spec.Strategy.Canary; c != nil && ro.Spec.Strategy.BlueGreen == nil {
		t.Routing = c.TrafficRouting
	}
	return t
}

// missingRetry is how long to wait for a kind that the cluster does not serve yet.
const missingRetry = 30 * time.Second

// observeTraffic fills what the snapshot says about traffic.
func (r *Rollouts) observeTraffic(ctx context.Context, s *Seen, services map[string]*corev1.Service) {
	s.target = targetOf(s.Rollout)
	if s.target.Routing == nil {
		r.unsteer(ctx, loop.Key{Namespace: s.Rollout.Namespace, Name: s.Rollout.Name})
	}
	switch {
	case s.Rollout.Spec.Strategy.BlueGreen != nil:
		r.observeActive(s, services)
	case s.target.Routing != nil:
		r.observeRoutes(ctx, s, services)
	case s.Rollout.Status.Canary.Weights != nil: // it had routes until a moment ago
		r.see(s, traffic.Split{}, traffic.Observation{Settle: traffic.ServiceSettle})
	}
}

// observeActive is the traffic of blue-green, which has no router: all of it goes over
// the active Service, and the preview Service shows the new revision to whoever asks.
func (r *Rollouts) observeActive(s *Seen, services map[string]*corev1.Service) {
	s.Snapshot.Routed = true
	if s.blind {
		return // a selector that could not be read is not one without a hash
	}
	to := func(name string) traffic.Destination {
		d := traffic.Destination{Service: name}
		if svc := services[name]; svc != nil {
			d.Hash = svc.Spec.Selector[hashLabel]
		}
		return d
	}
	written := traffic.Two(traffic.DefaultTotal, 0, to(s.target.StableService), to(s.target.CanaryService))
	r.see(s, written, traffic.Observation{Settle: traffic.ServiceSettle})
}

// observeRoutes is the traffic of a canary with a router.
func (r *Rollouts) observeRoutes(ctx context.Context, s *Seen, services map[string]*corev1.Service) {
	snap := &s.Snapshot
	snap.Routed = true
	table, ok := pick(r.Routers, s.target.Routing)
	if !ok {
		s.unrouted = routingPath.String() + ": names no router that this controller knows"
		return
	}
	s.router, snap.Verifies = table.Router, table.Verifies
	r.steer(ctx, s)
	if err := r.watch(ctx, table.Kinds(s.target)); err != nil {
		s.unroutable(err)
		return
	}
	o, err := table.Router.Observe(ctx, s.target)
	if err != nil {
		r.missed(s, err)
		s.unroutable(err)
		return
	}
	s.routes, snap.Pinned = o.Problem, o.Pinned
	written, err := r.pinned(ctx, s.target, o, services)
	if err != nil {
		s.trouble(snap.Now, err)
		return
	}
	if s.blind && !o.Pinned {
		return
	}
	r.see(s, written, o)
}

// see brings the written split into the history of what may still be live.
func (r *Rollouts) see(s *Seen, written traffic.Split, o traffic.Observation) {
	key := loop.Key{Namespace: s.Rollout.Namespace, Name: s.Rollout.Name}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.histories[key]
	confirmed, settle := o.Confirmed, o.Settle
	if !o.Pinned && moved(h, written) {
		confirmed, settle = false, max(settle, traffic.ServiceSettle)
	}
	h, state := h.See(s.Snapshot.Now, written, confirmed, settle)
	state.Problem = o.Problem
	r.histories[key], s.Snapshot.Traffic = h, state
	s.Snapshot.SettledAt = h.Settled(settle)
}

// moved reports that a Service may have led to another revision a moment ago. A router
// vouches for weights; whether proxies follow a Service that was pointed elsewhere it
// cannot tell, so that takes its own time.
func moved(h traffic.History, written traffic.Split) bool {
	former := h.Old
	if !h.Seen.IsZero() {
		former = append(slices.Clone(former), h.Written)
	}
	of := func(d traffic.Destination) string { return cmp.Or(d.Service, string(d.Role)) }
	return !h.Known || slices.ContainsFunc(former, func(old traffic.Split) bool {
		return slices.ContainsFunc(old.Destinations, func(was traffic.Destination) bool {
			return slices.ContainsFunc(written.Destinations, func(d traffic.Destination) bool {
				return of(d) == of(was) && d.Hash != was.Hash
			})
		})
	})
}

// pinned is the split that a router has seen, with the revisions behind its destinations
// filled in from the Services' selectors where the router does not pin them itself.
func (r *Rollouts) pinned(ctx context.Context, t traffic.Target, o traffic.Observation, services map[string]*corev1.Service) (traffic.Split, error) {
	out := o.Written
	out.Destinations = slices.Clone(out.Destinations)
	for i := range out.Destinations {
		d := &out.Destinations[i]
		name := d.Service
		switch {
		case d.Role == traffic.Extra:
			if d.Hash != "" || name == "" {
				continue
			}
			if err := r.service(ctx, t.Namespace, name, services); err != nil {
				return traffic.Split{}, err
			}
		case o.Pinned:
			continue
		case name != "":
		case d.Role == traffic.Stable:
			name = t.StableService
		default:
			name = t.CanaryService
		}
		if svc := services[name]; svc != nil {
			d.Hash = svc.Spec.Selector[hashLabel]
		}
	}
	return out, nil
}

// service reads one more Service, such as an experiment's; a missing one is left out.
func (r *Rollouts) service(ctx context.Context, namespace, name string, services map[string]*corev1.Service) error {
	if services[name] != nil {
		return nil
	}
	svc := &corev1.Service{}
	err := r.Reader.Get(ctx, loop.Key{Namespace: namespace, Name: name}, svc)
	switch {
	case err == nil:
		services[name] = svc
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("get service %s/%s: %w", namespace, name, err)
	}
	return nil
}

var routingPath = field.NewPath("spec", "strategy", "canary", "trafficRouting")

// missed tells that an object of the mesh does not exist: once, since the status says so
// from then on.
func (r *Rollouts) missed(s *Seen, err error) {
	var why apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &why) || why.Status().Details == nil || strings.Contains(s.Rollout.Status.Message, err.Error()) {
		return
	}
	for prefix, reason := range map[string]rollout.Reason{"virtualservice": rollout.VirtualServiceNotFound, "destinationrule": rollout.DestinationRuleNotFound} {
		if strings.HasPrefix(strings.ToLower(why.Status().Details.Kind), prefix) {
			r.tell(s.Rollout, rollout.Note{Kind: rollout.Warning, Reason: reason, Message: err.Error()})
		}
	}
}

// unroutable records why the routes could not be read. What does not exist is a fault
// that the user sees in the status.
func (s *Seen) unroutable(err error) {
	s.trouble(s.Snapshot.Now, err)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		s.routes = err.Error()
		if path := routingPath.String(); !strings.HasPrefix(s.routes, path) {
			s.routes = path + ": " + s.routes
		}
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
		s.again(now.Add(again))
	}
	s.Snapshot.Trouble = append(s.Snapshot.Trouble,
		rollout.Note{Kind: rollout.Waiting, Reason: rollout.Unreadable, Message: err.Error()})
}

// again asks for a pass at that moment, or sooner.
func (s *Seen) again(at time.Time) {
	if s.retry.IsZero() || at.Before(s.retry) {
		s.retry = at
	}
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
			s.blind = true
			continue
		}
		s.Snapshot.Services = append(s.Snapshot.Services, fact)
	}
	return services
}
