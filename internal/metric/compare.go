package metric

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
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

// Enough judges how many events a measurement would rest on; why says that they are too few.
// Nothing counts as 0, which is what a sum over nothing is. The error is for an answer
// that is no count.
func Enough(counted Result, atLeast int) (why string, err error) {
	n := 0.0
	if counted.Kind != NoData {
		v, ok := single(counted).(float64)
		if !ok || math.IsNaN(v) || v < 0 {
			return "", fmt.Errorf("evidence must be one number, not %s", counted.Display)
		}
		n = v
	}
	if n >= float64(atLeast) {
		return "", nil
	}
	return fmt.Sprintf("it would rest on %s of at least %d events", strconv.FormatFloat(math.Floor(n), 'f', -1, 64), atLeast), nil
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
