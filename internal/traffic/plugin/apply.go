package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
	"github.com/penstock-io/penstock/internal/traffic"
)

// Apply implements traffic.Router. An error of one plugin does not hold up those after it: on
// an abort each of them is traffic that goes back.
func (r *Router) Apply(ctx context.Context, t traffic.Target, s traffic.Split) (traffic.Written, error) {
	first, second, why := r.sort(ctx, t)
	if s.IsZero() {
		return nil, errors.Join(why, r.leave(ctx, t, first), r.clear(ctx, t, second))
	}
	if problem := s.Problem(t); problem != "" {
		return nil, fmt.Errorf("route %s/%s by plugins: %s", t.Namespace, t.Name, problem)
	}
	s = s.Held()
	written := traffic.Written{}
	var errs []error
	if len(first) > 0 {
		said, err := r.tell(ctx, t, s, first)
		maps.Copy(written, said)
		errs = append(errs, err)
	} else {
		r.forget(t)
	}
	for _, name := range second {
		version, err := r.write(ctx, t, s, name)
		if version != "" {
			written[key(name)] = version
		}
		errs = append(errs, err)
	}
	if len(written) == 0 {
		written = nil
	}
	return written, errors.Join(errs...)
}

// key is under which what a plugin has written is listed.
func key(name string) string { return "Plugin/" + name }

// forget drops what was asked for, and returns whether anything was.
func (r *Router) forget(t traffic.Target) (known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known = r.asked[t.UID]
	delete(r.asked, t.UID)
	return known
}

// tell sends the verbs that make the difference between what was asked for last and the
// split. With an error it is not known how far they came, and all is said anew with the
// next one.
func (r *Router) tell(ctx context.Context, t traffic.Target, s traffic.Split, names []string) (traffic.Written, error) {
	r.mu.Lock()
	m, known := r.asked[t.UID]
	var was *traffic.Split
	if known && r.options.Now().Sub(m.at) < refreshAfter {
		split := m.split
		was = &split
	}
	r.mu.Unlock()
	if was != nil && was.Equal(s) {
		return nil, nil
	}
	r.forget(t)
	verbs := difference(t, was, s)
	written := traffic.Written{}
	for _, name := range names {
		for _, v := range verbs {
			if err := r.say(ctx, name, v); err != nil {
				return written, err
			}
		}
		written[key(name)] = ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[t.UID] = &memory{split: s, at: r.options.Now()}
	return written, nil
}

// leave takes back what a Rollout that is going has asked for.
func (r *Router) leave(ctx context.Context, t traffic.Target, names []string) error {
	r.mu.Lock()
	delete(r.woken, types.NamespacedName{Namespace: t.Namespace, Name: t.Name})
	r.mu.Unlock()
	if !r.forget(t) {
		return nil // nothing was asked for by this controller
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, r.say(ctx, name, weight(t, traffic.Split{})), r.say(ctx, name, removal(t)))
	}
	return errors.Join(errs...)
}

// verb is one call.
type verb struct {
	method, doing string
	args          any
}

// say makes one call, and reads the plugin's own error.
func (r *Router) say(ctx context.Context, name string, v verb) error {
	var reply plugin.Error
	err := r.call(ctx, name, v.method, v.args, &reply)
	if err == nil && reply.ErrorString != "" {
		err = errors.New(reply.ErrorString)
	}
	if err != nil {
		return fmt.Errorf("failed to %s via plugin: plugin %s: %w", v.doing, name, err)
	}
	return nil
}

