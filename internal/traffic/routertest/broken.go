package routertest

import (
	"iter"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime"
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
