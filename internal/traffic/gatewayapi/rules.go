package gatewayapi

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// read tells which split the rules of an HTTPRoute make. Destinations carry no hash: the
// Services pin the revisions. It works on the object's own maps and changes nothing.
func read(object map[string]any, p plan) (s traffic.Split, problem string) {
	v, problem := p.view(object)
	if problem != "" {
		return traffic.Split{}, problem
	}
	var looks []traffic.Split
	for _, r := range append(slices.Clone(v.sources), v.mirrored...) {
		var extras []traffic.Destination
		for service, backends := range r.extras {
			extras = append(extras, traffic.Destination{Service: service, Weight: int32(sum(backends))})
		}
		looks = append(looks, traffic.Found(p.total, traffic.Destination{Service: p.stable}, traffic.Destination{Service: p.canary},
			sum(r.stable), sum(r.canary), extras...))
	}
	s = traffic.Widest(looks...)
	last := traffic.Split{Headers: v.claim.Headers, Mirrors: v.claim.Mirrors}
	built, _, problem := p.built(last, v)
	if problem == "" && v.asWritten(built) {
		s.Headers, s.Mirrors = last.Headers, last.Mirrors
		return s, ""
	}
	for _, m := range last.Mirrors {
		s.Mirrors = append(s.Mirrors, v1alpha1.SetMirrorRoute{Name: m.Name})
	}
	for _, h := range last.Headers {
		s.Headers = append(s.Headers, traffic.Broken(h.Name))
	}
	for _, name := range v.unclaimed {
		s.Headers = append(s.Headers, traffic.Broken(name))
	}
	return s, ""
}

// render writes the split into the object, in place; it must be the caller's own copy.
// Names lists the managed routes that it has rules for then. The zero Split gives everything
// to stable and takes out what is ours, as far as the object lets it.
func render(object map[string]any, p plan, s traffic.Split) (names []string, problem string) {
	zero := s.IsZero()
	if s = s.Held(); zero {
		s = traffic.Two(p.total, 0, traffic.Destination{}, traffic.Destination{})
	}
	if !p.headersOn(object) {
		s.Headers = nil
	}
	v, problem := p.view(object)
	if problem != "" && !zero {
		return nil, problem
	}
	for _, r := range v.sources {
		if problem := p.weigh(r, s); problem != "" {
			return nil, p.title(object) + ": " + problem
		}
	}
	if len(v.sources) == 0 {
		p.strip(object, v.claim)
	}
	claim := traffic.Claim{Headers: s.Headers, Mirrors: s.Mirrors}
	for _, x := range s.Extras() {
		claim.Extras = append(claim.Extras, x.Service)
	}
	built, names, problem := p.built(s, v)
	if problem != "" {
		return nil, p.title(object) + ": " + problem
	}
	switch {
	case v.asWritten(built):
		claim.Rules = v.claim.Rules
	case len(v.own)+len(built) > 0:
		claim.Rules = marks(built)
		list := make([]any, 0, len(built)+len(v.others))
		for _, m := range built {
			list = append(list, m)
		}
		object["spec"].(map[string]any)["rules"] = append(list, v.others...) // view found rules there
	}
	if problem := claim.Put(object, p.key()); problem != "" && !zero {
		return nil, p.title(object) + ": " + problem
	}
	moved := s.Weight(traffic.Canary) != 0 || len(s.Extras())+len(s.Headers)+len(s.Mirrors) > 0
	return names, p.mark(object, moved)
}

// weigh sets the weights of one rule. Extra backends come and go; one that comes is a copy
// of the canary's with another name, so it has the same port and namespace.
func (p plan) weigh(r rule, s traffic.Split) (problem string) {
	give(r.stable, int64(s.Weight(traffic.Stable)))
	give(r.canary, int64(s.Weight(traffic.Canary)))
	list, _ := r.whole["backendRefs"].([]any)
	kept, changed := slices.Clone(list), false
	for service := range r.extras {
		if !slices.ContainsFunc(s.Extras(), func(x traffic.Destination) bool { return x.Service == service }) {
			kept, changed = p.without(kept, r.namespace, service), true
		}
	}
	for _, x := range s.Extras() {
		if own := r.extras[x.Service]; len(own) > 0 {
			give(own, int64(x.Weight))
			continue
		}
		if slices.ContainsFunc(objects.Entries(list), func(b map[string]any) bool { return p.is(x.Service, b, r.namespace) }) {
			return fmt.Sprintf("the backend %q is in the rule already, and not by Penstock: remove it, or name the experiment's Service otherwise", x.Service)
		}
		b := runtime.DeepCopyJSON(r.canary[0])
		b["name"], b["weight"] = x.Service, int64(x.Weight)
		kept, changed = append(kept, b), true
	}
	if changed {
		r.whole["backendRefs"] = kept
	}
	return ""
}

