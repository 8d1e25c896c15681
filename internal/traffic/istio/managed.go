package istio

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// isManaged reports whether an HTTP route is ours by its name. A name that the rollout
// also lists as a route to weigh is the user's route.
func (p place) isManaged(s service, route map[string]any) (name string, ours bool) {
	name, _ = route["name"].(string)
	return name, name != "" && slices.ContainsFunc(p.managed, func(m v1alpha1.MangedRoutes) bool { return m.Name == name }) &&
		!slices.Contains(s.spec.Routes, name)
}

// renderManaged puts the managed routes of the split in front of the other HTTP routes, in
// the order of trafficRouting.managedRoutes, and takes out all others of ours. A route that
// says the same already stays as it is.
func (p place) renderManaged(object map[string]any, s service, routes weighed, split traffic.Split) {
	var wanted []traffic.Route
	if len(routes.http) > 0 {
		wanted, _ = split.Routes(p.managed) // check has refused what has a problem
	}
	list, _ := asMap(object["spec"])["http"].([]any)
	var others []any
	old := map[string]map[string]any{}
	for _, e := range list {
		r, _ := e.(map[string]any)
		if name, ours := p.isManaged(s, r); ours {
			old[name] = r
			continue
		}
		others = append(others, e)
	}
	if len(old)+len(wanted) == 0 {
		return
	}
	front := make([]any, 0, len(list)+len(wanted))
	for _, w := range wanted {
		r := p.built(w, routes.http[0])
		if traffic.Same(old[w.Name], r) {
			r = old[w.Name]
		}
		front = append(front, r)
	}
	asMap(object["spec"])["http"] = append(front, others...)
}

// readManaged tells which managed routes are there. One that is not as Apply would write
// it, or not in its place, counts as broken; so does one that stands there twice. Mirrored
// lists the routes that give requests to weighted destinations as well.
func (p place) readManaged(object map[string]any, s service, routes weighed) (headers []v1alpha1.SetHeaderRoute, mirrors []v1alpha1.SetMirrorRoute, mirrored []map[string]any) {
	list, _ := asMap(object["spec"])["http"].([]any)
	front := p.inOrder(list, s)
	for i, e := range list {
		r, _ := e.(map[string]any)
		name, ours := p.isManaged(s, r)
		if !ours {
			continue
		}
		inPlace := i < len(front) && front[i] == name && len(routes.http) > 0
		if r["mirror"] == nil {
			h := parseHeader(name, r)
			if !inPlace || !traffic.Same(r, p.built(traffic.Route{Name: name, Header: &h}, routes.http[0])) {
				h = traffic.Broken(name)
			}
			headers = append(headers, h)
			continue
		}
		m := parseMirror(name, r)
		if !inPlace || !traffic.Same(r, p.built(traffic.Route{Name: name, Mirror: &m}, routes.http[0])) {
			m = v1alpha1.SetMirrorRoute{Name: name}
		}
		mirrors, mirrored = append(mirrors, m), append(mirrored, r)
	}
	return headers, mirrors, mirrored
}

// inOrder lists the names of our routes as they are to stand at the front.
func (p place) inOrder(list []any, s service) (front []string) {
	there := map[string]bool{}
	for _, r := range objects.Entries(list) {
		if name, ours := p.isManaged(s, r); ours {
			there[name] = true
		}
	}
	for _, m := range p.managed {
		if there[m.Name] {
			front = append(front, m.Name)
			delete(there, m.Name)
		}
	}
	return front
}

// built is a managed route as it is written: beside a route that carries the weights, and
// to the canary destination of that one.
func (p place) built(r traffic.Route, beside map[string]any) map[string]any {
	var canary map[string]any
	for _, d := range objects.Entries(beside["route"]) {
		if to := asMap(d["destination"]); p.is(p.canary, to) {
			canary = copyOf(to)
			break
		}
	}
	if r.Header != nil {
		return map[string]any{
			"name":  r.Name,
			"match": headerMatches(*r.Header),
			"route": []any{map[string]any{"destination": canary, "weight": int64(traffic.DefaultTotal)}},
		}
	}
	return map[string]any{
		"name":             r.Name,
		"match":            mirrorMatches(*r.Mirror),
		"route":            runtime.DeepCopyJSONValue(beside["route"]),
		"mirror":           canary,
		"mirrorPercentage": map[string]any{"value": int64(traffic.Percent(*r.Mirror))},
	}
}

// headerMatches gives each header a match of its own: one of them is enough.
func headerMatches(h v1alpha1.SetHeaderRoute) (list []any) {
	for _, m := range h.Match {
		list = append(list, map[string]any{"headers": map[string]any{m.HeaderName: text(m.HeaderValue)}})
	}
	return list
}

func mirrorMatches(r v1alpha1.SetMirrorRoute) (list []any) {
	for _, m := range r.Match {
		match := map[string]any{}
		if t := text(m.Method); len(t) > 0 {
			match["method"] = t
		}
		if t := text(m.Path); len(t) > 0 {
			match["uri"] = t
		}
		if len(m.Headers) > 0 {
			headers := map[string]any{}
			for name, t := range m.Headers {
				headers[name] = text(&t)
			}
			match["headers"] = headers
		}
		list = append(list, match)
	}
	return list
}

func text(t *v1alpha1.StringMatch) map[string]any {
	m := map[string]any{}
	if t == nil {
		return m
	}
	for kind, value := range map[string]string{"exact": t.Exact, "prefix": t.Prefix, "regex": t.Regex} {
		if value != "" {
			m[kind] = value
		}
	}
	return m
}

// parseHeader reads what it can of a header route; comparing with what would be written
// shows the rest.
func parseHeader(name string, route map[string]any) v1alpha1.SetHeaderRoute {
	h := v1alpha1.SetHeaderRoute{Name: name}
	for _, m := range objects.Entries(route["match"]) {
		for header, value := range asMap(m["headers"]) {
			h.Match = append(h.Match, v1alpha1.HeaderRoutingMatch{HeaderName: header, HeaderValue: parseText(value)})
		}
	}
	return h
}

func parseMirror(name string, route map[string]any) v1alpha1.SetMirrorRoute {
	r := v1alpha1.SetMirrorRoute{Name: name}
	for _, m := range objects.Entries(route["match"]) {
		match := v1alpha1.RouteMatch{}
		if m["method"] != nil {
			match.Method = parseText(m["method"])
		}
		if m["uri"] != nil {
			match.Path = parseText(m["uri"])
		}
		for header, value := range asMap(m["headers"]) {
			if match.Headers == nil {
				match.Headers = map[string]v1alpha1.StringMatch{}
			}
			match.Headers[header] = *parseText(value)
		}
		r.Match = append(r.Match, match)
	}
	parts, _ := traffic.Parts(asMap(route["mirrorPercentage"])["value"])
	percent := int32(parts)
	r.Percentage = &percent
	return r
}

func parseText(value any) *v1alpha1.StringMatch {
	var t v1alpha1.StringMatch
	m := asMap(value)
	t.Exact, _ = m["exact"].(string)
	t.Prefix, _ = m["prefix"].(string)
	t.Regex, _ = m["regex"].(string)
	return &t
}
