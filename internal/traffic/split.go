package traffic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// DefaultTotal is the sum of a split's weights where the user sets no maxTrafficWeight.
const DefaultTotal int32 = 100

// Role says what a destination is for. A route names destinations by role, whatever
// revision stands behind them at the moment.
type Role string

// The roles that a destination can have.
const (
	Stable Role = "Stable"
	Canary Role = "Canary"
	// Extra is a further destination beside the two, such as an experiment's.
	Extra Role = "Extra"
)

// Destination is one receiver of traffic.
type Destination struct {
	Role Role
	// Service is the Kubernetes Service that the route names; empty where a router
	// addresses revisions by subset alone.
	Service string
	// Hash is the pod template hash of the revision behind the destination;
	// empty when it is not pinned to one revision.
	Hash string
	// Weight is the share in parts of Split.Total.
	Weight int32
}

// Split is the whole division of traffic of one rollout. The zero Split means
// "nothing of ours": applied, it removes what an adapter once added.
type Split struct {
	// Total is what the weights add up to; 0 only in the zero Split.
	Total int32
	// Destinations has at most one Stable and one Canary entry, Stable first, then any
	// number of Extra ones, ordered by Service.
	Destinations []Destination
	// Headers are the managed routes that send matching requests to the canary whatever
	// its weight, Mirrors those that copy requests to it. The names are unique over both;
	// their order among each other is that of trafficRouting.managedRoutes. Each has at
	// least one match.
	Headers []v1alpha1.SetHeaderRoute
	Mirrors []v1alpha1.SetMirrorRoute
}

// Two is the split of a canary release: weight parts of total to canary, the rest to
// stable. The weight is clamped to 0..total, so no sum can leave the range that
// routers accept.
func Two(total, weight int32, stable, canary Destination) Split {
	weight = min(max(weight, 0), total)
	stable.Role, stable.Weight = Stable, total-weight
	canary.Role, canary.Weight = Canary, weight
	return Split{Total: total, Destinations: []Destination{stable, canary}}
}

// Held is the split with every weight in the range that routers accept: the canary within
// the total, each extra destination within what is left then, and stable with the rest.
// It is what adapters write, so that no sum can ever exceed the total.
func (s Split) Held() Split {
	left := s.Total - min(max(s.Weight(Canary), 0), s.Total)
	stable := -1
	s.Destinations = slices.Clone(s.Destinations)
	for i := range s.Destinations {
		switch d := &s.Destinations[i]; d.Role {
		case Stable:
			stable = i
		case Canary:
			d.Weight = min(max(d.Weight, 0), s.Total)
		default:
			d.Weight = min(max(d.Weight, 0), left)
			left -= d.Weight
		}
	}
	if stable >= 0 {
		s.Destinations[stable].Weight = left
	}
	return s
}

// IsZero reports whether the split is the zero Split.
func (s Split) IsZero() bool {
	return s.Total == 0 && len(s.Destinations) == 0 && len(s.Headers)+len(s.Mirrors) == 0
}

// Of returns the destination with the role, and whether there is one.
func (s Split) Of(r Role) (d Destination, found bool) {
	for _, d := range s.Destinations {
		if d.Role == r {
			return d, true
		}
	}
	return Destination{Role: r}, false
}

// Weight returns the share of the role, 0 if it has no destination.
func (s Split) Weight(r Role) int32 {
	d, _ := s.Of(r)
	return d.Weight
}

// On returns the share that reaches the revision with the hash, over all roles.
func (s Split) On(hash string) int32 {
	var w int32
	for _, d := range s.Destinations {
		if d.Hash == hash {
			w += d.Weight
		}
	}
	return w
}

// Equal reports whether both splits send the same traffic to the same places.
func (s Split) Equal(o Split) bool {
	return s.Total == o.Total && slices.Equal(s.Destinations, o.Destinations) && s.SameRoutes(o)
}

// Extras returns the destinations beside stable and canary.
func (s Split) Extras() (list []Destination) {
	for _, d := range s.Destinations {
		if d.Role == Extra {
			list = append(list, d)
		}
	}
	return list
}

// String prints the split for stories and logs: "Stable abc 95 + Canary def 5".
func (s Split) String() string {
	if s.IsZero() {
		return "none"
	}
	parts := make([]string, 0, len(s.Destinations))
	for _, d := range s.Destinations {
		name := d.Hash
		if name == "" {
			name = d.Service
		}
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %s", d.Role, name))+fmt.Sprintf(" %d", d.Weight))
	}
	for _, h := range s.Headers {
		parts = append(parts, "headers "+h.Name)
	}
	for _, m := range s.Mirrors {
		parts = append(parts, "mirror "+m.Name)
	}
	return strings.Join(parts, " + ")
}
