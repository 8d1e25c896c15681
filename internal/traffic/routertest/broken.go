package routertest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/internal/traffic"
)

// Broken yields copies of a decoded JSON object, each with one node replaced by junk of
// every JSON type, and where it was: an adapter must not panic on any of them.
func Broken(object map[string]any) iter.Seq2[string, map[string]any] {
	junk := []any{nil, "junk", int64(7), -1.5, true, []any{}, []any{nil, "junk"}, map[string]any{}, map[string]any{"": nil}}
	return func(yield func(string, map[string]any) bool) {
		for _, p := range paths(object) {
			for _, j := range junk {
				broken := runtime.DeepCopyJSON(object)
				put(broken, p, runtime.DeepCopyJSONValue(j))
				where := ""
				for _, key := range p {
					where += "/" + key
				}
				if !yield(where, broken) {
					return
				}
			}
		}
	}
}

// junkIsSurvived puts junk into the objects, before there is anything of ours in them and as
// they are in the middle of a release.
func junkIsSurvived(ctx context.Context, f Fixture) error {
	begun := f.worldOn(newMemory(f.Objects))
	if _, err := begun.apply(ctx, begun.most()); err != nil {
		return err
	}
	all, err := begun.all(ctx)
	if err != nil {
		return err
	}
	for _, objects := range [][]*unstructured.Unstructured{f.Objects, slices.Collect(maps.Values(all))} {
		for i, u := range objects {
			worlds := 0
			for range storable(u.Object) {
				worlds++
			}
			stride, n := worlds/brokenWorlds+1, 0
			for where, broken := range storable(u.Object) {
				if n++; n%stride != 0 && strings.HasPrefix(where, "/spec") {
					continue
				}
				world := slices.Clone(objects)
				world[i] = &unstructured.Unstructured{Object: broken}
				if err := f.survives(ctx, world, u.GetName()); err != nil {
					return fmt.Errorf("%s, %s: %w", key(u), where, err)
				}
			}
		}
	}
	return nil
}

// brokenWorlds is about how many copies of each object with a broken spec the law looks at.
const brokenWorlds = 100

// storable are those broken objects that an API server may hold: in the spec anything, in
// labels and annotations text.
func storable(object map[string]any) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		for where, broken := range Broken(object) {
			meta, _ := broken["metadata"].(map[string]any)
			texts := true
			for _, key := range []string{"labels", "annotations"} {
				_, is, err := unstructured.NestedStringMap(broken, "metadata", key)
				texts = texts && err == nil && (is || meta[key] == nil)
			}
			inMetadata := strings.HasPrefix(where, "/metadata/labels/") || strings.HasPrefix(where, "/metadata/annotations/")
			if !strings.HasPrefix(where, "/spec") && (!inMetadata || !texts) {
				continue
			}
			if !yield(where, broken) {
				return
			}
		}
	}
}

// survives checks one world in which the named object is broken.
func (f Fixture) survives(ctx context.Context, objects []*unstructured.Unstructured, name string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	w := f.worldOn(newMemory(objects))
	o, err := w.router.Observe(ctx, w.Target)
	if err != nil {
		o.Problem = err.Error()
	}
	if o.Problem != "" && !strings.Contains(o.Problem, name) {
		return fmt.Errorf("observed: %q does not name the object", o.Problem)
	}
	for _, s := range []traffic.Split{w.most(), {}} {
		w.writes = 0
		if _, err := w.router.Apply(ctx, w.Target, s); err != nil {
			if !strings.Contains(err.Error(), name) {
				return fmt.Errorf("apply %s: %q does not name the object", s, err.Error())
			}
			if w.writes > 0 && !s.IsZero() {
				return fmt.Errorf("apply %s: %d writes, and then %w", s, w.writes, err)
			}
			continue
		}
		w.writes = 0
		if _, err := w.router.Apply(ctx, w.Target, s); err != nil || w.writes > 0 {
			return fmt.Errorf("apply %s again: %d writes, error %v", s, w.writes, err)
		}
		if s.IsZero() {
			continue
		}
		if err := w.seen(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// paths lists the way to every node below the value.
func paths(value any) [][]string {
	var all [][]string
	add := func(key string, child any) {
		all = append(all, []string{key})
		for _, p := range paths(child) {
			all = append(all, append([]string{key}, p...))
		}
	}
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			add(key, child)
		}
	case []any:
		for i, child := range v {
			add(strconv.Itoa(i), child)
		}
	}
	return all
}

func put(value any, path []string, junk any) {
	switch v := value.(type) {
	case map[string]any:
		if len(path) == 1 {
			v[path[0]] = junk
			return
		}
		put(v[path[0]], path[1:], junk)
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i >= len(v) {
			return
		}
		if len(path) == 1 {
			v[i] = junk
			return
		}
		put(v[i], path[1:], junk)
	}
}
