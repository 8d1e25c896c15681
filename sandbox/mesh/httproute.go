package mesh

import (
	"fmt"
	"net/http"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// routeReport is what the gateway has to say about one HTTPRoute.
type routeReport struct {
	route    gatewayv1.HTTPRoute
	accepted metav1.Condition
	resolved metav1.Condition
}

// fault records the first thing that is wrong.
func (r *routeReport) fault(c *metav1.Condition, reason, message string) {
	if c.Status == metav1.ConditionTrue {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, reason, message
	}
}

// rankedRoute is one match of one rule with its place among all of its host.
type rankedRoute struct {
	route
	rank [5]int
}

func (b *builder) addHTTPRoutes(all []gatewayv1.HTTPRoute) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(x, y gatewayv1.HTTPRoute) int { return byAge(&x.ObjectMeta, &y.ObjectMeta) })
	ranked := map[*host][]rankedRoute{}
	for i := range all {
		hr := &all[i]
		report := routeReport{
			route:    *hr,
			accepted: metav1.Condition{Type: string(gatewayv1.RouteConditionAccepted), Status: metav1.ConditionTrue, Reason: string(gatewayv1.RouteReasonAccepted)},
			resolved: metav1.Condition{Type: string(gatewayv1.RouteConditionResolvedRefs), Status: metav1.ConditionTrue, Reason: string(gatewayv1.RouteReasonResolvedRefs)},
		}
		var routes []rankedRoute
		applied := []Applied{version("HTTPRoute", hr)}
		for index, rule := range hr.Spec.Rules {
			r, on := b.httpRule(&report, index, rule)
			routes, applied = append(routes, r...), append(applied, on...)
		}
		for _, name := range httpHosts(hr) {
			if h := b.claim(name, hr.Namespace); h != nil {
				h.add(nil, applied...)
				ranked[h] = append(ranked[h], routes...)
			}
		}
		b.table.reports = append(b.table.reports, report)
	}
	addRanked(ranked)
}

// addRanked gives each host its routes, the greatest rank first. Equal ranks
// stay as they are: by age of the object, then order in it.
func addRanked(ranked map[*host][]rankedRoute) {
	for h, routes := range ranked {
		slices.SortStableFunc(routes, func(x, y rankedRoute) int { return slices.Compare(y.rank[:], x.rank[:]) })
		for _, r := range routes {
			h.add([]route{r.route})
		}
	}
}

// httpHosts are the hostnames; without any, the Services that are parents;
// without those, every host.
func httpHosts(hr *gatewayv1.HTTPRoute) []string {
	var names []string
	for _, h := range hr.Spec.Hostnames {
		names = append(names, string(h))
	}
	if len(names) > 0 {
		return names
	}
	for _, p := range hr.Spec.ParentRefs {
		if p.Kind != nil && *p.Kind == "Service" {
			namespace := hr.Namespace
			if p.Namespace != nil {
				namespace = string(*p.Namespace)
			}
			names = append(names, aliases(types.NamespacedName{Namespace: namespace, Name: string(p.Name)})...)
		}
	}
	if len(names) > 0 {
		return names
	}
	return []string{"*"}
}

