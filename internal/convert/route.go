package convert

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// gatewayPlugin is the published key of the Gateway API router.
const gatewayPlugin = "argoproj-labs/gatewayAPI"

// preferred are the kinds of routes, the most exact first.
var preferred = []string{"HTTPRoute", "VirtualService", "Ingress"}

// route is the one that leads to a Service, nil for none. Of several it is the first by kind
// and name.
func (m *making) route(service string) *unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for _, u := range m.Routes {
		if slices.Contains(preferred, u.GetKind()) && u.GetNamespace() == m.Input.Deployment.Namespace && len(entries(u, service)) > 0 {
			all = append(all, u)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return slices.MinFunc(all, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(slices.Index(preferred, a.GetKind()), slices.Index(preferred, b.GetKind())), cmp.Compare(a.GetName(), b.GetName()))
	})
}

// entry is a rule of a route with one destination, the Service.
type entry struct {
	rule map[string]any
	// field holds the rule's destinations, of which only is the only one.
	field string
	only  map[string]any
}

// entries are the rules of a route that lead to a Service and nowhere else.
func entries(u *unstructured.Unstructured, service string) (found []entry) {
	at := func(rules []any, field string, leads func(d map[string]any) bool) {
		for _, r := range rules {
			rule, _ := r.(map[string]any)
			list, _ := rule[field].([]any)
			if len(list) != 1 {
				continue
			}
			if d, is := list[0].(map[string]any); is && leads(d) {
				found = append(found, entry{rule, field, d})
			}
		}
	}
	switch u.GetKind() {
	case "HTTPRoute":
		rules, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "rules")
		list, _ := rules.([]any)
		at(list, "backendRefs", func(d map[string]any) bool {
			kind, _ := d["kind"].(string)
			return d["name"] == service && d["namespace"] == nil && (kind == "" || kind == "Service")
		})
	case "VirtualService":
		rules, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "http")
		list, _ := rules.([]any)
		at(list, "route", func(d map[string]any) bool {
			host, _, _ := unstructured.NestedString(d, "destination", "host")
			subset, _, _ := unstructured.NestedString(d, "destination", "subset")
			short, _, _ := strings.Cut(host, ".")
			return subset == "" && (host == service || short == service && strings.HasPrefix(host, service+"."+u.GetNamespace()))
		})
	case "Ingress":
		rules, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "rules")
		list, _ := rules.([]any)
		for _, r := range list {
			rule, _ := r.(map[string]any)
			paths, _, _ := unstructured.NestedFieldNoCopy(rule, "http", "paths")
			all, _ := paths.([]any)
			for _, p := range all {
				path, _ := p.(map[string]any)
				if name, _, _ := unstructured.NestedString(path, "backend", "service", "name"); name == service {
					found = append(found, entry{only: path})
				}
			}
		}
	}
	return found
}

// routed lets a route divide the requests, and reports whether there is one that can.
func (m *making) routed(c *v1alpha1.CanaryStrategy, s *corev1.Service) bool {
	u := m.route(s.Name)
	if u == nil {
		return false
	}
	routing := &v1alpha1.RolloutTrafficRouting{}
	canary := beside(s, s.Name+"-canary")
	switch u.GetKind() {
	case "HTTPRoute":
		section := map[string]string{"httpRoute": u.GetName()}
		if u.GetNamespace() != "" {
			section["namespace"] = u.GetNamespace()
		}
		raw, err := json.Marshal(section)
		if err != nil {
			return false
		}
		routing.Plugins = map[string]json.RawMessage{gatewayPlugin: raw}
		m.second(u, s.Name, func(only map[string]any) map[string]any {
			only["name"] = canary.Name
			return only
		})
	case "VirtualService":
		routing.Istio = &v1alpha1.IstioTrafficRouting{VirtualService: &v1alpha1.IstioVirtualService{Name: u.GetName(), Routes: m.routeNames(u, s.Name)}}
		m.second(u, s.Name, func(only map[string]any) map[string]any {
			destination := only["destination"].(map[string]any) // entries found its host
			destination["host"] = strings.Replace(destination["host"].(string), s.Name, canary.Name, 1)
			return only
		})
	case "Ingress":
		if class := classOf(u); class != "nginx" {
			m.note("Ingress %s is of class %q, which gives no shares by itself here: for AWS write trafficRouting.alb, see docs/traffic.md.", u.GetName(), class)
			return false
		}
		routing.Nginx = &v1alpha1.NginxTrafficRouting{StableIngress: u.GetName()}
	}
	c.TrafficRouting, c.StableService, c.CanaryService = routing, s.Name, canary.Name
	m.out.Objects = slices.Insert(m.out.Objects, 0, runtime.Object(canary)) // before the route that names it
	m.note("%s %s divides the requests between Service %s and the new Service %s.", u.GetKind(), u.GetName(), s.Name, canary.Name)
	return true
}

// routeNames are the names of a VirtualService's rules, where it takes names to tell them.
func (m *making) routeNames(u *unstructured.Unstructured, service string) (names []string) {
	for _, e := range entries(u, service) {
		if name, _ := e.rule["name"].(string); name != "" {
			names = append(names, name)
		} else {
			names = nil
			break
		}
	}
	rules, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "http")
	if list, _ := rules.([]any); names == nil && len(list) > 1 {
		m.note("VirtualService %s has several rules without names: name those that lead to Service %s, and list them in trafficRouting.istio.virtualService.routes.", u.GetName(), service)
	}
	return names
}

// second adds the canary, with weight 0, to a copy of the route.
func (m *making) second(u *unstructured.Unstructured, service string, canary func(only map[string]any) map[string]any) {
	changed := u.DeepCopy()
	for _, field := range []string{"uid", "resourceVersion", "managedFields", "creationTimestamp", "generation", "selfLink"} {
		unstructured.RemoveNestedField(changed.Object, "metadata", field)
	}
	changed.SetAnnotations(people(changed.GetAnnotations()))
	delete(changed.Object, "status")
	for _, e := range entries(changed, service) {
		other := canary((&unstructured.Unstructured{Object: e.only}).DeepCopy().Object)
		e.only["weight"], other["weight"] = int64(100), int64(0)
		e.rule[e.field] = []any{e.only, other}
	}
	m.out.Objects = append(m.out.Objects, changed)
}

// classOf is the class of an Ingress: from its field, or the older annotation.
func classOf(u *unstructured.Unstructured) string {
	class, _, _ := unstructured.NestedString(u.Object, "spec", "ingressClassName")
	return cmp.Or(class, u.GetAnnotations()["kubernetes.io/ingress.class"])
}
