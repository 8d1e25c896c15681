package gatewayapi

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// place is one route object of a rollout. The map is the object's own.
type place struct {
	plan
	kind   *kind
	object map[string]any
}

func (p place) meta(field string) string {
	s, _, _ := unstructured.NestedString(p.object, "metadata", field)
	return s
}

// namespaced is the route's namespace, which a backend without one means.
func (p place) namespaced() string { return p.meta("namespace") }

func (p place) ref() traffic.Ref { return p.kind.ref(p.routeNamespace, p.meta("name")) }

func (p place) title() string { return p.ref().String() }

// headers reports whether the route takes header routes. The section says so for each route
// that it names; one that a selector finds takes none.
func (p place) headers() bool {
	return p.kind.requests() && slices.ContainsFunc(p.members, func(m member) bool {
		return m.headers && m.kind == p.kind && m.name == p.meta("name")
	})
}

// rule is one rule that holds both roles, its backends by what they are for. All are the
// object's own maps.
type rule struct {
	whole          map[string]any
	namespace      string // of the route
	stable, canary []map[string]any
	extras         map[string][]map[string]any // by Service
}

// view is the rules of a route, sorted by whose they are.
type view struct {
	claim     traffic.Claim
	sources   []rule           // the user's rules that hold both roles
	others    []any            // all rules of the user
	own       []map[string]any // those for managed routes
	places    []int            // where these stand
	mirrored  []rule           // those of them that go by weights
	unclaimed []string         // routes that have rules and no claim
	shared    bool             // a rule of the user divides requests among others
}

// view looks at the rules. The view is of use with a problem too.
func (p place) view() (v view, problem string) {
	v.claim = traffic.ClaimOn(p.object, p.key())
	raw, _, _ := unstructured.NestedFieldNoCopy(p.object, "spec", "rules")
	list, _ := raw.([]any)
	namespace := p.namespaced()
	for i, e := range list {
		m, isMap := e.(map[string]any)
		r := p.sorted(m, namespace, v.claim)
		weighed := len(r.stable) > 0 && len(r.canary) > 0
		route, ours := p.owns(m, v.claim)
		switch {
		case isMap && ours:
			v.own, v.places = append(v.own, m), append(v.places, i)
			if weighed {
				v.mirrored = append(v.mirrored, r)
			}
			if !claimed(route, v.claim) && !slices.Contains(v.unclaimed, route) {
				v.unclaimed = append(v.unclaimed, route)
			}
			continue
		case p.squats(m, v.claim):
			problem = cmp.Or(problem, fmt.Sprintf("%s: spec.rules[%d].name: %q is the name of a managed route, and Penstock has not written this rule: rename it, or take the name out of %s.managedRoutes",
				p.title(), i, m["name"], routing))
		}
		if weighed {
			v.sources = append(v.sources, r)
		} else if len(objects.Entries(m["backendRefs"])) > 1 {
			v.shared = true
		}
		v.others = append(v.others, e)
	}
	if len(v.sources) == 0 && problem == "" {
		problem = fmt.Sprintf("%s: %s has no rule in spec.rules with both Services %q and %q of namespace %s in its backendRefs: add them",
			p.kind.missing, p.title(), p.stable, p.canary, p.namespace)
	}
	return v, problem
}

// taken reports whether a rule of the user has the name.
func (v view) taken(name string) bool {
	return slices.ContainsFunc(objects.Entries(v.others), func(m map[string]any) bool { return text(m["name"]) == name })
}

// sorted looks at one rule's backends.
func (p plan) sorted(m map[string]any, namespace string, c traffic.Claim) rule {
	r := rule{whole: m, namespace: namespace, extras: map[string][]map[string]any{}}
	for _, b := range objects.Entries(m["backendRefs"]) {
		name := text(b["name"])
		switch {
		case p.is(p.stable, b, namespace):
			r.stable = append(r.stable, b)
		case p.is(p.canary, b, namespace):
			r.canary = append(r.canary, b)
		case p.is(name, b, namespace) && (slices.Contains(c.Extras, name) || traffic.IsExperiment(p.name, name)):
			r.extras[name] = append(r.extras[name], b)
		}
	}
	return r
}

// is reports whether the backend is the rollout's Service. One that names no namespace
// means the route's.
func (p plan) is(service string, backend map[string]any, routeNamespace string) bool {
	namespace, named := backend["namespace"].(string)
	if !named {
		namespace = routeNamespace
	}
	backendGroup, _ := backend["group"].(string)
	kind, named := backend["kind"].(string)
	return backendGroup == "" && (!named || kind == "Service") && namespace == p.namespace && backend["name"] == service
}
