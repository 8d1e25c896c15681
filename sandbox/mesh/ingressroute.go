package mesh

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// traefikRouter is one route of an IngressRoute.
type traefikRouter struct {
	rule
	route
	priority int64 // greater goes first
	applied  []Applied
	claimed  []*host
}

// addIngressRoutes gives every host that a rule names all rules that may hold
// for it, by priority.
func (b *builder) addIngressRoutes(all []IngressRoute, services []TraefikService) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(x, y IngressRoute) int { return byAge(&x.ObjectMeta, &y.ObjectMeta) })
	traefik := traefikServices{builder: b, byName: map[types.NamespacedName]*TraefikService{}}
	for i := range services {
		s := &services[i]
		traefik.byName[types.NamespacedName{Namespace: s.Namespace, Name: s.Name}] = s
	}
	var routers []traefikRouter
	hosts := map[*host]bool{}
	for i := range all {
		for _, r := range traefik.routers(&all[i]) {
			names := r.hosts
			if r.anyHost {
				names = []string{"*"}
			}
			for _, name := range names {
				if h := b.claim(name, all[i].Namespace); h != nil {
					r.claimed, hosts[h] = append(r.claimed, h), true
				}
			}
			routers = append(routers, r)
		}
	}
	slices.SortStableFunc(routers, func(x, y traefikRouter) int { return cmp.Compare(y.priority, x.priority) })
	for h := range hosts {
		for _, r := range routers {
			if r.anyHost || slices.Contains(r.claimed, h) {
				h.add([]route{r.route}, r.applied...)
			}
		}
	}
}

func (s traefikServices) routers(ir *IngressRoute) (all []traefikRouter) {
	for index, r := range ir.Spec.Routes {
		t := &target{name: fmt.Sprintf("IngressRoute %s/%s routes[%d]", ir.Namespace, ir.Name, index)}
		compiled, err := compileRule(r.Match)
		if err == nil && r.Kind != "" && r.Kind != "Rule" {
			err = fmt.Errorf("kind %q is unknown", r.Kind)
		}
		if err != nil {
			s.problem("%s: %v", t.name, err)
			continue
		}
		// Without a priority the longest rule goes first, as with Traefik.
		router := traefikRouter{rule: compiled, priority: cmp.Or(r.Priority, int64(len(r.Match)))}
		router.applied = append([]Applied{version("IngressRoute", ir)}, s.fill(t, r.Services, ir.Namespace)...)
		for name, raw := range map[string][]byte{"middlewares": r.Middlewares, "parentRefs": ir.Spec.ParentRefs} {
			if present(raw) {
				s.problem("%s: %s is not supported", t.name, name)
				t.refusal = refusal{http.StatusInternalServerError, Unsupported}
			}
		}
		router.route = route{matches: []match{{compiled.holds}}, target: t}
		all = append(all, router)
	}
	return all
}
