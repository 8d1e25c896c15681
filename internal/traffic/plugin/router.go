package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
	"github.com/penstock-io/penstock/internal/traffic"
)

const (
	// builtIn is the one plugin that the controller has in itself.
	builtIn = "argoproj-labs/gatewayAPI"
	path    = "spec.strategy.canary.trafficRouting.plugins"

	defaultSettle  = 2 * time.Second
	defaultTimeout = 10 * time.Second
	// askAgain is when a plugin is asked once more whether its weights are live, or is there.
	askAgain = 10 * time.Second
	// refreshAfter is when everything is said to a plugin anew, against drift.
	refreshAfter = 10 * time.Minute
	// unproven is the settle time of weights that the plugin has to confirm: none is enough.
	unproven = 10 * 365 * 24 * time.Hour
)

// Caller calls plugins by name; *plugin.Registry is one.
type Caller interface {
	// Speaks tells whether Call or Conn is to be used.
	Speaks(ctx context.Context, name string) (version int, err error)
	Call(ctx context.Context, name, method string, args, reply any) error
	Conn(name, path string) grpc.ClientConnInterface
}

// Options are what the process gives.
type Options struct {
	Plugins Caller
	// Settle is how long the data plane of a plugin that verifies nothing may lag; default 2 s.
	Settle time.Duration
	// Timeout bounds one call; default 10 s.
	Timeout time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Wake asks for a pass of a Rollout after a time; nil leaves it to the next event.
	Wake func(key types.NamespacedName, after time.Duration)
}

// Router is a traffic.Router by plugins. It is safe for concurrent use.
type Router struct {
	options Options

	mu    sync.Mutex
	asked map[types.UID]*memory
	// woken is when a pass has been asked for.
	woken map[types.NamespacedName]time.Time
}

// memory is what a Rollout's plugins of the first protocol were asked for last.
type memory struct {
	split traffic.Split
	at    time.Time
	// verdict is what they said of it, and when.
	verdict int32
	told    time.Time
}

// New makes the router.
func New(o Options) *Router {
	register()
	o.Settle, o.Timeout = cmp.Or(o.Settle, defaultSettle), cmp.Or(o.Timeout, defaultTimeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wake == nil {
		o.Wake = func(types.NamespacedName, time.Duration) {}
	}
	return &Router{options: o, asked: map[types.UID]*memory{}, woken: map[types.NamespacedName]time.Time{}}
}

// Uses reports whether the rollout routes with a plugin that is not built in.
func Uses(r *v1alpha1.RolloutTrafficRouting) bool { return len(names(r)) > 0 }

func names(r *v1alpha1.RolloutTrafficRouting) (list []string) {
	if r == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.Plugins)) {
		if name != builtIn {
			list = append(list, name)
		}
	}
	return list
}

// sort tells the plugins of the first protocol from those of the second. One that cannot be
// asked counts among the first, where the next call says why; so does why.
func (r *Router) sort(ctx context.Context, t traffic.Target) (first, second []string, why error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	for _, name := range names(t.Routing) {
		version, err := r.options.Plugins.Speaks(ctx, name)
		if err == nil && version == plugin.Second {
			second = append(second, name)
			continue
		}
		first, why = append(first, name), errors.Join(why, err)
	}
	return first, second, why
}

// Observe implements traffic.Router. What several plugins say is joined.
func (r *Router) Observe(ctx context.Context, t traffic.Target) (traffic.Observation, error) {
	first, second, _ := r.sort(ctx, t)
	if len(second) == 0 {
		return r.recall(ctx, t, first)
	}
	var looks []traffic.Look
	var all traffic.Observation
	add := func(o traffic.Observation) {
		if all.Versions == nil {
			all = o
		}
		if all.Problem == "" {
			all.Problem = o.Problem
		}
		all.Confirmed, all.Settle = all.Confirmed && o.Confirmed, max(all.Settle, o.Settle)
		maps.Copy(all.Versions, o.Versions)
		looks = append(looks, traffic.Look{Carries: traffic.Everything, Split: o.Written})
	}
	if len(first) > 0 {
		o, err := r.recall(ctx, t, first)
		if err != nil {
			return traffic.Observation{}, err
		}
		add(o)
	}
	for _, name := range second {
		o, err := r.look(ctx, t, name)
		if err != nil {
			return traffic.Observation{}, err
		}
		add(o)
	}
	all.Written, _ = traffic.Join(looks...)
	return all, nil
}

