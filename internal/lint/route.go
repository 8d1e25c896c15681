package lint

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	istioGroup   = "networking.istio.io"
	ingressGroup = "networking.k8s.io"
	gatewayGroup = "gateway.networking.k8s.io"
	gatewayAPI   = "argoproj-labs/gatewayAPI"
)

// routeRef is an object with routes that a Rollout names. check says what does not fit in
// it, "" for nothing; nil asks nothing.
type routeRef struct {
	group, kind, name, path string
	check                   func(tree map[string]any) string
}

func routeRefs(o *object) (all []routeRef) {
	r, is := o.typed.(*v1alpha1.Rollout)
	if !is || r.Spec.Strategy.Canary == nil || r.Spec.Strategy.Canary.TrafficRouting == nil {
		return nil
	}
	c, tr := r.Spec.Strategy.Canary, r.Spec.Strategy.Canary.TrafficRouting
	const root = "spec.strategy.canary.trafficRouting."
	if i := tr.Istio; i != nil {
		all = append(all, istioRefs(o, i, root+"istio.")...)
	}
	ingress := func(path, name string) {
		all = append(all, routeRef{ingressGroup, "Ingress", name, root + path, nil})
	}
	if n := tr.Nginx; n != nil {
		for i, name := range n.StableIngresses {
			ingress(fmt.Sprintf("nginx.stableIngresses[%d]", i), name)
		}
		ingress("nginx.stableIngress", n.StableIngress)
		for i := range all {
			if all[i].kind == "Ingress" {
				all[i].check = leadsTo(c.StableService, c.PingPong == nil)
			}
		}
	}
	if a := tr.ALB; a != nil {
		for i, name := range a.Ingresses {
			ingress(fmt.Sprintf("alb.ingresses[%d]", i), name)
		}
		ingress("alb.ingress", a.Ingress)
	}
	var plugin struct {
		HTTPRoute  string                  `json:"httpRoute"`
		HTTPRoutes []struct{ Name string } `json:"httpRoutes"`
	}
	if json.Unmarshal(tr.Plugins[gatewayAPI], &plugin) == nil {
		at := root + "plugins[" + gatewayAPI + "]."
		all = append(all, routeRef{gatewayGroup, "HTTPRoute", plugin.HTTPRoute, at + "httpRoute", nil})
		for i, one := range plugin.HTTPRoutes {
			all = append(all, routeRef{gatewayGroup, "HTTPRoute", one.Name, fmt.Sprintf("%shttpRoutes[%d]", at, i), nil})
		}
	}
	return slices.DeleteFunc(all, func(r routeRef) bool { return r.name == "" })
}

func istioRefs(o *object, i *v1alpha1.IstioTrafficRouting, root string) (all []routeRef) {
	add := func(path string, vs v1alpha1.IstioVirtualService) {
		all = append(all, routeRef{istioGroup, "VirtualService", local(vs.Name, o.namespace), root + path, namesOf("http", vs.Routes, "HTTP Route '%s' is not found in the defined Virtual Service.")})
	}
	if i.VirtualService != nil {
		add("virtualService", *i.VirtualService)
	}
	for n, vs := range i.VirtualServices {
		add(fmt.Sprintf("virtualServices[%d]", n), vs)
	}
	if d := i.DestinationRule; d != nil {
		all = append(all, routeRef{istioGroup, "DestinationRule", d.Name, root + "destinationRule",
			namesOf("subsets", []string{d.CanarySubsetName, d.StableSubsetName}, "subset '%s' is not in the DestinationRule")})
	}
	return all
}

// namesOf looks for entries by their names in a list of the spec.
func namesOf(list string, names []string, format string) func(map[string]any) string {
	return func(tree map[string]any) string {
		entries, _ := at(tree, "spec", list).([]any)
		for _, name := range names {
			if !slices.ContainsFunc(entries, func(e any) bool { return at(e, "name") == name }) {
				return fmt.Sprintf(format, name)
			}
		}
		return ""
	}
}

// leadsTo asks for a backend with this Service.
func leadsTo(service string, asked bool) func(map[string]any) string {
	return func(tree map[string]any) string {
		if !asked || service == "" {
			return ""
		}
		rules, _ := at(tree, "spec", "rules").([]any)
		for _, rule := range rules {
			paths, _ := at(rule, "http", "paths").([]any)
			for _, p := range paths {
				if at(p, "backend", "service", "name") == service || at(p, "backend", "serviceName") == service {
					return ""
				}
			}
		}
		return fmt.Sprintf("ingress has no rules using service %s backend", service)
	}
}

func checkRoutes(s *set, o *object, add report) {
	for _, ref := range routeRefs(o) {
		to := s.named(o, ref.group, ref.kind, ref.name)
		if to == nil || ref.check == nil {
			continue
		}
		if text := ref.check(to.tree); text != "" {
			add(ref.path, fmt.Sprintf("%s: Invalid value: %q: %s", ref.path, ref.name, text), "")
		}
	}
}
