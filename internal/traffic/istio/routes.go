package istio

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// protocol is one of the three lists of routes of a VirtualService.
type protocol struct{ key, title, option string }

var (
	http = protocol{"http", "HTTP", "routes"}
	tls  = protocol{"tls", "TLS", "tlsRoutes"}
	tcp  = protocol{"tcp", "TCP", "tcpRoutes"}
)

// weighed are the routes that carry the split, all of them and the HTTP ones alone. They are
// the object's own maps, not copies.
type weighed struct{ all, http []map[string]any }

// chosen returns the routes of a VirtualService that carry the split, or what is wrong
// with it.
//
// Managed routes never count: a header route that is there for one step must not change
// which route the weights go to. Every protocol that the object has takes part; one that
// the rollout leaves out while it names another takes part only if it mentions us.
func chosen(object map[string]any, s service, p place) (routes weighed, problem string) {
	lists := map[string][]map[string]any{}
	for _, k := range []protocol{http, tls, tcp} {
		v, _, _ := unstructured.NestedFieldNoCopy(object, "spec", k.key)
		lists[k.key] = objects.Entries(v)
	}
	if len(lists["http"])+len(lists["tls"])+len(lists["tcp"]) == 0 {
		return weighed{}, s.invalid("Unable to get any of the HTTP, TCP or TLS routes for the Istio VirtualService")
	}
	lists["http"] = slices.DeleteFunc(lists["http"], func(r map[string]any) bool {
		_, ours := p.isManaged(s, r)
		return ours
	})
	named := len(s.spec.Routes)+len(s.spec.TLSRoutes)+len(s.spec.TCPRoutes) > 0
	for _, k := range []struct {
		protocol
		n    int
		pick func([]map[string]any) ([]map[string]any, string)
	}{
		{http, len(s.spec.Routes), func(l []map[string]any) ([]map[string]any, string) { return byName(l, s.spec.Routes) }},
		{tls, len(s.spec.TLSRoutes), func(l []map[string]any) ([]map[string]any, string) { return byTLS(l, s.spec.TLSRoutes) }},
		{tcp, len(s.spec.TCPRoutes), func(l []map[string]any) ([]map[string]any, string) { return byTCP(l, s.spec.TCPRoutes) }},
	} {
		list := lists[k.key]
		v, _, _ := unstructured.NestedFieldNoCopy(object, "spec", k.key)
		if k.n == 0 && (len(objects.Entries(v)) == 0 || named && !slices.ContainsFunc(list, p.mentions)) {
			continue
		}
		found, problem := k.pick(list)
		if k.n == 0 {
			found, problem = only(list, k.protocol)
		}
		for _, r := range found {
			if problem == "" {
				problem = p.lacks(r)
			}
		}
		if problem != "" {
			return weighed{}, s.invalid(fmt.Sprintf("Istio VirtualService has invalid %s routes. Error: %s", k.title, problem))
		}
		routes.all = append(routes.all, found...)
		if k.protocol == http {
			routes.http = found
		}
	}
	return routes, ""
}

// only takes the one route that there is.
func only(list []map[string]any, k protocol) ([]map[string]any, string) {
	if len(list) != 1 {
		return nil, fmt.Sprintf("spec.%s[] should be set in VirtualService and it must have exactly one route when omitting "+
			"spec.strategy.canary.trafficRouting.istio.virtualService.%s", k.key, k.option)
	}
	return list, ""
}

func byName(list []map[string]any, names []string) (picked []map[string]any, problem string) {
	for _, name := range names {
		if !slices.ContainsFunc(list, func(r map[string]any) bool { return r["name"] == name }) {
			return nil, fmt.Sprintf("HTTP Route '%s' is not found in the defined Virtual Service.", name)
		}
	}
	for _, r := range list {
		if name, ok := r["name"].(string); ok && slices.Contains(names, name) {
			picked = append(picked, r)
		}
	}
	return picked, ""
}

func byTLS(list []map[string]any, wanted []v1alpha1.TLSRoute) (picked []map[string]any, problem string) {
	return matching(list, tls, len(wanted), func(i int, r map[string]any) bool {
		w := wanted[i]
		return (w.Port != 0 || len(w.SNIHosts) > 0) &&
			(w.Port == 0 || slices.Equal(ports(r), []int64{w.Port})) &&
			(len(w.SNIHosts) == 0 || slices.Equal(hosts(r), set(w.SNIHosts)))
	})
}

func byTCP(list []map[string]any, wanted []v1alpha1.TCPRoute) (picked []map[string]any, problem string) {
	return matching(list, tcp, len(wanted), func(i int, r map[string]any) bool {
		return slices.Equal(ports(r), []int64{wanted[i].Port})
	})
}

// matching takes every route that one of n wishes fits; each wish must fit some route.
func matching(list []map[string]any, k protocol, n int, fits func(int, map[string]any) bool) (picked []map[string]any, problem string) {
	met := make([]bool, n)
	for _, r := range list {
		take := false
		for i := range n {
			if fits(i, r) {
				met[i], take = true, true
			}
		}
		if take {
			picked = append(picked, r)
		}
	}
	if slices.Contains(met, false) {
		return nil, fmt.Sprintf("No matching %s routes found in the defined Virtual Service.", k.title)
	}
	return picked, ""
}

// lacks names the destination that the route does not have.
func (p place) lacks(route map[string]any) (problem string) {
	for _, d := range []side{p.canary, p.stable} {
		if slices.ContainsFunc(objects.Entries(route["route"]), func(r map[string]any) bool { return p.is(d, asMap(r["destination"])) }) {
			continue
		}
		if p.rule != nil {
			return fmt.Sprintf("%s DestinationRule subset '%s' not found in route", d.title, d.subset)
		}
		return fmt.Sprintf("%s Service '%s' not found in route", d.title, d.service)
	}
	return ""
}

// mentions reports whether the route sends anything to one of our destinations.
func (p place) mentions(route map[string]any) bool {
	return slices.ContainsFunc(objects.Entries(route["route"]), func(r map[string]any) bool {
		d := asMap(r["destination"])
		return p.is(p.stable, d) || p.is(p.canary, d)
	})
}

// ports lists the distinct ports that the route's match blocks name.
func ports(route map[string]any) []int64 {
	var found []int64
	for _, m := range objects.Entries(route["match"]) {
		switch v := m["port"].(type) {
		case int64:
			found = append(found, v)
		case float64:
			found = append(found, int64(v))
		}
	}
	return set(found)
}

// hosts lists the distinct server names that the route's match blocks name.
func hosts(route map[string]any) []string {
	var found []string
	for _, m := range objects.Entries(route["match"]) {
		list, _ := m["sniHosts"].([]any)
		for _, h := range list {
			if s, ok := h.(string); ok {
				found = append(found, s)
			}
		}
	}
	return set(found)
}

func set[T int64 | string](list []T) []T {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