// difference are the verbs from one split to the next, nil for one that is not known. Weight
// that goes down goes before the revisions change, weight that goes up after.
func difference(t traffic.Target, was *traffic.Split, s traffic.Split) (verbs []verb) {
	routes := managed(t, was, s)
	hash := verb{"UpdateHash", "update hash", UpdateHashArgs{Rollout: rolloutOf(t), CanaryHash: hashOf(s, traffic.Canary),
		StableHash: hashOf(s, traffic.Stable), AdditionalDestinations: additional(s)}}
	sameHash := was != nil && hashOf(*was, traffic.Canary) == hashOf(s, traffic.Canary) && hashOf(*was, traffic.Stable) == hashOf(s, traffic.Stable) &&
		reflect.DeepEqual(hashes(*was), hashes(s))
	sameWeight := was != nil && was.Weight(traffic.Canary) == s.Weight(traffic.Canary) && reflect.DeepEqual(additional(*was), additional(s))
	down := was == nil || s.Weight(traffic.Canary) < was.Weight(traffic.Canary)
	switch {
	case sameHash && sameWeight:
	case sameHash:
		verbs = []verb{weight(t, s)}
	case sameWeight:
		verbs = []verb{hash}
	case down:
		verbs = []verb{weight(t, s), hash}
	default:
		verbs = []verb{hash, weight(t, s)}
	}
	if down { // who is sent by a header is no longer sent before others are not
		return append(routes, verbs...)
	}
	return append(verbs, routes...)
}

func weight(t traffic.Target, s traffic.Split) verb {
	return verb{"SetWeight", "set weight", SetWeightAndVerifyWeightArgs{Rollout: rolloutOf(t), DesiredWeight: s.Weight(traffic.Canary), AdditionalDestinations: additional(s)}}
}

func removal(t traffic.Target) verb {
	return verb{"RemoveManagedRoutes", "remove managed routes", RemoveManagedRoutesArgs{Rollout: rolloutOf(t)}}
}

// managed are the verbs about header and mirror routes.
func managed(t traffic.Target, was *traffic.Split, s traffic.Split) (verbs []verb) {
	all := len(s.Headers) + len(s.Mirrors)
	if was == nil || all == 0 && len(was.Headers)+len(was.Mirrors) > 0 {
		verbs = append(verbs, removal(t))
		was = &traffic.Split{}
	}
	header := func(h v1alpha1.SetHeaderRoute) verb {
		return verb{"SetHeaderRoute", "set header route", SetHeaderArgs{Rollout: rolloutOf(t), SetHeaderRoute: h}}
	}
	mirror := func(m v1alpha1.SetMirrorRoute) verb {
		return verb{"SetMirrorRoute", "set mirror route", SetMirrorArgs{Rollout: rolloutOf(t), SetMirrorRoute: m}}
	}
	for _, old := range was.Headers {
		if !slices.ContainsFunc(s.Headers, func(h v1alpha1.SetHeaderRoute) bool { return h.Name == old.Name }) {
			verbs = append(verbs, header(v1alpha1.SetHeaderRoute{Name: old.Name}))
		}
	}
	for _, old := range was.Mirrors {
		if !slices.ContainsFunc(s.Mirrors, func(m v1alpha1.SetMirrorRoute) bool { return m.Name == old.Name }) {
			verbs = append(verbs, mirror(v1alpha1.SetMirrorRoute{Name: old.Name}))
		}
	}
	for _, h := range s.Headers {
		if !slices.ContainsFunc(was.Headers, func(o v1alpha1.SetHeaderRoute) bool { return reflect.DeepEqual(o, h) }) {
			verbs = append(verbs, header(h))
		}
	}
	for _, m := range s.Mirrors {
		if !slices.ContainsFunc(was.Mirrors, func(o v1alpha1.SetMirrorRoute) bool { return reflect.DeepEqual(o, m) }) {
			verbs = append(verbs, mirror(m))
		}
	}
	return verbs
}

func additional(s traffic.Split) (list []v1alpha1.WeightDestination) {
	for _, d := range s.Extras() {
		list = append(list, v1alpha1.WeightDestination{ServiceName: d.Service, PodTemplateHash: d.Hash, Weight: d.Weight})
	}
	return list
}

func hashes(s traffic.Split) (list []string) {
	for _, d := range s.Extras() {
		list = append(list, d.Hash)
	}
	return list
}

func hashOf(s traffic.Split, r traffic.Role) string {
	d, _ := s.Of(r)
	return d.Hash
}

// rolloutOf is the Rollout that a plugin is told of; at the least its name.
func rolloutOf(t traffic.Target) v1alpha1.Rollout {
	if t.Rollout != nil {
		return *t.Rollout
	}
	ro := v1alpha1.Rollout{}
	ro.Namespace, ro.Name, ro.UID = t.Namespace, t.Name, t.UID
	return ro
}
