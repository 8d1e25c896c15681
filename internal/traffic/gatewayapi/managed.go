package gatewayapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// built lists the rules that make the managed routes of a split: for each route one beside
// every rule that holds both backends and takes requests that match, as a copy of that
// rule, so that its timeouts, filters and whatever else comes hold for it too. The second
// rule of route hdr is hdr-1, as the published router names it, or the next number that no
// rule of the user has.
// Names lists the routes that got any.
func (p place) built(s traffic.Split, v view) (rules []map[string]any, names []string, problem string) {
	routes, problem := s.Routes(p.managed)
	if problem != "" {
		return nil, nil, problem
	}
	if len(routes) > 0 && !p.kind.requests() {
		return nil, nil, fmt.Sprintf("route %q: a %s does not look at requests", routes[0].Name, p.kind.name)
	}
	for _, r := range routes {
		wanted, problem := p.kind.conditions(r)
		if problem != "" {
			return nil, nil, problem
		}
		n := 0
		for _, source := range v.sources {
			matches, problem := p.kind.narrowed(source.whole, wanted)
			if problem != "" {
				return nil, nil, fmt.Sprintf("route %q: %s", r.Name, problem)
			}
			if len(matches) == 0 {
				continue
			}
			own := beside(source, r)
			own["matches"], own["name"] = matches, r.Name
			if n > 0 {
				for v.taken(r.Name + "-" + strconv.Itoa(n)) {
					n++
				}
				own["name"] = r.Name + "-" + strconv.Itoa(n)
			}
			rules = append(rules, own)
			n++
		}
		if n > 0 {
			names = append(names, r.Name)
		}
	}
	return rules, names, ""
}

// beside is a copy of a rule that does what the managed route is for.
func beside(source rule, r traffic.Route) map[string]any {
	own, canary := runtime.DeepCopyJSON(source.whole), runtime.DeepCopyJSON(source.canary[0])
	if r.Header != nil {
		canary["weight"] = int64(1)
		own["backendRefs"] = []any{canary}
		return own
	}
	filters, _ := own["filters"].([]any)
	own["filters"] = append(filters, mirrorOf(canary, traffic.Percent(*r.Mirror)))
	return own
}

// mirrorOf is the filter that copies requests to a backend, with the API's defaults spelled
// out so that it is read back as it was written.
func mirrorOf(backend map[string]any, percent int32) map[string]any {
	to := map[string]any{"group": "", "kind": "Service"}
	for _, key := range []string{"group", "kind", "name", "namespace", "port"} {
		if v, there := backend[key]; there {
			to[key] = v
		}
	}
	mirror := map[string]any{"backendRef": to}
	if percent != 100 {
		mirror["percent"] = int64(percent)
	}
	return map[string]any{"type": "RequestMirror", "requestMirror": mirror}
}

// owns reports whether a rule was added for a managed route, and for which; the route is ""
// where only the rule's content tells. Without a claim its form tells: the published router
// leaves none, and people lose some.
func (p place) owns(m map[string]any, c traffic.Claim) (route string, ours bool) {
	name := text(m["name"])
	written := slices.ContainsFunc(c.Rules, func(r string) bool { return strings.HasPrefix(r, name+"#") })
	switch {
	case !p.kind.requests():
		return "", false
	case name == "":
		return "", len(c.Rules) > 0 && slices.Contains(c.Rules, mark(m))
	case p.names(name, c):
		return name, written || p.canaryOnly(m) || p.mirrors(m)
	}
	i := strings.LastIndexByte(name, '-')
	if i < 0 || !p.names(name[:i], c) {
		return "", false
	}
	if n, err := strconv.Atoi(name[i+1:]); err != nil || n < 1 {
		return "", false
	}
	return name[:i], written || p.canaryOnly(m)
}

// squats reports whether a rule that is not ours has the name of a managed route.
func (p place) squats(m map[string]any, c traffic.Claim) bool {
	name := text(m["name"])
	return p.kind.requests() && name != "" && p.names(name, c)
}

// names reports whether a managed route has the name.
func (p plan) names(name string, c traffic.Claim) bool {
	return slices.ContainsFunc(p.managed, func(m v1alpha1.MangedRoutes) bool { return m.Name == name }) || claimed(name, c)
}

