package gatewayapi

import (
	"cmp"
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

// How a match compares.
const (
	exact  = "Exact"
	prefix = "PathPrefix"
	regex  = "RegularExpression"
)

// conditions translates the matches of a managed route, each into what a match of a rule has
// to have in addition; one of them is enough, as with the other routers. Those that no
// request can meet are left out.
func (k *kind) conditions(r traffic.Route) (list []map[string]any, problem string) {
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
		c, ok, problem := k.condition(m)
		headers := make([]any, 0, len(m.Headers))
		for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
			t := m.Headers[name]
			h, wrong := header(name, &t)
			problem = cmp.Or(problem, wrong)
			headers = append(headers, h)
		}
		switch {
		case problem != "":
			return nil, fmt.Sprintf("route %q: %s", r.Name, problem)
		case !ok:
			continue
		case len(headers) > 0:
			c["headers"] = headers
		}
		list = append(list, c)
	}
	return list, ""
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
func (k *kind) narrowed(rule map[string]any, conditions []map[string]any) (list []any, problem string) {
	sources := objects.Entries(rule["matches"])
	if len(sources) == 0 {
		sources = []map[string]any{{}}
	}
	for _, s := range sources {
		for _, c := range conditions {
			m, ok, problem := k.both(s, c)
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
func (k *kind) both(match, condition map[string]any) (m map[string]any, ok bool, problem string) {
	m = runtime.DeepCopyJSON(match)
	if ok, problem := k.join(m, condition); !ok || problem != "" {
		return nil, false, problem
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
			return nil, false, fmt.Sprintf("header %q is compared by the rule already, and a rule compares each header once", h["name"])
		}
	}
	if len(headers) > 0 {
		m["headers"] = headers
	}
	return m, true, ""
}

func kindOf(m map[string]any, usual string) string {
	if kind := text(m["type"]); kind != "" {
		return kind
	}
	return usual
}
