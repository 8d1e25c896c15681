package routertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-io/penstock/internal/traffic"
)

// Laws returns the contract.
func Laws() []Law {
	return []Law{
		{"what was applied is observed", appliedIsObserved},
		{"weights outside the range are held to it", weightsAreClamped},
		{"a second Apply sends nothing", idempotent},
		{"Observe never writes", observeNeverWrites},
		{"foreign fields are kept byte for byte", foreignIsKept},
		{"what was read is not changed in the reader", readerIsNotChanged},
		{"drift is seen, and mended by one Apply", driftIsMended},
		{"a foreign write in between is a conflict", conflictSurfaces},
		{"a missing object is an error that names it", missingIsNamed},
		{"the zero split removes what is ours", zeroRemoves},
		{"the zero split is content with missing objects", zeroIsContent},
		{"a cancelled context ends both verbs", ctxIsHonoured},
		{"versions and settle time are told", observationIsComplete},
		{"extra destinations come and go", extrasComeAndGo},
		{"header routes come and go", headersComeAndGo},
		{"mirror routes come and go and follow the weights", mirrorsComeAndGo},
		{"what cannot be written is refused", refusals},
		{"junk anywhere in an object is a fault that names it, or does no harm", junkIsSurvived},
		{"random splits on random objects are read back, and the zero split undoes them", randomSplits},
	}
}

// weights lists percentages in an order with ups, downs and repeats.
var weights = []int32{0, 5, 5, 20, 33, 50, 49, 51, 99, 100, 0, 100, 1}

func (w *world) weight(percent int32) int32 { return int32(int64(percent) * int64(w.Total) / 100) }

func appliedIsObserved(ctx context.Context, f Fixture) error {
	w := f.newWorld(f.Objects...)
	for _, percent := range weights {
		s := w.split(w.weight(percent))
		if _, err := w.apply(ctx, s); err != nil {
			return err
		}
		if err := w.seen(ctx, s); err != nil {
			return fmt.Errorf("after apply %s: %w", s, err)
		}
	}
	if !f.Pinned {
		return nil
	}
	s := w.split(w.Total)
	s.Destinations[0].Hash = s.Destinations[1].Hash // promoted: both roles on one revision
	if _, err := w.apply(ctx, s); err != nil {
		return err
	}
	return w.seen(ctx, s)
}

// weightsAreClamped compares the objects, because a read may scale a wrong sum right.
func weightsAreClamped(ctx context.Context, f Fixture) error {
	for _, weight := range []int32{-1, -1 << 31, 1<<31 - 1} {
		w, right := f.newWorld(f.Objects...), f.newWorld(f.Objects...)
		s := w.split(weight)
		if _, err := right.apply(ctx, s); err != nil {
			return err
		}
		s.Destinations[1].Weight = weight // not what Two makes
		s.Destinations[0].Weight = 7
		if _, err := w.apply(ctx, s); err != nil {
			return err
		}
		got, err := w.all(ctx)
		if err != nil {
			return err
		}
		want, err := right.all(ctx)
		if err != nil {
			return err
		}
		if d := cmp.Diff(want, got); d != "" {
			return fmt.Errorf("canary weight %d is not held to 0..%d: %s", weight, w.Total, d)
		}
	}
	return nil
}

func idempotent(ctx context.Context, f Fixture) error {
	w := f.newWorld(f.Objects...)
	for _, percent := range weights {
		s := w.split(w.weight(percent))
		if _, err := w.apply(ctx, s); err != nil {
			return err
		}
		before := w.writes
		written, err := w.apply(ctx, s)
		if err != nil {
			return err
		}
		if w.writes != before || len(written) != 0 {
			return fmt.Errorf("second apply of %s sent %d writes and answered %v", s, w.writes-before, written)
		}
	}
	return nil
}

func observeNeverWrites(ctx context.Context, f Fixture) error {
	w := f.newWorld(f.Objects...)
	for _, percent := range []int32{-1, 30} {
		if percent >= 0 {
			if _, err := w.apply(ctx, w.split(w.weight(percent))); err != nil {
				return err
			}
		}
		before := w.writes
		for range 2 {
			if _, err := w.router.Observe(ctx, w.Target); err != nil {
				return err
			}
		}
		if w.writes != before {
			return fmt.Errorf("observe sent %d writes", w.writes-before)
		}
	}
	return nil
}

