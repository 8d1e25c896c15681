package mesh

import (
	"fmt"
	"math"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// maxWeight bounds one weight of a TrafficSplit or a TraefikService, so that the
// sum, and thousandths of it, can be counted.
const maxWeight = math.MaxInt32

// addTrafficSplits sends requests to a root Service to its backends. A backend
// that is the root means its pods: it is not split again.
func (b *builder) addTrafficSplits(all []TrafficSplit) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(x, y TrafficSplit) int { return byAge(&x.ObjectMeta, &y.ObjectMeta) })
	roots := map[types.NamespacedName]string{}
	for i := range all {
		split := &all[i]
		name := fmt.Sprintf("TrafficSplit %s/%s", split.Namespace, split.Name)
		root := resolve(split.Spec.Service, split.Namespace)
		older, taken := roots[root]
		switch {
		case root.Name == "":
			b.problem("%s: it names no Service", name)
			continue
		case taken:
			b.problem("%s: %s is older and splits Service %s", name, older, root)
			continue
		}
		roots[root] = name
		t, applied := b.split(split, name)
		for _, alias := range aliases(root) {
			if h := b.claim(alias, root.Namespace); h != nil {
				h.add([]route{{target: t}}, applied...)
			}
		}
	}
}

func (b *builder) split(split *TrafficSplit, name string) (*target, []Applied) {
	t := &target{name: name}
	applied := []Applied{version("TrafficSplit", split)}
	if present(split.Spec.Matches) {
		b.problem("%s: matches is not supported", name)
		t.refusal = refusal{http.StatusInternalServerError, Unsupported}
		return t, applied
	}
	var weights []int64
	for i := range split.Spec.Backends {
		backend := &split.Spec.Backends[i]
		weight := backend.Weight.AsApproximateFloat64()
		if weight < 0 || weight > maxWeight {
			b.problem("%s: weight %s of Service %s is outside 0 to %d", name, backend.Weight.String(), backend.Service, maxWeight)
			weight = 0
		}
		d, on := b.destination(name, resolve(backend.Service, split.Namespace), "", split.Namespace, 0)
		t.destinations, applied = append(t.destinations, d), append(applied, on...)
		weights = append(weights, int64(math.Round(weight*1000)))
	}
	b.weigh(t, weights, http.StatusServiceUnavailable)
	return t, applied
}
