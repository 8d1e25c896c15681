package kube

import (
	"context"
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// pick returns the routers that the section asks for, in the order of the table.
func pick(table []Routing, tr *v1alpha1.RolloutTrafficRouting) (list []Routing) {
	for _, r := range table {
		if tr != nil && r.Uses(tr) {
			list = append(list, r)
		}
	}
	return list
}

// refs lists what the routers read for a target.
func refs(list []Routing, t traffic.Target) (all []traffic.Ref) {
	for _, r := range list {
		if r.Objects != nil {
			all = append(all, r.Objects(t)...)
		}
	}
	return all
}

// observeRoutes is the traffic of a canary with routers.
func (r *Rollouts) observeRoutes(ctx context.Context, s *Seen, services map[string]*corev1.Service) {
	s.Snapshot.Routed = true
	s.routers = pick(r.Routers, s.target.Routing)
	if len(s.routers) == 0 {
		s.unrouted = routingPath.String() + ": names no router that this controller knows"
		return
	}
	r.steer(ctx, s)
	var v views
	for _, table := range s.routers {
		s.Snapshot.Verifies = s.Snapshot.Verifies || table.Verifies
		o, err := r.look(ctx, s, table, services)
		v.add(table, o, err)
	}
	for _, err := range v.failed {
		r.missed(s, err)
		s.unroutable(err)
	}
	switch {
	case len(v.broken) > 0:
		s.routes, s.Snapshot.Pinned = v.broken[0].Problem, v.broken[0].Pinned
	case len(v.looks) > 0:
		s.Snapshot.Pinned = v.all.Pinned
	}
	switch {
	case len(v.looks) == 0 && len(v.failed) > 0:
		for _, err := range v.failed {
			s.trouble(s.Snapshot.Now, err)
		}
	case s.blind && !s.Snapshot.Pinned:
	case len(v.looks) == 0:
		r.see(s, v.broken[0].Written, nil, v.broken[0])
	default:
		written, apart := traffic.Join(v.looks...)
		r.see(s, written, apart, v.all)
		if t := &s.Snapshot.Traffic; v.partial() != "" {
			t.Partial, t.Known = v.partial(), false
		}
	}
}

// look asks one router, whose objects are watched from now on.
func (r *Rollouts) look(ctx context.Context, s *Seen, table Routing, services map[string]*corev1.Service) (traffic.Observation, error) {
	var kinds []schema.GroupVersionKind
	if table.Kinds != nil {
		kinds = table.Kinds(s.target)
	}
	if err := r.watch(ctx, kinds); err != nil {
		return traffic.Observation{}, err
	}
	o, err := table.Router.Observe(ctx, s.target)
	if err != nil {
		return o, err
	}
	s.remember(kinds, o)
	r.relay(s.Rollout, table.Name, o.Notes)
	if len(o.ALBs) > 0 {
		s.Snapshot.ALBs = o.ALBs
	}
	if o.Problem != "" {
		return o, nil
	}
	r.Drifts.notice(s, table, o)
	said := o.Written
	o.Written, err = r.pinned(ctx, s.target, o, services)
	if outdated(said, o.Written) {
		o.Written.Destinations = append(o.Written.Destinations, traffic.Destination{Role: traffic.Extra})
	}
	return o, err
}

// outdated: a router that is told of revisions, although Services lead to them, was told of
// others. The entry that is added to what it says is in no wanted split, so it is told anew.
func outdated(said, led traffic.Split) bool {
	for i, d := range said.Destinations {
		if d.Role != traffic.Extra && d.Hash != "" && d.Hash != led.Destinations[i].Hash {
			return true
		}
	}
	return false
}

// byTargets are the notes about target groups; those of a router are by its name.
const byTargets = "targets"

// relay tells each note once, for as long as it stands.
func (r *Rollouts) relay(ro *v1alpha1.Rollout, by string, notes []traffic.Note) {
	key := client.ObjectKeyFromObject(ro)
	r.mu.Lock()
	before := r.relayed[key][by]
	if len(notes) > 0 && r.relayed[key] == nil {
		r.relayed[key] = map[string][]traffic.Note{}
	}
	if r.relayed[key] != nil {
		r.relayed[key][by] = notes
	}
	r.mu.Unlock()
	for _, n := range notes {
		if slices.Contains(before, n) {
			continue
		}
		kind := rollout.Event
		if n.Warning {
			kind = rollout.Warning
		}
		r.tell(ro, rollout.Note{Kind: kind, Reason: rollout.Reason(n.Reason), Message: n.Message})
	}
}

// views is what the routers of a Rollout say.
type views struct {
	looks []traffic.Look
	// all joins what they say beside their splits.
	all traffic.Observation
	// broken are those with a problem, failed why others could not be asked.
	broken []traffic.Observation
	failed []error
}

func (v *views) add(table Routing, o traffic.Observation, err error) {
	look := traffic.Look{Carries: table.Carries, Split: o.Written}
	switch {
	case err != nil:
		v.failed = append(v.failed, err)
	case o.Problem != "":
		v.broken = append(v.broken, o)
	case len(v.looks) == 0:
		v.looks, v.all = []traffic.Look{look}, o
	default:
		// Services lead those that do not pin revisions themselves, so they say where roles
		// point, and the others follow.
		at := len(v.looks)
		if !o.Pinned {
			at = 0
		}
		v.looks = slices.Insert(v.looks, at, look)
		v.all.Pinned, v.all.Confirmed = v.all.Pinned && o.Pinned, v.all.Confirmed && o.Confirmed
		v.all.Settle = max(v.all.Settle, o.Settle)
	}
}

// partial says why not all of them were asked.
func (v *views) partial() string {
	var why []string
	for _, o := range v.broken {
		why = append(why, o.Problem)
	}
	for _, err := range v.failed {
		why = append(why, err.Error())
	}
	return strings.Join(why, "; ")
}

// setSplit writes a split through all routers, to each what it can carry. One that fails
// does not hold up the others: on an abort each of them is traffic that goes back.
func (r *Rollouts) setSplit(ctx context.Context, s *Seen, split traffic.Split) error {
	if len(s.routers) == 0 {
		return errors.New("the rollout has no router")
	}
	var errs []error
	for _, table := range s.routers {
		mine := split
		if len(s.routers) > 1 && !split.IsZero() { // one alone says what it cannot carry
			mine = split.For(table.Carries)
		}
		written, err := table.Router.Apply(ctx, s.target, mine)
		if err != nil && !apierrors.IsConflict(err) { // a conflict is tried again at once
			r.tell(s.Rollout, rollout.Note{Kind: rollout.Warning, Reason: rollout.TrafficRoutingError, Message: err.Error()})
		}
		if err == nil {
			r.mended(s, table, mine, written)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

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

// unroutable records that routes could not be read. What does not exist is a fault that the
// user sees in the status.
func (s *Seen) unroutable(err error) {
	s.later(s.Snapshot.Now, err)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		s.routes = err.Error()
		if path := routingPath.String(); !strings.HasPrefix(s.routes, path) {
			s.routes = path + ": " + s.routes
		}
	}
}
