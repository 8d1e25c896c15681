package istio

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// readService tells which split the routes of a VirtualService make. Destinations carry
// no hash here. Carries says that there is an HTTP route to put managed routes beside. It
// works on the object's own maps and changes nothing.
func readService(object map[string]any, s service, p place) (written traffic.Split, carries bool, problem string) {
	routes, problem := chosen(object, s, p)
	if problem != "" {
		return traffic.Split{}, false, problem
	}
	var looks []traffic.Split
	for _, r := range routes.all {
		looks = append(looks, p.look(r))
	}
	headers, mirrors, mirrored := p.readManaged(object, s, routes)
	for _, r := range mirrored { // requests that match go by the weights that stand there
		looks = append(looks, p.look(r))
	}
	written = traffic.Widest(looks...)
	written.Headers, written.Mirrors = headers, mirrors
	return written, len(routes.http) > 0, ""
}

// look reads one route. A foreign share counts to the stable side; where ours leave it no
// room (canary 95, foreign 10, stable 0), the weights of ours are what was asked for.
func (p place) look(route map[string]any) traffic.Split {
	var stable, canary, extra, foreign int64
	extras := map[string]int64{}
	for _, r := range objects.Entries(route["route"]) {
		parts, _ := traffic.Parts(r["weight"])
		d := asMap(r["destination"])
		service, ours := p.extra(d)
		switch {
		case p.is(p.canary, d):
			canary += parts
		case p.is(p.stable, d):
			stable += parts
		case ours:
			extras[service] += parts
			extra += parts
		default:
			foreign += parts
		}
	}
	total := int64(traffic.DefaultTotal)
	if stable == 0 && canary+extra <= total && canary+extra+foreign > total {
		stable = total - canary - extra
	} else {
		stable += foreign
	}
	var list []traffic.Destination
	for service, parts := range extras {
		list = append(list, traffic.Destination{Service: service, Weight: int32(parts)})
	}
	return traffic.Found(traffic.DefaultTotal, traffic.Destination{Service: p.stable.service},
		traffic.Destination{Service: p.canary.service}, stable, canary, list...)
}

// renderService writes the split into the chosen routes of the object, which is changed in
// place and must be the caller's own copy. The zero Split takes out what is ours even where
// the weights cannot be written any more.
func renderService(object map[string]any, s service, p place, split traffic.Split) (carries bool, problem string) {
	routes, problem := chosen(object, s, p)
	if problem != "" && !split.IsZero() {
		return false, problem
	}
	if problem == "" {
		for _, r := range routes.all {
			if problem := p.weigh(r, split); problem != "" {
				return false, s.invalid(problem)
			}
		}
	} else {
		p.strip(object)
	}
	p.renderManaged(object, s, routes, split)
	var claim traffic.Claim
	for _, x := range split.Extras() {
		claim.Extras = append(claim.Extras, x.Service)
	}
	if problem := claim.Put(object, p.key()); problem != "" && !split.IsZero() {
		return false, s.ref.String() + ": " + problem
	}
	return len(routes.http) > 0, ""
}

// weigh sets the weights of one route. A role that is listed twice gets its weight on
// the first entry, so that the sum stays right. Extra destinations come and go.
func (p place) weigh(route map[string]any, split traffic.Split) (problem string) {
	left := map[string]int64{}
	for _, x := range split.Extras() {
		left[x.Service] = int64(x.Weight)
	}
	canary := int64(split.Weight(traffic.Canary))
	stable, neighbour := int64(traffic.DefaultTotal)-canary, map[string]any(nil)
	for _, r := range objects.Entries(route["route"]) {
		d := asMap(r["destination"])
		switch _, ours := p.extra(d); {
		case p.is(p.canary, d):
			neighbour = d
		case p.is(p.stable, d), ours:
		default:
			if service, ok := p.service(d); ok && has(left, service) {
				return fmt.Sprintf("the destination %q is in the route already, and not by Penstock: remove it, or name the experiment's Service otherwise", service)
			}
			parts, _ := traffic.Parts(r["weight"])
			stable -= parts
		}
	}
	for _, weight := range left {
		stable -= weight
	}
	stable = max(0, stable)
	list, _ := route["route"].([]any)
	kept := slices.DeleteFunc(slices.Clone(list), func(e any) bool {
		r, _ := e.(map[string]any)
		d := asMap(r["destination"])
		service, ours := p.extra(d)
		switch {
		case p.is(p.canary, d):
			setWeight(r, canary)
			canary = 0
		case p.is(p.stable, d):
			setWeight(r, stable)
			stable = 0
		case ours:
			weight, wanted := left[service]
			if !wanted {
				return true
			}
			setWeight(r, weight)
			p.lead(d, service, neighbour)
			delete(left, service)
		}
		return false
	})
	for _, x := range split.Extras() {
		if weight, missing := left[x.Service]; missing {
			kept = append(kept, map[string]any{"destination": p.destination(x.Service, neighbour), "weight": weight})
		}
	}
	if len(kept) != len(list) || len(left) > 0 {
		route["route"] = kept
	}
	return ""
}

// strip takes our destinations out of routes that cannot carry weights any more, and gives
// their share to the first that is left.
func (p place) strip(object map[string]any) {
	for _, k := range []protocol{http, tls, tcp} {
		for _, route := range objects.Entries(asMap(object["spec"])[k.key]) {
			list, _ := route["route"].([]any)
			var freed int64
			kept := slices.DeleteFunc(slices.Clone(list), func(e any) bool {
				r, _ := e.(map[string]any)
				_, ours := p.extra(asMap(r["destination"]))
				if ours {
					parts, _ := traffic.Parts(r["weight"])
					freed += parts
				}
				return ours
			})
			if len(kept) == len(list) || len(objects.Entries(kept)) == 0 || !p.mentions(route) {
				continue
			}
			route["route"] = kept
			first := objects.Entries(kept)[0]
			parts, _ := traffic.Parts(first["weight"])
			setWeight(first, parts+freed)
		}
	}
}

// setWeight leaves a weight that says the same already: 30 and 30.0, or none for 0.
func setWeight(r map[string]any, want int64) {
	old, there := r["weight"]
	if parts, exact := traffic.Parts(old); exact && parts == want || !there && want == 0 {
		return
	}
	r["weight"] = want
}

func has[V any](m map[string]V, key string) bool {
	_, found := m[key]
	return found
}

func copyOf(m map[string]any) map[string]any { return runtime.DeepCopyJSON(m) }
