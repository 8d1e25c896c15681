package metric

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The names under which a condition sees what a metric with a baseline has measured.
const (
	Canary = "canary"
	Stable = "stable"
)

// Series is a Value whose parts have names: result.canary in a condition.
type Series map[string]any

// Compare makes one Result of the canary's and the baseline's: result.canary and
// result.stable. A list of one number becomes that number. If either has no data neither
// has the comparison, and Why says which one.
func Compare(canary, stable Result) Result {
	return Named(map[string]Result{Canary: canary, Stable: stable})
}

// Named makes one Result of several, by name.
func Named(parts map[string]Result) Result {
	value := Series{}
	out := Result{Kind: Values, Value: value}
	var display, why []string
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		p := parts[name]
		value[name] = single(p)
		display = append(display, fmt.Sprintf("%s: %s", name, p.Display))
		if p.Kind == NoData {
			out.Kind = NoData
			why = append(why, fmt.Sprintf("%s: %s", name, p.Why))
		}
		for k, v := range p.Metadata {
			if out.Metadata == nil {
				out.Metadata = map[string]string{}
			}
			out.Metadata[name+"."+k] = v
		}
	}
	out.Display, out.Why = strings.Join(display, ", "), strings.Join(why, "; ")
	return out
}

// single is the value as a condition wants to compare it; nil where there is none.
func single(r Result) any {
	if r.Kind == NoData {
		return nil
	}
	if list, ok := r.Value.([]float64); ok && len(list) == 1 {
		return list[0]
	}
	return r.Value
}
