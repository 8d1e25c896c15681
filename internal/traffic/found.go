package traffic

import "math"

// maxParts bounds a weight that is read, so that sums of foreign numbers cannot overflow.
const maxParts = 1 << 24

// Ref names one object of a traffic provider. It has no version: the same object is
// served under several.
type Ref struct{ Group, Kind, Namespace, Name string }

// String is the key under which Observation.Versions and Written list the object:
// "Kind/namespace/name".
func (r Ref) String() string { return r.Kind + "/" + r.Namespace + "/" + r.Name }

// Parts reads a weight from a decoded JSON value. A fraction is rounded up; a negative
// number, or what is no number at all, counts as 0. Exact is false where the value is
// not a whole number in range, so that a writer knows to replace it.
func Parts(value any) (parts int64, exact bool) {
	switch v := value.(type) {
	case int64:
		parts = min(max(v, 0), maxParts)
		return parts, parts == v
	case float64:
		if math.IsNaN(v) {
			return 0, false
		}
		f := min(max(math.Ceil(v), 0), maxParts)
		return int64(f), f == v
	}
	return 0, false
}

// Found is the Split that two destinations make with the parts found on an object.
//
// Parts that add up to total are taken as they are. Others are scaled to total and
// rounded up, because capacity follows what is read (L5): parts 1 and 2 of 100 give
// 34 and 67. The sum then misses total, and as no wanted split does that, the
// difference is always repaired. The same holds for two zeros.
func Found(total int32, stable, canary Destination, stableParts, canaryParts int64) Split {
	stableParts, canaryParts = min(max(stableParts, 0), maxParts), min(max(canaryParts, 0), maxParts)
	if sum := stableParts + canaryParts; sum != int64(total) && sum > 0 {
		scale := func(p int64) int64 { return (p*int64(total) + sum - 1) / sum }
		stableParts, canaryParts = scale(stableParts), scale(canaryParts)
	}
	stable.Role, stable.Weight = Stable, int32(stableParts)
	canary.Role, canary.Weight = Canary, int32(canaryParts)
	return Split{Total: total, Destinations: []Destination{stable, canary}}
}

// Widest joins what several routes say about the same destinations: each role gets the
// largest weight that any of them gives it. Routes that agree give their common split;
// where they differ the sum exceeds the total, which no wanted split does, so the
// difference is repaired and until then there is capacity for all of them.
func Widest(splits ...Split) Split {
	if len(splits) == 0 {
		return Split{}
	}
	w := Split{Total: splits[0].Total, Destinations: append([]Destination(nil), splits[0].Destinations...)}
	for _, s := range splits[1:] {
		for i := range w.Destinations {
			w.Destinations[i].Weight = max(w.Destinations[i].Weight, s.Weight(w.Destinations[i].Role))
		}
	}
	return w
}
