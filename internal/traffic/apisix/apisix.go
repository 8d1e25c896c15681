package apisix

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

const path = "spec.strategy.canary.trafficRouting.apisix"

var kind = schema.GroupVersionKind{Group: "apisix.apache.org", Version: "v2", Kind: "ApisixRoute"}

// Options are the settings of the router; the zero value is the default.
type Options struct {
	// Settle is how long APISIX may lag behind a write; default 2 s.
	Settle time.Duration
}

// New makes the router.
func New(reader client.Reader, writer client.Client, o Options) traffic.Router {
	return objects.New(reader, writer, planOf, o.Settle)
}

// Uses reports whether the rollout routes with APISIX.
func Uses(r *v1alpha1.RolloutTrafficRouting) bool { return r != nil && r.Apisix != nil }

// Objects lists the ApisixRoute and those of the managed routes.
func Objects(t traffic.Target) []traffic.Ref {
	if !Uses(t.Routing) {
		return nil
	}
	return planOf(t).Refs()
}

// Kinds lists the kinds to watch for a target.
func (Options) Kinds(traffic.Target) []schema.GroupVersionKind {
	return []schema.GroupVersionKind{kind}
}

// desk is a Target, looked at with the eyes of APISIX.
type desk struct {
	traffic.Target
	name  string
	rules []string
}

func planOf(t traffic.Target) objects.Plan {
	p := objects.Plan{By: "with APISIX", Total: traffic.DefaultTotal, Refuse: refuse}
	if !Uses(t.Routing) {
		p.Problem = path + ": the rollout has no such section"
		return p
	}
	c := t.Routing.Apisix.Route
	if c == nil || c.Name == "" {
		p.Problem = path + ".route.name: name the ApisixRoute"
		return p
	}
	d := desk{Target: t, name: c.Name, rules: c.Rules}
	if len(d.rules) == 0 {
		d.rules = []string{c.Name}
	}
	p.Problem = objects.Two(t)
	p.Objects = []objects.Object{{Kind: kind, Namespace: t.Namespace, Name: c.Name}}
	seen := map[string]bool{c.Name: true}
	for _, m := range t.Routing.ManagedRoutes {
		if seen[m.Name] {
			p.Problem = cmp.Or(p.Problem, fmt.Sprintf("spec.strategy.canary.trafficRouting.managedRoutes: %q is the ApisixRoute itself, or stands there twice", m.Name))
			continue
		}
		seen[m.Name] = true
		p.Objects = append(p.Objects, objects.Object{Kind: kind, Namespace: t.Namespace, Name: m.Name, Made: true})
	}
	p.Read = func(have []map[string]any) (traffic.Split, string) { return d.read(p, have) }
	p.Render = func(have []map[string]any, s traffic.Split, remove bool) string { return d.render(p, have, s, remove) }
	return p
}

// refuse: header routes have a form here, mirrors and experiments none.
func refuse(s traffic.Split) string {
	for _, h := range s.Headers {
		for _, m := range h.Match {
			if _, problem := expression(m); problem != "" {
				return fmt.Sprintf("route %q: %s", h.Name, problem)
			}
		}
	}
	s.Headers = nil
	return objects.WeightsOnly(s)
}

func (d desk) read(p objects.Plan, have []map[string]any) (s traffic.Split, problem string) {
	pairs, problem := d.pairs(have[0])
	if problem != "" {
		return s, p.Objects[0].Ref().String() + ": " + problem
	}
	var looks []traffic.Split
	for _, b := range pairs {
		stable, _ := traffic.Parts(b.stable["weight"])
		canary, _ := traffic.Parts(b.canary["weight"])
		looks = append(looks, traffic.Found(p.Total, traffic.Destination{Service: d.StableService}, traffic.Destination{Service: d.CanaryService}, stable, canary))
	}
	s = traffic.Widest(looks...)
	for i, object := range have[1:] {
		if object == nil || !objects.Owned(object, d.Target) {
			continue // what is not ours is nobody's header route
		}
		s.Headers = append(s.Headers, d.header(p.Objects[i+1].Name, object, have[0]))
	}
	return s, ""
}

// header reads a header route back; one that is not as it would be written is broken.
func (d desk) header(name string, object, base map[string]any) v1alpha1.SetHeaderRoute {
	claim := traffic.ClaimOn(object, d.Key())
	if len(claim.Headers) != 1 || claim.Headers[0].Name != name {
		return traffic.Broken(name)
	}
	spec, problem := d.copies(base, claim.Headers[0])
	if problem != "" || !traffic.Same(object["spec"], spec) {
		return traffic.Broken(name)
	}
	return claim.Headers[0]
}

func (d desk) render(p objects.Plan, have []map[string]any, s traffic.Split, remove bool) string {
	pairs, problem := d.pairs(have[0])
	if problem != "" && !remove {
		return p.Objects[0].Ref().String() + ": " + problem
	}
	for _, b := range pairs {
		objects.Give(b.stable, "weight", s.Weight(traffic.Stable))
		objects.Give(b.canary, "weight", s.Weight(traffic.Canary))
	}
	for i := range have[1:] {
		at := p.Objects[i+1]
		h := slices.IndexFunc(s.Headers, func(h v1alpha1.SetHeaderRoute) bool { return h.Name == at.Name })
		ours := have[i+1] == nil || objects.Owned(have[i+1], d.Target)
		switch {
		case h < 0 && ours:
			have[i+1] = nil
		case h < 0:
		case !ours:
			return fmt.Sprintf("duplicate ApisixRoute [%s] already exists: delete it, or name the managed route otherwise", at.Name)
		default:
			if have[i+1], problem = d.route(at, have[i+1], have[0], s.Headers[h]); problem != "" {
				return problem
			}
		}
	}
	return ""
}

// route is the ApisixRoute of a header route.
func (d desk) route(at objects.Object, object, base map[string]any, h v1alpha1.SetHeaderRoute) (map[string]any, string) {
	if object == nil {
		object = map[string]any{"apiVersion": kind.GroupVersion().String(), "kind": kind.Kind, "metadata": map[string]any{
			"name": at.Name, "namespace": at.Namespace, "ownerReferences": []any{objects.Owner(d.Target)}}}
	}
	spec, problem := d.copies(base, h)
	if problem != "" {
		return nil, problem
	}
	if !traffic.Same(object["spec"], spec) {
		object["spec"] = spec
	}
	return object, traffic.Claim{Headers: []v1alpha1.SetHeaderRoute{h}}.Put(object, d.Key())
}
