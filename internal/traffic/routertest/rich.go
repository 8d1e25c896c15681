package routertest

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// ExtraServices are the Services of the extra destinations that the laws ask for. A Mask
// removes destinations of these.
var ExtraServices = []string{"exp-a", "exp-b"}

// with adds extra destinations of the given weights, in the order of ExtraServices; stable
// gives what they get. A negative weight leaves its destination out.
func (w *world) with(s traffic.Split, weights ...int32) traffic.Split {
	s.Destinations = slices.Clone(s.Destinations)
	for i, weight := range weights {
		if weight < 0 {
			continue
		}
		x := traffic.Destination{Role: traffic.Extra, Service: ExtraServices[i], Weight: weight}
		if w.Pinned {
			x.Hash = "7d9f8c" + fmt.Sprint(i)
		}
		s.Destinations[0].Weight -= weight
		s.Destinations = append(s.Destinations, x)
	}
	return s
}

// named is the nth of the target's managed routes.
func (w *world) named(n int) string { return w.Target.Routing.ManagedRoutes[n].Name }

// header is a managed route; where only whole values can be compared, its values are such.
func (w *world) header(n int, matches ...v1alpha1.HeaderRoutingMatch) v1alpha1.SetHeaderRoute {
	for i, m := range matches {
		if v := m.HeaderValue; w.Exact && v.Exact == "" {
			matches[i] = headerMatch(m.HeaderName, v1alpha1.StringMatch{Exact: v.Prefix + v.Regex})
		}
	}
	return v1alpha1.SetHeaderRoute{Name: w.named(n), Match: matches}
}

func headerMatch(name string, value v1alpha1.StringMatch) v1alpha1.HeaderRoutingMatch {
	return v1alpha1.HeaderRoutingMatch{HeaderName: name, HeaderValue: &value}
}

func (w *world) mirror(n int, percent *int32, matches ...v1alpha1.RouteMatch) v1alpha1.SetMirrorRoute {
	return v1alpha1.SetMirrorRoute{Name: w.named(n), Percentage: percent, Match: matches}
}

func part(n int32) *int32 { return &n }

var (
	beta  = headerMatch("x-beta", v1alpha1.StringMatch{Exact: "1"})
	agent = headerMatch("x-agent", v1alpha1.StringMatch{Prefix: "a.b*"})
	trial = headerMatch("x-trial", v1alpha1.StringMatch{Regex: "^(a|b)$"})
)

var httpMatches = []v1alpha1.RouteMatch{
	{Method: &v1alpha1.StringMatch{Exact: "GET"}},
	{
		Path:    &v1alpha1.StringMatch{Prefix: "/cart"},
		Headers: map[string]v1alpha1.StringMatch{"x-beta": {Exact: "1"}, "x-team": {Prefix: "a"}},
	},
}

// matches are what mirror routes ask for: the first is met everywhere.
func (f Fixture) matches() (usual, narrow v1alpha1.RouteMatch) {
	if len(f.Matches) == 2 {
		return f.Matches[0], f.Matches[1]
	}
	return httpMatches[0], httpMatches[1]
}

// most is a split with everything that the adapter carries.
func (w *world) most() traffic.Split {
	s := w.split(w.weight(30))
	if w.Extras {
		s = w.with(s, w.weight(20), w.weight(10))
	}
	if w.Headers {
		s.Headers = []v1alpha1.SetHeaderRoute{w.header(0, beta, agent), w.header(2, trial)}
	}
	if w.Mirrors {
		usual, narrow := w.matches()
		s.Mirrors = []v1alpha1.SetMirrorRoute{w.mirror(1, part(40), usual, narrow)}
	}
	return s
}

// walk applies one split after the other. After each the split is observed, a second Apply
// sends nothing, and what is foreign is as it was; after the last the objects are as if
// only that one had ever been applied.
func walk(ctx context.Context, f Fixture, splits func(*world) []traffic.Split) error {
	w := f.newWorld(f.Objects...)
	before, err := w.foreign(ctx)
	if err != nil {
		return err
	}
	var last traffic.Split
	for _, last = range splits(w) {
		if err := w.step(ctx, last, before); err != nil {
			return err
		}
	}
	short := f.newWorld(f.Objects...)
	if _, err := short.apply(ctx, last); err != nil {
		return err
	}
	want, err := short.plainObjects(ctx)
	if err != nil {
		return err
	}
	got, err := w.plainObjects(ctx)
	if err != nil {
		return err
	}
	if d := cmp.Diff(want, got); d != "" {
		return fmt.Errorf("what was there before shows after %s: %s", last, d)
	}
	return nil
}

// step applies one split and checks what must hold after any.
func (w *world) step(ctx context.Context, s traffic.Split, foreign map[string]string) error {
	if _, err := w.apply(ctx, s); err != nil {
		return err
	}
	if !s.IsZero() {
		if err := w.seen(ctx, s); err != nil {
			return fmt.Errorf("after apply %s: %w", s, err)
		}
	}
	writes := w.writes
	if written, err := w.apply(ctx, s); err != nil || w.writes != writes {
		return fmt.Errorf("second apply of %s sent %d writes and answered %v, %w", s, w.writes-writes, written, err)
	}
	now, err := w.foreign(ctx)
	if err != nil {
		return err
	}
	if d := cmp.Diff(foreign, now); d != "" {
		return fmt.Errorf("apply %s changed what is not ours: %s", s, d)
	}
	return nil
}

// plainObjects are the objects without their versions.
func (w *world) plainObjects(ctx context.Context) (map[string]map[string]any, error) {
	all, err := w.all(ctx)
	if err != nil {
		return nil, err
	}
	objects := map[string]map[string]any{}
	for key, u := range all {
		u.SetResourceVersion("")
		objects[key] = u.Object
	}
	return objects, nil
}

