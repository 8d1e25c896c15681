package gatewayapi

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/internal/traffic"
)

// read tells which split the rules of an HTTPRoute make. Destinations carry no hash: the
// Services pin the revisions. It works on the object's own maps and changes nothing.
func read(object map[string]any, p plan) (s traffic.Split, problem string) {
	rules, problem := p.ours(object)
	if problem != "" {
		return traffic.Split{}, problem
	}
	looks := make([]traffic.Split, len(rules))
	for i, r := range rules {
		looks[i] = traffic.Found(p.total, traffic.Destination{Service: p.stable}, traffic.Destination{Service: p.canary},
			sum(r.stable), sum(r.canary))
	}
	return traffic.Widest(looks...), ""
}

// render writes the split into the object, in place; it must be the caller's own copy.
// The zero Split gives everything to stable and takes the label away, as far as the
// object lets it.
func render(object map[string]any, p plan, s traffic.Split) (problem string) {
	canary := min(max(s.Weight(traffic.Canary), 0), p.total)
	rules, problem := p.ours(object)
	for _, r := range rules {
		give(r.stable, int64(p.total-canary))
		give(r.canary, int64(canary))
	}
	if problem != "" && !s.IsZero() {
		return problem
	}
	return p.mark(object, canary != 0)
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

// rule is the two sides of one rule that holds both, each as the object's own maps.
type rule struct{ stable, canary []map[string]any }

// ours finds the rules that hold both backends.
func (p plan) ours(object map[string]any) (rules []rule, problem string) {
	v, _, _ := unstructured.NestedFieldNoCopy(object, "spec", "rules")
	namespace, _, _ := unstructured.NestedString(object, "metadata", "namespace")
	for _, m := range maps(v) {
		var r rule
		for _, b := range maps(m["backendRefs"]) {
			switch {
			case p.is(p.stable, b, namespace):
				r.stable = append(r.stable, b)
			case p.is(p.canary, b, namespace):
				r.canary = append(r.canary, b)
			}
		}
		if len(r.stable) > 0 && len(r.canary) > 0 {
			rules = append(rules, r)
		}
	}
	if len(rules) == 0 {
		return nil, fmt.Sprintf("backendRef was not found in httpRoute: %s has no rule with both Services %q and %q of namespace %s as backends: add them",
			p.title(object), p.stable, p.canary, p.namespace)
	}
	return rules, ""
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

// maps returns the objects of a JSON list; other elements are none of our business.
func maps(v any) []map[string]any {
	list, _ := v.([]any)
	var found []map[string]any
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			found = append(found, m)
		}
	}
	return found
}
