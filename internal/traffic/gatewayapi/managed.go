package gatewayapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// built lists the rules that make the managed routes of a split: for each route one beside
// every rule that holds both backends and takes requests that match, as a copy of that
// rule, so that its timeouts, filters and whatever else comes hold for it too. The second
// rule of route hdr is hdr-1, as the published router names it, or the next number that no
// rule of the user has.
// Names lists the routes that got any.
func (p plan) built(s traffic.Split, v view) (rules []map[string]any, names []string, problem string) {
	routes, problem := s.Routes(p.managed)
	if problem != "" {
		return nil, nil, problem
	}
	for _, r := range routes {
		wanted, problem := conditions(r)
		if problem != "" {
			return nil, nil, problem
		}
		n := 0
		for _, source := range v.sources {
			matches, problem := narrowed(source.whole, wanted)
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
// where only the rule's content tells.
func (p plan) owns(m map[string]any, c traffic.Claim) (route string, ours bool) {
	name := text(m["name"])
	if name == "" {
		return "", len(c.Rules) > 0 && slices.Contains(c.Rules, fingerprint(m))
	}
	if p.names(name, c) {
		return name, true
	}
	i := strings.LastIndexByte(name, '-')
	if i < 0 || !p.names(name[:i], c) {
		return "", false
	}
	if n, err := strconv.Atoi(name[i+1:]); err != nil || n < 1 {
		return "", false
	}
	return name[:i], slices.Contains(c.Rules, name) || p.canaryOnly(m)
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
	list := entries(m["backendRefs"])
	return len(list) == 1 && text(list[0]["name"]) == p.canary
}

// sameRules reports whether the rules that are there, at the places given, are those that
// were built. Where the cluster does not know names of rules, they have none.
func sameRules(there []map[string]any, places []int, built []map[string]any) bool {
	if len(there) != len(built) {
		return false
	}
	for i, m := range there {
		want := built[i]
		if m["name"] == nil {
			want = runtime.DeepCopyJSON(want)
			delete(want, "name")
		}
		if places[i] != i || !traffic.Same(m, want) {
			return false
		}
	}
	return true
}

// marks lists how the rules are known again.
func marks(rules []map[string]any) (list []string) {
	for _, m := range rules {
		if name := text(m["name"]); name != "" {
			list = append(list, name)
			continue
		}
		list = append(list, fingerprint(m))
	}
	return list
}

// fingerprint tells a rule by its content. It begins with a sign that no name has.
func fingerprint(m map[string]any) string {
	b, err := json.Marshal(m)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return "#" + hex.EncodeToString(sum[:8])
}

// settle compares rules that were to be written with what the API server makes of them. A
// cluster whose HTTPRoutes have no names for rules drops them: then the claim tells our
// rules by their content. Any other loss would change what the rule does, so it is a
// problem.
func (p plan) settle(object, stored map[string]any) (problem string) {
	v, problem := p.view(object)
	if problem != "" || len(v.own) == 0 {
		return problem
	}
	spec, _ := stored["spec"].(map[string]any)
	list, _ := spec["rules"].([]any)
	if len(list) < len(v.own) {
		return p.title(object) + ": the API server dropped rules"
	}
	c := v.claim
	c.Rules = nil
	for i, m := range v.own {
		kept, _ := list[i].(map[string]any)
		if kept["name"] == nil {
			delete(m, "name")
		}
		if at := lost(m, kept); at != "" {
			return fmt.Sprintf("%s: the cluster's HTTPRoutes have no %s: install a newer version of the Gateway API, or do without", p.title(object), at)
		}
		c.Rules = append(c.Rules, marks([]map[string]any{kept})...)
	}
	if problem := c.Put(object, p.key()); problem != "" {
		return p.title(object) + ": " + problem
	}
	return ""
}

// lost names the first field that the API server did not keep.
func lost(sent, kept any) (at string) {
	switch s := sent.(type) {
	case map[string]any:
		k, _ := kept.(map[string]any)
		for key, child := range s {
			if _, there := k[key]; !there && child != nil {
				return key
			}
			if at := lost(child, k[key]); at != "" {
				return key + "." + at
			}
		}
	case []any:
		k, _ := kept.([]any)
		for i, child := range s {
			if i >= len(k) {
				return "item " + strconv.Itoa(i)
			}
			if at := lost(child, k[i]); at != "" {
				return at
			}
		}
	}
	return ""
}
