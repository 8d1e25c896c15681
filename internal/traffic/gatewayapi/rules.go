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

// read tells which split the rules of the route make. Destinations carry no hash: the
// Services pin the revisions. It works on the object's own maps and changes nothing.
func (p place) read() (s traffic.Split, problem string) {
	v, problem := p.view()
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

// render writes the split into the object, in place; it must be the caller's own copy. What
// the route cannot carry is left out. Names lists the managed routes that it has rules for
// then. The zero Split gives everything to stable and takes out what is ours, as far as the
// object lets it.
func (p place) render(s traffic.Split) (names []string, problem string) {
	zero := s.IsZero()
	if s = s.Held(); zero {
		s = traffic.Two(p.total, 0, traffic.Destination{}, traffic.Destination{})
	}
	if !p.headers() {
		s.Headers = nil
	}
	if !p.kind.requests() {
		s.Mirrors = nil
	}
	v, problem := p.view()
	if problem != "" && !zero {
		return nil, problem
	}
	for _, r := range v.sources {
		if problem := p.weigh(r, s); problem != "" {
			return nil, p.title() + ": " + problem
		}
	}
	if len(v.sources) == 0 {
		p.strip(v.claim)
	}
	moves := s.Weight(traffic.Canary) != 0 || len(s.Extras())+len(s.Headers)+len(s.Mirrors) > 0
	claim := traffic.Claim{Headers: s.Headers, Mirrors: s.Mirrors, Moves: moves && p.labelKey != "" && v.shared}
	for _, x := range s.Extras() {
		claim.Extras = append(claim.Extras, x.Service)
	}
	built, names, problem := p.built(s, v)
	if problem != "" {
		return nil, p.title() + ": " + problem
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
		p.object["spec"].(map[string]any)["rules"] = append(list, v.others...) // view found rules there
	}
	if problem := claim.Put(p.object, p.key()); problem != "" && !zero {
		return nil, p.title() + ": " + problem
	}
	return names, p.mark(moves || traffic.OthersMove(p.object, p.key()))
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
func (p place) strip(c traffic.Claim) {
	v, _, _ := unstructured.NestedFieldNoCopy(p.object, "spec", "rules")
	namespace := p.namespaced()
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
func (p place) mark(inProgress bool) (problem string) {
	if p.labelKey == "" {
		return ""
	}
	at := []string{"metadata", "labels", p.labelKey}
	if inProgress {
		if err := unstructured.SetNestedField(p.object, labelValue, at...); err != nil {
			return fmt.Sprintf("%s cannot be labelled: %v", p.title(), err)
		}
		return ""
	}
	if v, _, _ := unstructured.NestedString(p.object, at...); v != labelValue {
		return ""
	}
	unstructured.RemoveNestedField(p.object, at...)
	if all, found, _ := unstructured.NestedMap(p.object, "metadata", "labels"); found && len(all) == 0 {
		unstructured.RemoveNestedField(p.object, "metadata", "labels")
	}
	return ""
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