// without is the list of backends without a Service.
func (p plan) without(list []any, namespace, service string) []any {
	return slices.DeleteFunc(slices.Clone(list), func(e any) bool {
		b, _ := e.(map[string]any)
		return p.is(service, b, namespace)
	})
}

// strip takes our backends out of rules that do not hold both roles any more.
func (p plan) strip(object map[string]any, c traffic.Claim) {
	v, _, _ := unstructured.NestedFieldNoCopy(object, "spec", "rules")
	namespace, _, _ := unstructured.NestedString(object, "metadata", "namespace")
	for _, m := range objects.Entries(v) {
		list, _ := m["backendRefs"].([]any)
		kept := list
		for _, service := range c.Extras {
			kept = p.without(kept, namespace, service)
		}
		if len(kept) != len(list) && len(objects.Entries(kept)) > 0 {
			m["backendRefs"] = kept
		}
	}
}

// mark sets or removes the label of a release in progress.
func (p plan) mark(object map[string]any, inProgress bool) (problem string) {
	if p.labelKey == "" {
		return ""
	}
	at := []string{"metadata", "labels", p.labelKey}
	if inProgress {
		if err := unstructured.SetNestedField(object, labelValue, at...); err != nil {
			return fmt.Sprintf("%s cannot be labelled: %v", p.title(object), err)
		}
		return ""
	}
	if v, _, _ := unstructured.NestedString(object, at...); v != labelValue {
		return ""
	}
	unstructured.RemoveNestedField(object, at...)
	if all, found, _ := unstructured.NestedMap(object, "metadata", "labels"); found && len(all) == 0 {
		unstructured.RemoveNestedField(object, "metadata", "labels")
	}
	return ""
}

// rule is one rule that holds both roles, its backends by what they are for. All are the
// object's own maps.
type rule struct {
	whole          map[string]any
	namespace      string // of the route
	stable, canary []map[string]any
	extras         map[string][]map[string]any // by Service
}

// view is the rules of an HTTPRoute, sorted by whose they are.
type view struct {
	claim     traffic.Claim
	sources   []rule           // the user's rules that hold both roles
	others    []any            // all rules of the user
	own       []map[string]any // those for managed routes
	places    []int            // where these stand
	mirrored  []rule           // those of them that go by weights
	unclaimed []string         // routes that have rules and no claim
}

// view looks at the rules. The view is of use with a problem too.
func (p plan) view(object map[string]any) (v view, problem string) {
	v.claim, problem = traffic.ClaimOn(object, p.key())
	if problem != "" {
		problem = p.title(object) + ": " + problem
	}
	raw, _, _ := unstructured.NestedFieldNoCopy(object, "spec", "rules")
	list, _ := raw.([]any)
	namespace, _, _ := unstructured.NestedString(object, "metadata", "namespace")
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
		case weighed:
			v.sources = append(v.sources, r)
		}
		v.others = append(v.others, e)
	}
	if len(v.sources) == 0 && problem == "" {
		problem = fmt.Sprintf("backendRef was not found in httpRoute: %s has no rule with both Services %q and %q of namespace %s as backends: add them",
			p.title(object), p.stable, p.canary, p.namespace)
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

func (p plan) title(object map[string]any) string {
	name, _, _ := unstructured.NestedString(object, "metadata", "name")
	return p.ref(name).String()
}

// sum adds up the weights of one side's backends; a backend without one has 1.
func sum(backends []map[string]any) (parts int64) {
	for _, b := range backends {
		w, there := b["weight"]
		if !there {
			w = int64(1)
		}
		n, _ := traffic.Parts(w)
		parts += n
	}
	return parts
}

// give sets the weight of one side. Where it is listed twice, as with two ports, the
// first backend gets it, so that the sum stays right. A weight that says the same
// already is left alone: 30 and 30.0, or none for 1.
func give(backends []map[string]any, weight int64) {
	for _, b := range backends {
		old, there := b["weight"]
		if !there {
			old = int64(1)
		}
		if parts, exact := traffic.Parts(old); !exact || parts != weight {
			b["weight"] = weight
		}
		weight = 0
	}
}
