package istio

import (
	"github.com/penstock-io/penstock/internal/traffic"
)

// readService tells which split the routes of a VirtualService make. Destinations carry
// no hash here. It works on the object's own maps and changes nothing.
func readService(object map[string]any, s service, p place, services [2]string) (traffic.Split, string) {
	routes, problem := chosen(object, s, p)
	if problem != "" {
		return traffic.Split{}, problem
	}
	looks := make([]traffic.Split, len(routes))
	for i, r := range routes {
		looks[i] = p.look(r, services)
	}
	return traffic.Widest(looks...), ""
}

// look reads one route. A foreign share counts to the stable side; where ours leave it no
// room (canary 95, foreign 10, stable 0), the canary weight is the one that was asked for.
func (p place) look(route map[string]any, services [2]string) traffic.Split {
	var stable, canary, foreign int64
	for _, r := range maps(route["route"]) {
		parts, _ := traffic.Parts(r["weight"])
		switch d := asMap(r["destination"]); {
		case p.is(p.canary, d):
			canary += parts
		case p.is(p.stable, d):
			stable += parts
		default:
			foreign += parts
		}
	}
	total := int64(traffic.DefaultTotal)
	if stable == 0 && canary <= total && canary+foreign > total {
		stable = total - canary
	} else {
		stable += foreign
	}
	return traffic.Found(traffic.DefaultTotal,
		traffic.Destination{Service: services[0]}, traffic.Destination{Service: services[1]}, stable, canary)
}

// renderService writes the canary weight and the rest for stable into the chosen routes of
// the object, which is changed in place and must be the caller's own copy.
func renderService(object map[string]any, s service, p place, canary int32) (problem string) {
	routes, problem := chosen(object, s, p)
	if problem != "" {
		return problem
	}
	for _, r := range routes {
		p.weigh(r, int64(canary))
	}
	return ""
}

// weigh sets the two weights of one route. A role that is listed twice gets its weight on
// the first entry, so that the sum stays right.
func (p place) weigh(route map[string]any, canary int64) {
	stable := int64(traffic.DefaultTotal) - canary
	for _, r := range maps(route["route"]) {
		if d := asMap(r["destination"]); !p.is(p.canary, d) && !p.is(p.stable, d) {
			parts, _ := traffic.Parts(r["weight"])
			stable = max(0, stable-parts)
		}
	}
	for _, r := range maps(route["route"]) {
		switch d := asMap(r["destination"]); {
		case p.is(p.canary, d):
			setWeight(r, canary)
			canary = 0
		case p.is(p.stable, d):
			setWeight(r, stable)
			stable = 0
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
