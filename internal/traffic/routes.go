package traffic

import (
	"fmt"
	"maps"
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Route is one managed route: either Header or Mirror is set.
type Route struct {
	Name   string
	Header *v1alpha1.SetHeaderRoute
	Mirror *v1alpha1.SetMirrorRoute
}

// Broken is how an adapter reports a managed route that is on an object, but not as Apply
// would write it: by its name alone. No wanted split has a route without a match, so the
// difference is repaired; until then it counts as a route that sends traffic.
func Broken(name string) v1alpha1.SetHeaderRoute { return v1alpha1.SetHeaderRoute{Name: name} }

// Routes lists the managed routes in the order of trafficRouting.managedRoutes. The
// problem says why they cannot be written: only a route whose name stands there, once, can
// be told from a user's own again, and one without a match would take every request.
func (s Split) Routes(managed []v1alpha1.MangedRoutes) (list []Route, problem string) {
	for i := range s.Headers {
		list = append(list, Route{Name: s.Headers[i].Name, Header: &s.Headers[i]})
	}
	for i := range s.Mirrors {
		list = append(list, Route{Name: s.Mirrors[i].Name, Mirror: &s.Mirrors[i]})
	}
	place := map[string]int{}
	for i, m := range managed {
		if _, twice := place[m.Name]; !twice {
			place[m.Name] = i
		}
	}
	seen := map[string]bool{}
	for _, r := range list {
		_, named := place[r.Name]
		switch {
		case !named:
			return nil, fmt.Sprintf("route %q does not stand in spec.strategy.canary.trafficRouting.managedRoutes: add it there", r.Name)
		case seen[r.Name]:
			return nil, fmt.Sprintf("route %q is set twice: give each managed route a name of its own", r.Name)
		case r.Header != nil && len(r.Header.Match) == 0, r.Mirror != nil && len(r.Mirror.Match) == 0:
			return nil, fmt.Sprintf("route %q has no match and would take every request", r.Name)
		}
		seen[r.Name] = true
	}
	slices.SortStableFunc(list, func(a, b Route) int { return place[a.Name] - place[b.Name] })
	return list, ""
}

// Problem says why no router could write the split for the target and read it back, in a
// sentence for a person: an extra destination is known by its Service, a managed route by
// its name.
func (s Split) Problem(t Target) string {
	seen := map[string]bool{}
	for _, x := range s.Extras() {
		switch {
		case x.Service == "":
			return "an extra destination has no Service"
		case x.Service == t.StableService || x.Service == t.CanaryService:
			return fmt.Sprintf("the extra destination %q is the stable or the canary Service: it needs one of its own", x.Service)
		case seen[x.Service]:
			return fmt.Sprintf("the extra destination %q is listed twice", x.Service)
		}
		seen[x.Service] = true
	}
	if t.Routing == nil {
		return ""
	}
	_, problem := s.Routes(t.Routing.ManagedRoutes)
	return problem
}

// Percent is the share of the matching requests that a mirror route copies: 0 to 100, all
// of them where nothing is said.
func Percent(m v1alpha1.SetMirrorRoute) int32 {
	if m.Percentage == nil {
		return 100
	}
	return min(max(*m.Percentage, 0), 100)
}

// SameRoutes reports whether both splits have the same managed routes. What the API lets
// a user leave out is the same as its default.
func (s Split) SameRoutes(o Split) bool {
	return slices.EqualFunc(s.Headers, o.Headers, sameHeader) && slices.EqualFunc(s.Mirrors, o.Mirrors, sameMirror)
}

func sameHeader(a, b v1alpha1.SetHeaderRoute) bool {
	return a.Name == b.Name && slices.EqualFunc(a.Match, b.Match, func(a, b v1alpha1.HeaderRoutingMatch) bool {
		return a.HeaderName == b.HeaderName && sameText(a.HeaderValue, b.HeaderValue)
	})
}

func sameMirror(a, b v1alpha1.SetMirrorRoute) bool {
	return a.Name == b.Name && Percent(a) == Percent(b) && slices.EqualFunc(a.Match, b.Match, func(a, b v1alpha1.RouteMatch) bool {
		return sameText(a.Method, b.Method) && sameText(a.Path, b.Path) && maps.Equal(a.Headers, b.Headers)
	})
}

func sameText(a, b *v1alpha1.StringMatch) bool {
	var none v1alpha1.StringMatch
	if a == nil {
		a = &none
	}
	if b == nil {
		b = &none
	}
	return *a == *b
}

// common keeps the routes that both lists have alike and breaks the others.
func common[R v1alpha1.SetHeaderRoute | v1alpha1.SetMirrorRoute](a, b []R, same func(a, b R) bool) (list []R) {
	has := func(in []R, like func(R) bool) bool { return slices.ContainsFunc(in, like) }
	for _, x := range a {
		if !has(b, func(y R) bool { return same(x, y) }) {
			x = broken(x)
		}
		list = append(list, x)
	}
	for _, y := range b {
		if !has(list, func(x R) bool { return same(broken(x), broken(y)) }) {
			list = append(list, broken(y))
		}
	}
	return list
}

// broken is the route without anything but its name.
func broken[R v1alpha1.SetHeaderRoute | v1alpha1.SetMirrorRoute](r R) R {
	switch r := any(&r).(type) {
	case *v1alpha1.SetHeaderRoute:
		r.Match = nil
	case *v1alpha1.SetMirrorRoute:
		r.Match, r.Percentage = nil, nil
	}
	return r
}