func foreignIsKept(ctx context.Context, f Fixture) error {
	w := f.newWorld(f.Objects...)
	before, err := w.foreign(ctx)
	if err != nil {
		return err
	}
	splits := []traffic.Split{{}}
	for _, percent := range weights {
		splits = append(splits, w.split(w.weight(percent)))
	}
	for _, s := range append(splits, traffic.Split{}) {
		if _, err := w.apply(ctx, s); err != nil {
			return err
		}
		after, err := w.foreign(ctx)
		if err != nil {
			return err
		}
		if d := cmp.Diff(before, after); d != "" {
			return fmt.Errorf("apply %s changed what is not ours: %s", s, d)
		}
	}
	return nil
}

// readerIsNotChanged: an object from a cache is shared with every other reader.
func readerIsNotChanged(ctx context.Context, f Fixture) error {
	w := f.newWorld(f.Objects...)
	if len(f.Makes) > 0 { // only what is there can be shared
		if _, err := w.apply(ctx, w.split(0)); err != nil {
			return err
		}
	}
	shared := &sharing{world: w, objects: map[string]*unstructured.Unstructured{}}
	w.router = f.New(shared, w)
	if _, err := w.router.Apply(ctx, w.Target, w.most()); err != nil {
		return err
	}
	if len(shared.objects) == 0 {
		return errors.New("apply read nothing through the reader")
	}
	for k, u := range shared.objects {
		if d := cmp.Diff(shared.copies[k].Object, u.Object); d != "" {
			return fmt.Errorf("apply changed the object of the reader %s: %s", k, d)
		}
	}
	return nil
}

func driftIsMended(ctx context.Context, f Fixture) error {
	w := f.newWorld(f.Objects...)
	s := w.most()
	if _, err := w.apply(ctx, s); err != nil {
		return err
	}
	drifted := false
	for _, o := range append(slices.Clone(w.Objects), w.Makes...) { // each object alone
		all, err := w.all(ctx)
		if err != nil {
			return err
		}
		u := all[key(o)]
		if u == nil {
			continue // the split does not ask for it
		}
		before := u.DeepCopy()
		if w.Drift(u); reflect.DeepEqual(before, u) {
			continue // nothing of it is ours
		}
		drifted = true
		if err := w.Update(ctx, u); err != nil {
			return err
		}
		obs, err := w.router.Observe(ctx, w.Target)
		if err != nil {
			return err
		}
		if obs.Problem == "" && obs.Written.Equal(s) {
			return fmt.Errorf("%s was changed, and still %s is observed", key(o), s)
		}
		writes := w.writes
		if _, err := w.apply(ctx, s); err != nil {
			return err
		}
		if n := w.writes - writes; n != 1 {
			return fmt.Errorf("%d writes mended one object", n)
		}
		if err := w.seen(ctx, s); err != nil {
			return fmt.Errorf("after mending %s: %w", key(o), err)
		}
	}
	if !drifted {
		return errors.New("the fixture's Drift changes nothing")
	}
	return nil
}

func conflictSurfaces(ctx context.Context, f Fixture) error {
	w := f.newWorld(f.Objects...)
	if len(f.Makes) > 0 {
		if _, err := w.apply(ctx, w.split(0)); err != nil {
			return err
		}
	}
	all, err := w.all(ctx)
	if err != nil {
		return err
	}
	stale := interceptor.NewClient(cluster(slices.Collect(maps.Values(all))), w.hooks())
	w.router = f.New(stale, w)
	for _, u := range all {
		if err := unstructured.SetNestedField(u.Object, "here", "metadata", "annotations", "somebody"); err != nil {
			return err
		}
		if err := w.Update(ctx, u); err != nil {
			return err
		}
	}
	_, err = w.router.Apply(ctx, w.Target, w.most())
	switch {
	case err == nil:
		return errors.New("apply on a stale read overwrote a foreign write")
	case !apierrors.IsConflict(err):
		return fmt.Errorf("apply on a stale read: want a conflict that can be told, got %w", err)
	}
	return nil
}

