package routertest

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// shapes is how many worlds of random objects the law looks at.
const shapes = 1000

// randomSplits applies random splits to objects of random shape. The zero split gives back
// what was there before the first of them. The seed of a world that fails is told.
func randomSplits(ctx context.Context, f Fixture) error {
	if f.Shape == nil {
		return nil
	}
	for seed := range uint64(shapes) {
		if err := f.randomWorld(ctx, rand.New(rand.NewPCG(seed, 1))); err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	return nil
}

func (f Fixture) randomWorld(ctx context.Context, r *rand.Rand) error {
	f.Objects = f.Shape(r)
	w := f.worldOn(newMemory(f.Objects))
	foreign, err := w.foreign(ctx)
	if err != nil {
		return err
	}
	if _, err := w.apply(ctx, traffic.Split{}); err != nil { // weights that are not spelled out
		return err
	}
	start, err := w.plainObjects(ctx)
	if err != nil {
		return err
	}
	for range 1 + r.IntN(3) {
		if err := w.step(ctx, w.random(r), foreign); err != nil {
			return err
		}
	}
	if _, err := w.apply(ctx, traffic.Split{}); err != nil {
		return err
	}
	end, err := w.plainObjects(ctx)
	if err != nil {
		return err
	}
	if d := cmp.Diff(start, end); d != "" {
		return fmt.Errorf("the zero split left: %s", d)
	}
	return nil
}

// random is any split that the adapter carries.
func (w *world) random(r *rand.Rand) traffic.Split {
	s := w.split(r.Int32N(w.Total + 1))
	if w.Extras && r.IntN(2) == 0 {
		var weights []int32
		left := s.Destinations[0].Weight
		for range ExtraServices {
			weight := r.Int32N(left+2) - 1
			weights = append(weights, weight)
			left -= max(weight, 0)
		}
		s = w.with(s, weights...)
	}
	if w.Target.Routing == nil {
		return s
	}
	for n := range w.Target.Routing.ManagedRoutes {
		switch kind := r.IntN(4); {
		case kind == 0 && w.Headers:
			s.Headers = append(s.Headers, w.header(n, randomHeaders(r)...))
		case kind == 1 && w.Mirrors:
			s.Mirrors = append(s.Mirrors, w.mirror(n, randomPercent(r), w.randomMatches(r)...))
		}
	}
	return s
}

func randomHeaders(r *rand.Rand) (list []v1alpha1.HeaderRoutingMatch) {
	for range 1 + r.IntN(3) {
		list = append(list, headerMatch(fmt.Sprintf("x-law-%d", r.IntN(3)), randomText(r)))
	}
	return list
}

func randomText(r *rand.Rand) v1alpha1.StringMatch {
	value := []string{"a", "1.0", "(x)", "a*b", "^.+$", "/p"}[r.IntN(6)]
	switch r.IntN(3) {
	case 0:
		return v1alpha1.StringMatch{Exact: value}
	case 1:
		return v1alpha1.StringMatch{Prefix: value}
	}
	return v1alpha1.StringMatch{Regex: value}
}

// randomMatches always has one that any route can meet.
func (w *world) randomMatches(r *rand.Rand) []v1alpha1.RouteMatch {
	usual, _ := w.matches()
	list := []v1alpha1.RouteMatch{usual}
	for range r.IntN(3) {
		var m v1alpha1.RouteMatch
		if r.IntN(2) == 0 {
			m.Method = &v1alpha1.StringMatch{Exact: "PUT"}
		}
		switch r.IntN(3) {
		case 0:
			m.Path = &v1alpha1.StringMatch{Prefix: "/a/b"}
		case 1:
			m.Path = &v1alpha1.StringMatch{Exact: "/a"}
		}
		for range r.IntN(3) {
			if m.Headers == nil {
				m.Headers = map[string]v1alpha1.StringMatch{}
			}
			m.Headers[fmt.Sprintf("x-law-%d", r.IntN(3))] = randomText(r)
		}
		list = append(list, m)
	}
	return list
}

func randomPercent(r *rand.Rand) *int32 {
	if r.IntN(4) == 0 {
		return nil
	}
	return part(r.Int32N(101))
}
