package mesh

import (
	"fmt"
	"math/big"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// maxNesting bounds how deep TraefikServices may stand in each other.
const maxNesting = 8

// traefikServices resolves references of Traefik.
type traefikServices struct {
	*builder
	byName map[types.NamespacedName]*TraefikService
}

// portion is a destination with its part of the requests of a route. Parts are
// fractions, so that weights inside weights stay exact.
type portion struct {
	*destination
	of *big.Rat
}

// resolution is one route on its way through TraefikServices.
type resolution struct {
	traefikServices
	name    string // of the route
	applied []Applied
}

// fill gives a target its destinations.
func (s traefikServices) fill(t *target, refs []traefikRef, namespace string) []Applied {
	r := &resolution{traefikServices: s, name: t.name}
	portions := r.weighted(refs, namespace, nil)
	weights, ok := wholeWeights(portions)
	if !ok {
		s.problem("%s: the weights are too large to be counted together", t.name)
		t.refusal = refusal{http.StatusInternalServerError, Unsupported}
		return r.applied
	}
	for _, p := range portions {
		t.destinations = append(t.destinations, p.destination)
	}
	s.weigh(t, weights, http.StatusServiceUnavailable)
	return r.applied
}

// weighted shares requests out. A weight that is not given is 1. Without any
// weight nobody gets them.
func (r *resolution) weighted(refs []traefikRef, namespace string, path []types.NamespacedName) (all []portion) {
	var total int64
	weights := make([]int64, len(refs))
	for i, ref := range refs {
		weights[i] = 1
		if ref.Weight != nil {
			weights[i] = min(max(*ref.Weight, 0), maxWeight)
		}
		total += weights[i]
	}
	if total == 0 {
		return refused(refusal{http.StatusServiceUnavailable, ZeroWeight})
	}
	for i, ref := range refs {
		for _, p := range r.reference(ref, namespace, path) {
			p.of = new(big.Rat).Mul(p.of, big.NewRat(weights[i], total))
			all = append(all, p)
		}
	}
	return all
}

// refused is everything, with an answer by the gateway itself.
func refused(why refusal) []portion { return []portion{{&destination{refusal: why}, big.NewRat(1, 1)}} }

// reference is where a Service or a TraefikService leads. Path are the
// TraefikServices that lead here.
func (r *resolution) reference(ref traefikRef, namespace string, path []types.NamespacedName) []portion {
	key := types.NamespacedName{Namespace: namespace, Name: ref.Name}
	unsupported := func(format string, args ...any) []portion {
		r.problem("%s: %s", r.name, fmt.Sprintf(format, args...))
		return refused(refusal{http.StatusInternalServerError, Unsupported})
	}
	switch {
	case ref.Namespace != "" && ref.Namespace != namespace:
		r.problem("%s: %s/%s is in another namespace", r.name, ref.Namespace, ref.Name)
		return refused(refusal{http.StatusInternalServerError, NotPermitted})
	case present(ref.Middlewares):
		return unsupported("middlewares of %s is not supported", key)
	case ref.Kind == "" || ref.Kind == "Service":
		d, on := r.destination(r.name, key, "", namespace, r.portNumber(key, ref.Port))
		r.applied = append(r.applied, on...)
		return []portion{{d, big.NewRat(1, 1)}}
	case ref.Kind != "TraefikService":
		return unsupported("kind %q of %s is unknown", ref.Kind, key)
	case slices.Contains(path, key):
		return unsupported("TraefikService %s leads to itself", key)
	case len(path) == maxNesting:
		return unsupported("TraefikService %s stands deeper than %d", key, maxNesting)
	}
	s := r.byName[key]
	if s == nil {
		r.problem("%s: TraefikService %s does not exist", r.name, key)
		return refused(refusal{http.StatusServiceUnavailable, NoService})
	}
	r.applied = append(r.applied, version("TraefikService", s))
	path = append(slices.Clone(path), key)
	switch {
	case s.Spec.Weighted != nil:
		return r.weighted(s.Spec.Weighted.Services, namespace, path)
	case s.Spec.Mirroring != nil:
		return r.mirrored(s, path)
	}
	return unsupported("TraefikService %s is neither weighted nor mirroring", key)
}

// mirrored gives all that a service leads to the same mirrors, which count the
// requests together.
func (r *resolution) mirrored(s *TraefikService, path []types.NamespacedName) []portion {
	var mirrors []mirror
	for i, m := range s.Spec.Mirroring.Mirrors {
		to := r.reference(m.traefikRef, s.Namespace, path)
		if len(to) != 1 {
			r.problem("%s: a mirror of TraefikService %s/%s leads to several Services", r.name, s.Namespace, s.Name)
			continue
		}
		name := fmt.Sprintf("%s TraefikService %s", r.name, s.Name)
		mirrors = append(mirrors, mirror{to[0].destination, r.share(name, i, m.Percent)})
	}
	all := r.reference(s.Spec.Mirroring.traefikRef, s.Namespace, path)
	for _, p := range all {
		p.mirrors = append(p.mirrors, mirrors...)
	}
	return all
}

// wholeWeights makes the smallest whole numbers of fractions, unless their sum
// is too large.
func wholeWeights(portions []portion) (weights []int64, ok bool) {
	common := big.NewInt(1)
	for _, p := range portions {
		gcd := new(big.Int).GCD(nil, nil, common, p.of.Denom())
		common.Mul(common, new(big.Int).Quo(p.of.Denom(), gcd))
	}
	// The fractions add up to 1, so the weights add up to the denominator.
	if common.BitLen() > 62 {
		return nil, false
	}
	for _, p := range portions {
		w := new(big.Int).Mul(p.of.Num(), new(big.Int).Quo(common, p.of.Denom()))
		weights = append(weights, w.Int64())
	}
	return weights, true
}