func missingIsNamed(ctx context.Context, f Fixture) error {
	for i, gone := range f.Objects {
		var rest []*unstructured.Unstructured
		rest = append(append(rest, f.Objects[:i]...), f.Objects[i+1:]...)
		w := f.newWorld(rest...)
		_, observed := w.router.Observe(ctx, w.Target)
		_, applied := w.router.Apply(ctx, w.Target, w.split(w.weight(30)))
		for verb, err := range map[string]error{"observe": observed, "apply": applied} {
			switch {
			case err == nil:
				return fmt.Errorf("%s without %s: no error", verb, key(gone))
			case f.Remote && strings.Contains(err.Error(), gone.GetName()):
			case !apierrors.IsNotFound(err), !strings.Contains(err.Error(), gone.GetName()), !strings.Contains(err.Error(), gone.GetNamespace()):
				return fmt.Errorf("%s without %s: the error is not a not-found with its name: %w", verb, key(gone), err)
			}
		}
		if w.writes != 0 {
			return fmt.Errorf("apply without %s sent %d writes", key(gone), w.writes)
		}
	}
	return nil
}

func zeroRemoves(ctx context.Context, f Fixture) error {
	w := f.newWorld(f.Objects...)
	start, err := w.all(ctx)
	if err != nil {
		return err
	}
	if _, err := w.apply(ctx, traffic.Split{}); err != nil {
		return err
	}
	if w.writes != 0 {
		return fmt.Errorf("there was nothing of ours, and the zero split sent %d writes", w.writes)
	}
	if _, err := w.apply(ctx, w.most()); err != nil {
		return err
	}
	if _, err := w.apply(ctx, traffic.Split{}); err != nil {
		return err
	}
	end, err := w.all(ctx)
	if err != nil {
		return err
	}
	for k := range start {
		start[k].SetResourceVersion("")
		end[k].SetResourceVersion("")
		if d := cmp.Diff(start[k].Object, end[k].Object); d != "" {
			return fmt.Errorf("the zero split left in %s: %s", k, d)
		}
	}
	if len(end) != len(start) {
		return fmt.Errorf("the zero split left %d objects that the adapter has made", len(end)-len(start))
	}
	if len(f.Makes) > 0 || f.Bare {
		return nil // what is not there is to be made, so nothing is seen as wanted
	}
	s := w.split(0)
	for i := range s.Destinations {
		s.Destinations[i].Hash = ""
	}
	return w.seen(ctx, s)
}

func zeroIsContent(ctx context.Context, f Fixture) error {
	w := f.newWorld()
	written, err := w.router.Apply(ctx, w.Target, traffic.Split{})
	if err != nil || len(written) != 0 || w.writes != 0 {
		return fmt.Errorf("in an empty cluster: %d writes, answer %v, error %v", w.writes, written, err)
	}
	return nil
}

func ctxIsHonoured(ctx context.Context, f Fixture) error {
	w := f.newWorld(f.Objects...)
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := w.router.Observe(ctx, w.Target); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("observe: want %w, got %w", context.Canceled, err)
	}
	for _, s := range []traffic.Split{w.most(), {}} {
		if _, err := w.router.Apply(ctx, w.Target, s); !errors.Is(err, context.Canceled) {
			return fmt.Errorf("apply %s: want %w, got %w", s, context.Canceled, err)
		}
	}
	return nil
}

func observationIsComplete(ctx context.Context, f Fixture) error {
	w := f.newWorld(f.Objects...)
	o, err := w.router.Observe(ctx, w.Target)
	if err != nil {
		return err
	}
	all, err := w.all(ctx)
	if err != nil {
		return err
	}
	versions := map[string]string{}
	for k, u := range all {
		versions[k] = u.GetResourceVersion()
	}
	if d := cmp.Diff(versions, o.Versions); d != "" && !f.Remote {
		return fmt.Errorf("versions: %s", d)
	}
	if o.Pinned != f.Pinned {
		return fmt.Errorf("pinned is %v", o.Pinned)
	}
	if !o.Confirmed && o.Settle <= 0 {
		return errors.New("neither confirmed nor a settle time")
	}
	return nil
}
