package gatewayapi

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// method is what a match wants of the HTTP method, "" for nothing.
func method(m v1alpha1.RouteMatch) (name, problem string) {
	switch t := m.Method; {
	case t == nil || *t == (v1alpha1.StringMatch{}):
		return "", ""
	case t.Exact == "":
		return "", "the Gateway API compares methods exactly only: use method.exact"
	default:
		return t.Exact, ""
	}
}

// httpCondition translates method and path for rules of an HTTPRoute.
func httpCondition(m v1alpha1.RouteMatch) (c map[string]any, ok bool, problem string) {
	c = map[string]any{}
	name, problem := method(m)
	if name != "" {
		c["method"] = name
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
	return c, true, problem
}

// joinHTTP narrows a match of an HTTPRoute.
func joinHTTP(m, condition map[string]any) (ok bool, problem string) {
	if method, asked := condition["method"]; asked {
		if m["method"] != nil && m["method"] != method {
			return false, ""
		}
		m["method"] = method
	}
	if path, asked := condition["path"].(map[string]any); asked {
		old, _ := m["path"].(map[string]any)
		path, ok, problem := bothPaths(old, path)
		if !ok || problem != "" {
			return false, problem
		}
		m["path"] = path
	}
	return true, ""
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
