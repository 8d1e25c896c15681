package alb

import (
	"fmt"
	"slices"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// route is one rule of a header route: Service is the name that path, action and condition
// share.
type route struct {
	service    string
	conditions []condition
}

// alternatives are the conditions of a header route, of which one is enough. Values of the
// same header are one condition, which any of them meets.
func alternatives(h v1alpha1.SetHeaderRoute) (list []condition, problem string) {
	for _, m := range h.Match {
		v := m.HeaderValue
		if v == nil || v.Exact == "" || *v != (v1alpha1.StringMatch{Exact: v.Exact}) {
			return nil, fmt.Sprintf("route %q, header %s: SetHeaderRoute match value invalid. ALB supports 'exact' value only", h.Name, m.HeaderName)
		}
		i := slices.IndexFunc(list, func(c condition) bool { return strings.EqualFold(c.HTTPHeaderConfig.HTTPHeaderName, m.HeaderName) })
		if i < 0 {
			list = append(list, condition{Field: "http-header", HTTPHeaderConfig: headerConfig{HTTPHeaderName: m.HeaderName, Values: []string{v.Exact}}})
			continue
		}
		if c := &list[i].HTTPHeaderConfig; !slices.Contains(c.Values, v.Exact) {
			c.Values = append(c.Values, v.Exact)
		}
	}
	return list, ""
}

// routes are the rules of the header routes, in the order of managedRoutes. The first of a
// header route has its name, as published; the others get a number.
func (d desk) routes(headers []v1alpha1.SetHeaderRoute) (list []route, problem string) {
	taken := map[string]bool{d.root: true, d.StableService: true, d.CanaryService: true}
	place := map[string]int{}
	for i, m := range d.Routing.ManagedRoutes {
		place[m.Name], taken[m.Name] = i, true
	}
	sorted := slices.Clone(headers)
	slices.SortStableFunc(sorted, func(a, b v1alpha1.SetHeaderRoute) int { return place[a.Name] - place[b.Name] })
	for _, h := range sorted {
		all, problem := alternatives(h)
		if problem != "" {
			return nil, problem
		}
		number := 0
		for i, c := range all {
			name := h.Name
			for i > 0 && taken[name] {
				number++
				name = fmt.Sprintf("%s-%d", h.Name, number)
			}
			taken[name] = true
			list = append(list, route{service: name, conditions: []condition{c}})
		}
	}
	return list, ""
}
