package gatewayapi

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

const (
	exact  = "Exact"
	prefix = "PathPrefix"
	regex  = "RegularExpression"
)

// conditions translates the matches of a managed route, each into what a match of an
// HTTPRoute has to have in addition; one of them is enough, as with the other routers.
func conditions(r traffic.Route) (list []map[string]any, problem string) {
	if r.Header != nil {
		for _, m := range r.Header.Match {
			h, problem := header(m.HeaderName, m.HeaderValue)
			if problem != "" {
				return nil, fmt.Sprintf("route %q: %s", r.Name, problem)
			}
			list = append(list, map[string]any{"headers": []any{h}})
		}
		return list, ""
	}
	for _, m := range r.Mirror.Match {
		c, problem := conditionOf(m)
		if problem != "" {
			return nil, fmt.Sprintf("route %q: %s", r.Name, problem)
		}
		list = append(list, c)
	}
	return list, ""
}

func conditionOf(m v1alpha1.RouteMatch) (c map[string]any, problem string) {
	c = map[string]any{}
	if t := m.Method; t != nil && *t != (v1alpha1.StringMatch{}) {
		if t.Exact == "" {
			return nil, "the Gateway API compares methods exactly only: use method.exact"
		}
		c["method"] = t.Exact
	}
	if t := m.Path; t != nil {
		switch {
		case t.Exact != "":
			c["path"] = map[string]any{"type": exact, "value": t.Exact}
		case t.Prefix != "":
			c["path"] = map[string]any{"type": prefix, "value": t.Prefix}
		case t.Regex != "":
			c["path"] = map[string]any{"type": regex, "value": t.Regex}
		}
	}
	var headers []any
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		t := m.Headers[name]
		h, problem := header(name, &t)
		if problem != "" {
			return nil, problem
		}
		headers = append(headers, h)
	}
	if len(headers) > 0 {
		c["headers"] = headers
	}
	return c, ""
}

// header translates one comparison. The Gateway API has no prefix, so that is a regular
// expression in which the user's text stands for itself.
func header(name string, t *v1alpha1.StringMatch) (h map[string]any, problem string) {
	kind, value := exact, ""
	switch {
	case t == nil:
	case t.Exact != "":
		value = t.Exact
	case t.Prefix != "":
		kind, value = regex, "^"+regexp.QuoteMeta(t.Prefix)+".*"
	default:
		kind, value = regex, t.Regex
	}
	if value == "" {
		return nil, fmt.Sprintf("header %q has no value to compare with: set exact, prefix or regex", name)
	}
	return map[string]any{"name": name, "type": kind, "value": value}, ""
}

// narrowed lists the matches for requests that a rule takes and that meet one of the
// conditions. There may be none. The problem is that the Gateway API has no word for one.
func narrowed(rule map[string]any, conditions []map[string]any) (list []any, problem string) {
	sources := objects.Entries(rule["matches"])
	if len(sources) == 0 {
		sources = []map[string]any{{}}
	}
	for _, s := range sources {
		for _, c := range conditions {
			m, ok, problem := both(s, c)
			if problem != "" {
				return nil, problem
			}
			if ok {
				list = append(list, m)
			}
		}
	}
	return list, ""
}

// both is the match for requests that meet a match and a condition; ok is false where
// there are none.
func both(match, condition map[string]any) (m map[string]any, ok bool, problem string) {
	m = runtime.DeepCopyJSON(match)
	if method, asked := condition["method"]; asked {
		if m["method"] != nil && m["method"] != method {
			return nil, false, ""
		}
		m["method"] = method
	}
	if path, asked := condition["path"].(map[string]any); asked {
		old, _ := m["path"].(map[string]any)
		path, ok, problem := bothPaths(old, path)
		if !ok || problem != "" {
			return nil, false, problem
		}
		m["path"] = path
	}
	headers, _ := m["headers"].([]any)
	for _, h := range objects.Entries(condition["headers"]) {
		i := slices.IndexFunc(headers, func(e any) bool {
			o, _ := e.(map[string]any)
			return strings.EqualFold(text(o["name"]), text(h["name"]))
		})
		if i < 0 {
			headers = append(headers, runtime.DeepCopyJSON(h))
			continue
		}
		old, _ := headers[i].(map[string]any)
		switch {
		case kindOf(old, exact) == h["type"] && old["value"] == h["value"]:
		case kindOf(old, exact) == exact && h["type"] == exact:
			return nil, false, ""
		default:
			return nil, false, fmt.Sprintf("header %q is compared by the rule already, and an HTTPRoute compares each header once", h["name"])
		}
	}
	if len(headers) > 0 {
		m["headers"] = headers
	}
	return m, true, ""
}

// bothPaths is the path match for paths that both match.
func bothPaths(a, b map[string]any) (path map[string]any, ok bool, problem string) {
	everything := func(p map[string]any) bool {
		return len(p) == 0 || kindOf(p, prefix) == prefix && (p["value"] == nil || p["value"] == "/")
	}
	ka, kb := kindOf(a, prefix), kindOf(b, prefix)
	va, vb := text(a["value"]), text(b["value"])
	switch {
	case everything(a), ka == kb && va == vb:
		return runtime.DeepCopyJSON(b), true, ""
	case everything(b):
		return runtime.DeepCopyJSON(a), true, ""
	case ka == regex || kb == regex:
		return nil, false, fmt.Sprintf("path %q cannot be joined with the path %q of the rule: one is a regular expression", vb, va)
	case ka == exact && kb == exact:
		return nil, false, ""
	case kb == prefix && below(va, vb):
		return runtime.DeepCopyJSON(a), true, ""
	case ka == prefix && below(vb, va):
		return runtime.DeepCopyJSON(b), true, ""
	}
	return nil, false, ""
}

// below reports whether a path is the prefix or lies below it, element by element.
func below(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	rest, found := strings.CutPrefix(path, prefix)
	return found && (rest == "" || rest[0] == '/')
}

func kindOf(m map[string]any, usual string) string {
	if kind := text(m["type"]); kind != "" {
		return kind
	}
	return usual
}