// claimed reports whether the claim says what the route is; one without a name is known by
// the claim alone.
func claimed(name string, c traffic.Claim) bool {
	return name == "" || slices.ContainsFunc(c.Headers, func(h v1alpha1.SetHeaderRoute) bool { return h.Name == name }) ||
		slices.ContainsFunc(c.Mirrors, func(m v1alpha1.SetMirrorRoute) bool { return m.Name == name })
}

// canaryOnly reports whether the rule sends to the canary alone, as header rules do.
func (p plan) canaryOnly(m map[string]any) bool {
	list := objects.Entries(m["backendRefs"])
	return len(list) == 1 && text(list[0]["name"]) == p.canary
}

// mirrors reports whether the rule copies requests to the canary, as mirror rules do.
func (p plan) mirrors(m map[string]any) bool {
	return slices.ContainsFunc(objects.Entries(m["filters"]), func(f map[string]any) bool {
		mirror, _ := f["requestMirror"].(map[string]any)
		to, _ := mirror["backendRef"].(map[string]any)
		return text(to["name"]) == p.canary
	})
}

// asWritten reports whether our rules are as they were written last, in their place, and
// that is as they would be written now.
func (v view) asWritten(built []map[string]any) bool {
	if len(v.own) != len(built) || len(v.own) != len(v.claim.Rules) {
		return false
	}
	for i, m := range v.own {
		want := built[i]
		if m["name"] == nil { // the cluster does not know names of rules
			want = runtime.DeepCopyJSON(want)
			delete(want, "name")
		}
		if v.places[i] != i || v.claim.Rules[i] != mark(m) || lost(want, m) != "" {
			return false
		}
	}
	return true
}

// marks lists how rules are known again.
func marks(rules []map[string]any) (list []string) {
	for _, m := range rules {
		list = append(list, mark(m))
	}
	return list
}

// mark is the rule's name, if it has one, and a digest of its content.
func mark(m map[string]any) string {
	b, err := json.Marshal(m)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return text(m["name"]) + "#" + hex.EncodeToString(sum[:8])
}

// settle compares rules that are to be written with what the API server makes of them, and
// has the claim know them in that form, with the defaults that it adds. A cluster whose
// routes have no names for rules drops them: then the content alone tells our rules.
// Any other loss would change what the rule does, so it is a problem.
func (p place) settle(stored map[string]any) (problem string) {
	v, problem := p.view()
	if problem != "" || len(v.own) == 0 {
		return problem
	}
	spec, _ := stored["spec"].(map[string]any)
	list, _ := spec["rules"].([]any)
	c := v.claim
	c.Rules = nil
	for i, m := range v.own {
		var kept map[string]any
		if i < len(list) {
			kept, _ = list[i].(map[string]any)
		}
		if kept["name"] == nil {
			delete(m, "name")
		}
		if at := lost(m, kept); at != "" {
			return fmt.Sprintf("%s: the API server does not keep %s of a rule for a managed route: install a newer version of the Gateway API, or do without",
				p.title(), at)
		}
		c.Rules = append(c.Rules, mark(kept))
	}
	if problem := c.Put(p.object, p.key()); problem != "" {
		return p.title() + ": " + problem
	}
	return ""
}

// lost names the first field of a JSON value that another does not have, or not alike. What
// the other has besides, such as defaults, does not count.
func lost(sent, kept any) (at string) {
	switch s := sent.(type) {
	case map[string]any:
		k, isMap := kept.(map[string]any)
		if !isMap {
			return "object"
		}
		for _, key := range slices.Sorted(maps.Keys(s)) {
			child, there := k[key]
			if !there && s[key] != nil {
				return key
			}
			if at := lost(s[key], child); at != "" {
				return strings.TrimSuffix(key+"."+at, ".value")
			}
		}
		return ""
	case []any:
		k, isList := kept.([]any)
		if !isList || len(k) < len(s) {
			return "items"
		}
		for i, child := range s {
			if at := lost(child, k[i]); at != "" {
				return at
			}
		}
		return ""
	}
	if !traffic.Same(sent, kept) {
		return "value"
	}
	return ""
}