// recall tells what plugins of the first protocol were asked for, and asks them whether it is
// live until they say so.
func (r *Router) recall(ctx context.Context, t traffic.Target, names []string) (traffic.Observation, error) {
	o := traffic.Observation{Settle: r.options.Settle, Pinned: t.StableService == "" && t.CanaryService == "", Versions: map[string]string{}}
	r.mu.Lock()
	m, known := r.asked[t.UID]
	var was memory
	if known {
		was = *m
	}
	r.mu.Unlock()
	if !known || r.options.Now().Sub(was.at) >= refreshAfter {
		if !known {
			was.split = former(t)
			if err := r.there(ctx, names); errors.Is(err, plugin.ErrUnknown) || errors.Is(err, plugin.ErrDisabled) {
				o.Written, o.Problem = was.split, fmt.Sprintf("%s: %s; name it in ConfigMap %s beside the controller", path, err, plugin.ConfigMap)
				r.options.Wake(types.NamespacedName{Namespace: t.Namespace, Name: t.Name}, 3*askAgain)
				return o, nil
			} else if err != nil {
				return traffic.Observation{}, err
			}
		}
		// An entry that no wanted split has: everything is to be said anew.
		o.Written = was.split
		o.Written.Destinations = append(slices.Clone(o.Written.Destinations), traffic.Destination{Role: traffic.Extra})
		return o, nil
	}
	o.Written = was.split
	return o, r.verify(ctx, t, names, was, &o)
}

// former is the split that a controller before this one has written down.
func former(t traffic.Target) traffic.Split {
	total := t.Routing.MaxTrafficWeightOrDefault()
	s := traffic.Two(total, 0, traffic.Destination{Service: t.StableService}, traffic.Destination{Service: t.CanaryService})
	if t.Rollout == nil || t.Rollout.Status.Canary.Weights == nil {
		return s
	}
	w := t.Rollout.Status.Canary.Weights
	s.Destinations[0].Weight, s.Destinations[0].Hash = w.Stable.Weight, w.Stable.PodTemplateHash
	s.Destinations[1].Weight, s.Destinations[1].Hash = w.Canary.Weight, w.Canary.PodTemplateHash
	for _, x := range w.Additional {
		s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra, Service: x.ServiceName, Hash: x.PodTemplateHash, Weight: x.Weight})
	}
	return s
}

// there starts the plugins that do not run, or says which cannot be had.
func (r *Router) there(ctx context.Context, names []string) error {
	for _, name := range names {
		var kind string
		if err := r.call(ctx, name, "Type", nil, &kind); err != nil {
			return err
		}
	}
	return nil
}

// verify asks the plugins whether the weights are live, unless they have said so, and not
// more often than askAgain. The worst of their answers counts.
func (r *Router) verify(ctx context.Context, t traffic.Target, names []string, was memory, o *traffic.Observation) error {
	if now := r.options.Now(); was.told.IsZero() || was.verdict == notVerified && now.Sub(was.told) >= askAgain {
		args := SetWeightAndVerifyWeightArgs{Rollout: rolloutOf(t), DesiredWeight: was.split.Weight(traffic.Canary), AdditionalDestinations: additional(was.split)}
		was.verdict, was.told = verified, now
		for _, name := range names {
			var v Verdict
			err := r.call(ctx, name, "VerifyWeight", args, &v)
			if err == nil && v.Err.ErrorString != "" {
				err = errors.New(v.Err.ErrorString)
			}
			if err != nil {
				return fmt.Errorf("failed to verify weight via plugin: %w", err)
			}
			switch {
			case v.Verified == verified:
			case v.Verified != notImplemented:
				was.verdict = notVerified // also what nobody has published
			case was.verdict == verified:
				was.verdict = notImplemented
			}
		}
		r.mu.Lock()
		if m := r.asked[t.UID]; m != nil && m.split.Equal(was.split) {
			m.verdict, m.told = was.verdict, was.told
		}
		r.mu.Unlock()
	}
	switch was.verdict {
	case verified:
		o.Confirmed = true
	case notVerified:
		o.Settle = unproven
		r.options.Wake(types.NamespacedName{Namespace: t.Namespace, Name: t.Name}, askAgain)
	}
	return nil
}

// call calls one method within the bound.
func (r *Router) call(ctx context.Context, name, method string, args, reply any) error {
	limited, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	err := r.options.Plugins.Call(limited, name, method, &args, reply)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && limited.Err() != nil:
		return fmt.Errorf("plugin %s gave no answer to %s within the timeout of %s", name, method, r.options.Timeout)
	}
	return err
}
