package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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
// +kubebuilder:rbac:groups=appmesh.k8s.aws,resources=virtualservices,verbs=get;list;watch
// +kubebuilder:rbac:groups=appmesh.k8s.aws,resources=virtualnodes;virtualrouters,verbs=get;list;watch;update
// +kubebuilder:rbac:groups=getambassador.io,resources=mappings,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=x.getambassador.io,resources=ambassadormappings,verbs=get;list;watch;create;update;delete
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
	// Kinds lists what to watch for a target; nil where there is nothing. Others of the
	// router's kinds need not be served by the cluster.
	Kinds func(traffic.Target) []schema.GroupVersionKind
	// Carries is what it can carry beside the weights of stable and canary.
	Carries traffic.Carries
	// Verifies says that the router can vouch for the data plane.
	Verifies bool
	// Signed is the kind whose objects name their Rollouts; Owners lists these, nil means
	// that of the managed-by annotation. Release takes what is an owner's off such an object;
	// nil where the router signs nothing.
	Signed  schema.GroupVersionKind
	Owners  func(object map[string]any) []string
	Release func(object map[string]any, owner string)
}

func targetOf(ro *v1alpha1.Rollout) traffic.Target {
	t := traffic.Target{Namespace: ro.Namespace, Name: ro.Name, UID: ro.UID}
	t.StableService, t.CanaryService = rollout.Roles(&ro.Spec, &ro.Status)
	if c := ro.Spec.Strategy.Canary; c != nil && ro.Spec.Strategy.BlueGreen == nil {
		t.Routing = c.TrafficRouting
		if t.Routing != nil && len(t.Routing.Plugins) > 0 {
			t.Rollout = ro
		}
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
		r.see(s, traffic.Split{}, nil, traffic.Observation{Settle: traffic.ServiceSettle})
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
	r.see(s, written, nil, traffic.Observation{Settle: traffic.ServiceSettle})
}

// see brings the written split into the history of what may still be live. Where several
// routers do not ask for the same, what each asks for is apart, and may be live too.
func (r *Rollouts) see(s *Seen, written traffic.Split, apart []traffic.Split, o traffic.Observation) {
	if r.Unindexed { // one look: what was written before it has nobody seen
		s.Snapshot.Traffic = traffic.State{Written: written, Live: append([]traffic.Split{written}, apart...), Known: true, Problem: o.Problem}
		return
	}
	key := loop.Key{Namespace: s.Rollout.Namespace, Name: s.Rollout.Name}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.histories[key]
	confirmed, settle := o.Confirmed, o.Settle
	if !o.Pinned && moved(h, written) {
		confirmed, settle = false, max(settle, traffic.ServiceSettle)
	}
	for _, a := range apart {
		h, _ = h.See(s.Snapshot.Now, a, false, settle)
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

// trouble records that something could not be read, and when to try again.
func (s *Seen) trouble(now time.Time, err error) {
	s.later(now, err)
	s.Snapshot.Trouble = append(s.Snapshot.Trouble,
		rollout.Note{Kind: rollout.Waiting, Reason: rollout.Unreadable, Message: err.Error()})
}

// later asks for another try at reading. A missing object comes back with its own event, a
// missing kind does not.
func (s *Seen) later(now time.Time, err error) {
	again := time.Second
	if meta.IsNoMatchError(err) || apierrors.IsForbidden(err) {
		again = missingRetry
	}
	if !apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		s.again(now.Add(again))
	}
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
