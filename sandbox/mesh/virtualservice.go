package mesh

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

func (b *builder) addVirtualServices(all []VirtualService) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(x, y VirtualService) int { return byAge(&x.ObjectMeta, &y.ObjectMeta) })
	for i := range all {
		vs := &all[i]
		applied := []Applied{version("VirtualService", vs)}
		var routes []route
		for index, h := range vs.Spec.HTTP {
			r, on := b.istioRoute(vs, index, h)
			routes, applied = append(routes, r), append(applied, on...)
		}
		for _, name := range istioHosts(vs) {
			if h := b.claim(name, vs.Namespace); h != nil {
				h.add(routes, applied...)
			}
		}
	}
}

// istioHosts expands hosts that are names of Services: without a dot, or with
// .svc, they are asked for under every name of the Service.
func istioHosts(vs *VirtualService) []string {
	var names []string
	for _, h := range vs.Spec.Hosts {
		service := h != "*" && (!strings.Contains(h, ".") || strings.HasSuffix(h, ".svc") || strings.HasSuffix(h, ".svc.cluster.local"))
		if service && !strings.HasPrefix(h, "*") {
			names = append(names, aliases(resolve(h, vs.Namespace))...)
		} else {
			names = append(names, h)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (b *builder) istioRoute(vs *VirtualService, index int, h istioHTTP) (route, []Applied) {
	t := &target{name: fmt.Sprintf("VirtualService %s/%s http[%d]", vs.Namespace, vs.Name, index)}
	if h.Name != "" {
		t.name = fmt.Sprintf("VirtualService %s/%s %s", vs.Namespace, vs.Name, h.Name)
	}
	r := route{target: t}
	for _, m := range h.Match {
		compiled, err := m.compile()
		if err != nil {
			b.problem("%s: %v", t.name, err)
			compiled = match{func(*request) bool { return false }}
		}
		r.matches = append(r.matches, compiled)
	}
	for name, raw := range map[string][]byte{"redirect": h.Redirect, "rewrite": h.Rewrite, "fault": h.Fault, "delegate": h.Delegate, "directResponse": h.DirectResponse} {
		if present(raw) {
			b.problem("%s: %s is not supported", t.name, name)
			t.refusal = refusal{http.StatusInternalServerError, Unsupported}
		}
	}
	if t.status != 0 {
		return r, nil
	}
	return r, b.istioDestinations(vs, t, h)
}

func (b *builder) istioDestinations(vs *VirtualService, t *target, h istioHTTP) (applied []Applied) {
	resolved := func(d istioTarget) *destination {
		key := resolve(d.Host, vs.Namespace)
		to, on := b.destination(t.name, types.NamespacedName(key), d.Subset, vs.Namespace, d.Port.Number)
		applied = append(applied, on...)
		return to
	}
	var weights []int64
	for _, d := range h.Route {
		t.destinations = append(t.destinations, resolved(d.Destination))
		weights = append(weights, max(d.Weight, 0))
	}
	if len(weights) == 1 {
		weights[0] = 1 // the only destination gets everything, whatever its weight
	}
	b.weigh(t, weights, http.StatusServiceUnavailable)

	addMirror := func(d istioTarget, percent float64) {
		t.mirrors = append(t.mirrors, mirror{resolved(d), b.share(t.name, len(t.mirrors), percent)})
	}
	percentOf := func(p *istioPercent) float64 {
		if p == nil {
			return 100
		}
		return p.Value
	}
	if h.Mirror != nil {
		percent := percentOf(h.MirrorPercentage)
		if h.MirrorPercentage == nil && h.MirrorPercent != nil {
			percent = *h.MirrorPercent
		}
		addMirror(*h.Mirror, percent)
	}
	for _, m := range h.Mirrors {
		addMirror(m.Destination, percentOf(m.Percentage))
	}
	return applied
}