func extrasComeAndGo(ctx context.Context, f Fixture) error {
	if !f.Extras {
		return nil
	}
	w := f.newWorld(f.Objects...)
	greedy := w.with(w.split(w.weight(95)), w.weight(50), w.weight(50))
	if _, err := w.apply(ctx, greedy); err != nil {
		return err
	}
	if err := w.seen(ctx, greedy.Held()); err != nil {
		return fmt.Errorf("weights beyond the total are held to it: %w", err)
	}
	return walk(ctx, f, func(w *world) []traffic.Split {
		at := func(percent int32) traffic.Split { return w.split(w.weight(percent)) }
		return []traffic.Split{
			at(10), w.with(at(10), w.weight(20)), w.with(at(30), w.weight(20), w.weight(50)), w.with(at(30), w.weight(1), 0),
			w.with(at(95), -1, w.weight(5)), w.with(at(0), w.weight(50), w.weight(50)), at(100), w.with(at(100), 0), at(5),
		}
	})
}

func headersComeAndGo(ctx context.Context, f Fixture) error {
	if !f.Headers {
		return nil
	}
	return walk(ctx, f, func(w *world) []traffic.Split {
		at := func(percent int32, list ...v1alpha1.SetHeaderRoute) traffic.Split {
			s := w.split(w.weight(percent))
			s.Headers = list
			return s
		}
		return []traffic.Split{
			at(0, w.header(2, beta)), at(5, w.header(2, beta)), at(5, w.header(2, beta, agent, trial)), at(5, w.header(0, trial), w.header(2, agent)),
			at(50, w.header(0, beta)), {}, at(100, w.header(0, beta), w.header(1, agent), w.header(2, trial)), at(20),
		}
	})
}

func mirrorsComeAndGo(ctx context.Context, f Fixture) error {
	if !f.Mirrors {
		return nil
	}
	usual, narrow := f.matches()
	return walk(ctx, f, func(w *world) []traffic.Split {
		at := func(percent int32, list ...v1alpha1.SetMirrorRoute) traffic.Split {
			s := w.split(w.weight(percent))
			s.Mirrors = list
			return s
		}
		return []traffic.Split{
			at(0, w.mirror(1, nil, usual)), at(5, w.mirror(1, part(35), usual)), at(50, w.mirror(1, part(100), narrow, usual)),
			at(50, w.mirror(0, part(0), usual), w.mirror(2, nil, narrow)), at(20, w.mirror(2, nil, narrow)), {}, at(20, w.mirror(1, part(1), usual)), at(20),
		}
	})
}

// refusals: what an adapter cannot write, or could not know again, it must refuse; a step
// that is silently without effect is worse than one that waits.
func refusals(ctx context.Context, f Fixture) error {
	w := f.newWorld(f.Objects...)
	for sentence, s := range w.impossible() {
		written, err := w.router.Apply(ctx, w.Target, s)
		if err == nil || len(written) != 0 || w.writes != 0 {
			return fmt.Errorf("%s: %d writes, answer %v, error %w", sentence, w.writes, written, err)
		}
	}
	return nil
}

func (w *world) impossible() map[string]traffic.Split {
	add := func(change func(*traffic.Split)) traffic.Split {
		s := w.split(w.weight(30))
		change(&s)
		return s
	}
	extra := func(service string) traffic.Destination {
		return traffic.Destination{Role: traffic.Extra, Service: service, Weight: 1}
	}
	extras := func(list ...traffic.Destination) traffic.Split {
		return add(func(s *traffic.Split) { s.Destinations = append(s.Destinations, list...) })
	}
	headers := func(list ...v1alpha1.SetHeaderRoute) traffic.Split {
		return add(func(s *traffic.Split) { s.Headers = list })
	}
	mirrors := func(list ...v1alpha1.SetMirrorRoute) traffic.Split {
		return add(func(s *traffic.Split) { s.Mirrors = list })
	}
	all := map[string]traffic.Split{
		"weights of another total":               traffic.Two(w.Total*10, 30, traffic.Destination{}, traffic.Destination{}),
		"an extra destination without a Service": extras(extra("")),
		"a header route that nobody listed":      headers(v1alpha1.SetHeaderRoute{Name: "stranger", Match: []v1alpha1.HeaderRoutingMatch{beta}}),
		"a mirror route that nobody listed":      mirrors(v1alpha1.SetMirrorRoute{Name: "stranger", Match: httpMatches[:1]}),
	}
	if listed := w.Target.Routing != nil && len(w.Target.Routing.ManagedRoutes) > 0; listed && !w.Headers {
		all["a header route"] = headers(w.header(0, beta))
	} else if listed && !w.Mirrors {
		all["a mirror route"] = mirrors(w.mirror(0, nil, httpMatches[0]))
	}
	if w.Extras {
		all["an extra destination twice"] = extras(extra("exp-a"), extra("exp-a"))
		if w.Target.CanaryService != "" {
			all["the canary as an extra destination"] = extras(extra(w.Target.CanaryService))
		}
	} else {
		all["an extra destination"] = extras(extra("exp-a"))
	}
	if w.Headers {
		all["a header route without a match"] = headers(w.header(0))
		all["a header route twice"] = headers(w.header(0, beta), w.header(0, agent))
	}
	if w.Exact {
		all["a header that is not compared as a whole"] = headers(v1alpha1.SetHeaderRoute{Name: w.named(0), Match: []v1alpha1.HeaderRoutingMatch{agent}})
	}
	if w.Mirrors {
		all["a mirror route without a match"] = mirrors(w.mirror(0, nil))
	}
	return all
}