func (b *builder) httpRule(report *routeReport, index int, rule gatewayv1.HTTPRouteRule) ([]rankedRoute, []Applied) {
	hr := &report.route
	t := &target{name: fmt.Sprintf("HTTPRoute %s/%s rules[%d]", hr.Namespace, hr.Name, index)}
	if rule.Name != nil && *rule.Name != "" {
		t.name = fmt.Sprintf("HTTPRoute %s/%s %s", hr.Namespace, hr.Name, *rule.Name)
	}
	matches := rule.Matches
	if len(matches) == 0 {
		matches = []gatewayv1.HTTPRouteMatch{{}}
	}
	var routes []rankedRoute
	for _, m := range matches {
		compiled, err := compileHTTP(m)
		if err != nil {
			b.problem("%s: %v", t.name, err)
			report.fault(&report.accepted, string(gatewayv1.RouteReasonUnsupportedValue), err.Error())
			continue
		}
		routes = append(routes, rankedRoute{route{matches: []match{compiled.match}, target: t}, compiled.rank})
	}

	var applied []Applied
	var weights []int64
	for _, ref := range rule.BackendRefs {
		d, on := b.backend(report, t.name, ref.BackendObjectReference)
		if filter := unsupported(ref.Filters); filter != "" {
			d.refusal = b.refuseFilter(report, t.name, filter)
		}
		weight := int64(1)
		if ref.Weight != nil {
			weight = max(int64(*ref.Weight), 0)
		}
		t.destinations, weights, applied = append(t.destinations, d), append(weights, weight), append(applied, on...)
	}
	b.weigh(t, weights, http.StatusInternalServerError)
	for _, f := range rule.Filters {
		if f.Type != gatewayv1.HTTPRouteFilterRequestMirror || f.RequestMirror == nil {
			continue
		}
		d, on := b.backend(report, t.name, f.RequestMirror.BackendRef)
		applied = append(applied, on...)
		t.mirrors = append(t.mirrors, mirror{d, b.share(t.name, len(t.mirrors), mirrorPercent(f.RequestMirror))})
	}
	if filter := unsupported(rule.Filters); filter != "" {
		t.refusal = b.refuseFilter(report, t.name, filter)
	}
	return routes, applied
}

func (b *builder) refuseFilter(report *routeReport, name string, filter gatewayv1.HTTPRouteFilterType) refusal {
	b.problem("%s: filter %s is not supported", name, filter)
	report.fault(&report.accepted, string(gatewayv1.RouteReasonUnsupportedValue), fmt.Sprintf("filter %s is not supported", filter))
	return refusal{http.StatusInternalServerError, Unsupported}
}

// unsupported returns the first filter that would change where a request goes
// or what it asks for.
func unsupported(filters []gatewayv1.HTTPRouteFilter) gatewayv1.HTTPRouteFilterType {
	for _, f := range filters {
		switch f.Type {
		case gatewayv1.HTTPRouteFilterRequestMirror, gatewayv1.HTTPRouteFilterRequestHeaderModifier, gatewayv1.HTTPRouteFilterResponseHeaderModifier:
		default:
			return f.Type
		}
	}
	return ""
}

// backend resolves a reference. What does not exist answers 500 for its share
// of the weight, as the Gateway API says.
func (b *builder) backend(report *routeReport, routeName string, ref gatewayv1.BackendObjectReference) (*destination, []Applied) {
	hr := &report.route
	key := types.NamespacedName{Namespace: hr.Namespace, Name: string(ref.Name)}
	if ref.Namespace != nil && string(*ref.Namespace) != hr.Namespace {
		key.Namespace = string(*ref.Namespace)
		report.fault(&report.resolved, string(gatewayv1.RouteReasonRefNotPermitted), fmt.Sprintf("Service %s is in another namespace", key))
		return &destination{service: key.String(), refusal: refusal{http.StatusInternalServerError, NotPermitted}}, nil
	}
	if ref.Kind != nil && *ref.Kind != "Service" || ref.Group != nil && *ref.Group != "" {
		report.fault(&report.resolved, string(gatewayv1.RouteReasonInvalidKind), fmt.Sprintf("backend %s is not a Service", key))
		return &destination{service: key.String(), refusal: refusal{http.StatusInternalServerError, NoService}}, nil
	}
	var port int32
	if ref.Port != nil {
		port = int32(*ref.Port)
	}
	d, applied := b.destination(routeName, key, "", hr.Namespace, port)
	if d.reason == NoService || d.reason == NoPort {
		d.status = http.StatusInternalServerError
		report.fault(&report.resolved, string(gatewayv1.RouteReasonBackendNotFound), fmt.Sprintf("Service %s port %d does not exist", key, port))
	}
	return d, applied
}

func mirrorPercent(f *gatewayv1.HTTPRequestMirrorFilter) float64 {
	switch {
	case f.Percent != nil:
		return float64(*f.Percent)
	case f.Fraction != nil:
		denominator := 100.0
		if f.Fraction.Denominator != nil && *f.Fraction.Denominator > 0 {
			denominator = float64(*f.Fraction.Denominator)
		}
		return float64(f.Fraction.Numerator) / denominator * 100
	}
	return 100
}
