package traffic

import (
	"math"
	"slices"
	"strings"
)

// maxParts bounds a weight that is read, so that sums of foreign numbers cannot overflow.
const maxParts = 1 << 24

// Ref names one object of a traffic provider, or with an empty Name whatever a selector
// finds in the namespace. It has no version: the same object is served under several.
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

// Found is the Split that destinations make with the parts found on an object: those of
// stable and canary as given, those of each extra destination in its Weight.
//
// Parts that add up to total are taken as they are. Others are scaled to total and
// rounded up, because capacity follows what is read (L5): parts 1 and 2 of 100 give
// 34 and 67. The sum then misses total, and as no wanted split does that, the
// difference is always repaired. The same holds where all are zero.
func Found(total int32, stable, canary Destination, stableParts, canaryParts int64, extras ...Destination) Split {
	stable.Role, canary.Role = Stable, Canary
	list := append([]Destination{stable, canary}, extras...)
	parts := make([]int64, len(list))
	var sum int64
	for i := range list {
		switch i {
		case 0:
			parts[i] = stableParts
		case 1:
			parts[i] = canaryParts
		default:
			list[i].Role, parts[i] = Extra, int64(list[i].Weight)
		}
		parts[i] = min(max(parts[i], 0), maxParts)
		sum += parts[i]
	}
	for i, p := range parts {
		if sum != int64(total) && sum > 0 {
			p = (p*int64(total) + sum - 1) / sum
		}
		list[i].Weight = int32(p)
	}
	slices.SortStableFunc(list[2:], func(a, b Destination) int { return strings.Compare(a.Service, b.Service) })
	return Split{Total: total, Destinations: list}
}

// Widest joins what several routes say about the same destinations: each gets the largest
// weight that any route gives it. Routes that agree give their common split; where they
// differ the sum exceeds the total, which no wanted split does, so the difference is
// repaired and until then there is capacity for all of them. A managed route that they do
// not have in common stands in it as a broken one, which no wanted split has either.
func Widest(splits ...Split) Split {
	if len(splits) == 0 {
		return Split{}
	}
	w := splits[0]
	w.Destinations = slices.Clone(w.Destinations)
	for _, s := range splits[1:] {
		for _, d := range s.Destinations {
			i := slices.IndexFunc(w.Destinations, func(o Destination) bool {
				return o.Role == d.Role && (d.Role != Extra || o.Service == d.Service)
			})
			if i < 0 {
				w.Destinations = append(w.Destinations, d)
				continue
			}
			w.Destinations[i].Weight = max(w.Destinations[i].Weight, d.Weight)
		}
		w.Headers = common(w.Headers, s.Headers, sameHeader)
		w.Mirrors = common(w.Mirrors, s.Mirrors, sameMirror)
	}
	rank := map[Role]int{Stable: 0, Canary: 1, Extra: 2}
	slices.SortStableFunc(w.Destinations, func(a, b Destination) int {
		if a.Role != Extra || b.Role != Extra {
			return rank[a.Role] - rank[b.Role]
		}
		return strings.Compare(a.Service, b.Service)
	})
	return w
}
