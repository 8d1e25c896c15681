package mesh

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	// nginxClass is the class whose Ingresses are followed; those of another
	// class are somebody else's.
	nginxClass = "nginx"
	// classAnnotation goes before spec.ingressClassName.
	classAnnotation = "kubernetes.io/ingress.class"
	nginxPrefix     = "nginx.ingress.kubernetes.io/"
)

// nginxUnsupported are annotations that change where a request goes or what it
// asks for.
var nginxUnsupported = []string{"app-root", "permanent-redirect", "rewrite-target", "temporal-redirect", "use-regex"}

// place is what a canary Ingress has to share with another one.
type place struct {
	host, path string
	kind       networkingv1.PathType // "" is the default backend
}

// location is one path of one Ingress.
type location struct {
	place
	ingress *networkingv1.Ingress
	backend networkingv1.IngressBackend
}

func (l location) String() string {
	return fmt.Sprintf("Ingress %s/%s %s%s", l.ingress.Namespace, l.ingress.Name, l.host, l.path)
}

// addIngresses follows Ingresses as ingress-nginx does: of two with the same
// place the older one has it, and a canary shares the place of another one.
func (b *builder) addIngresses(all []*networkingv1.Ingress) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(x, y *networkingv1.Ingress) int { return byAge(&x.ObjectMeta, &y.ObjectMeta) })
	var order []location
	mains, canaries := map[place]location{}, map[place]location{}
	for _, ingress := range all {
		if !b.nginxFollows(ingress) {
			continue
		}
		_, isCanary := b.canaryOf(ingress)
		for _, l := range locationsOf(ingress) {
			taken := mains
			if isCanary {
				taken = canaries
			}
			if older, found := taken[l.place]; found {
				b.problem("%s: %s is older and has this place", l, older)
				continue
			}
			if taken[l.place] = l; !isCanary {
				order = append(order, l)
			}
		}
	}
	ranked := map[*host][]rankedRoute{}
	for _, l := range order {
		h := b.claim(l.host, l.ingress.Namespace)
		if h == nil {
			continue
		}
		canary, found := canaries[l.place]
		delete(canaries, l.place)
		routes, applied := b.ingressRoutes(l, canary, found)
		h.add(nil, applied...)
		ranked[h] = append(ranked[h], routes...)
	}
	addRanked(ranked)
	for _, l := range canaries {
		b.problem("%s: it is a canary of no other Ingress", l)
	}
}

func (b *builder) nginxFollows(ingress *networkingv1.Ingress) bool {
	if class, found := ingress.Annotations[classAnnotation]; found {
		return class == nginxClass
	}
	if ingress.Spec.IngressClassName == nil {
		b.problem("Ingress %s/%s: it has no class, so nobody follows it", ingress.Namespace, ingress.Name)
		return false
	}
	return *ingress.Spec.IngressClassName == nginxClass
}

// locationsOf lists the paths. The default backend has what no path of a host
// takes; without rules that is every host.
func locationsOf(ingress *networkingv1.Ingress) (all []location) {
	var hosts []string
	for _, rule := range ingress.Spec.Rules {
		name := strings.ToLower(rule.Host)
		if name == "" {
			name = "*"
		}
		hosts = append(hosts, name)
		if rule.HTTP == nil {
			continue
		}
		for _, p := range rule.HTTP.Paths {
			kind := networkingv1.PathTypeImplementationSpecific
			if p.PathType != nil {
				kind = *p.PathType
			}
			path := p.Path
			if path == "" {
				path = "/"
			}
			all = append(all, location{place{name, path, kind}, ingress, p.Backend})
		}
	}
	if ingress.Spec.DefaultBackend == nil {
		return all
	}
	if len(hosts) == 0 {
		hosts = []string{"*"}
	}
	slices.Sort(hosts)
	for _, name := range slices.Compact(hosts) {
		all = append(all, location{place{host: name}, ingress, *ingress.Spec.DefaultBackend})
	}
	return all
}

// compile translates a place. Ranks are those of HTTPRoutes; a default backend
// comes last.
func (p place) compile() (m httpMatch, err error) {
	switch p.kind {
	case "":
		m.rank[0] = -1
	case networkingv1.PathTypeImplementationSpecific: // a location of nginx: any prefix
		holds := hasPrefix(p.path)
		m.match = match{func(r *request) bool { return holds(r.URL.Path) }}
		m.rank[1] = len(p.path)
	default:
		kind := gatewayv1.PathMatchType(p.kind) // Exact, or Prefix by another name
		if p.kind == networkingv1.PathTypePrefix {
			kind = gatewayv1.PathMatchPathPrefix
		}
		err = m.addPath(&gatewayv1.HTTPPathMatch{Type: &kind, Value: &p.path})
	}
	if suffix, wild := strings.CutPrefix(p.host, "*."); wild {
		m.match = append(m.match, func(r *request) bool {
			label, _, _ := strings.Cut(r.host, ".")
			return r.host == label+"."+suffix // one label, unlike other wildcards
		})
	}
	return m, err
}

// ingressRoutes are the routes of a location, those for headers of its canary
// in front.
func (b *builder) ingressRoutes(l, canary location, shared bool) (routes []rankedRoute, applied []Applied) {
	compiled, err := l.compile()
	if err != nil {
		b.problem("%s: %v", l, err)
		return nil, nil
	}
	applied = []Applied{version("Ingress", l.ingress)}
	if shared {
		applied = append(applied, version("Ingress", canary.ingress))
	}
	add := func(name string, precedence int, when match, main, other int64) {
		t := &target{name: l.String() + name}
		to, on := b.ingressBackend(t.name, l)
		weights := []int64{main}
		t.destinations, applied = append(t.destinations, to), append(applied, on...)
		if other > 0 {
			to, on := b.ingressBackend(t.name, canary)
			t.destinations, applied, weights = append(t.destinations, to), append(applied, on...), append(weights, other)
		}
		b.weigh(t, weights, http.StatusServiceUnavailable)
		if refused := b.nginxRefusal(l); refused.status != 0 {
			t.refusal = refused
		}
		r := rankedRoute{route{matches: []match{append(slices.Clone(compiled.match), when...)}, target: t}, compiled.rank}
		r.rank[2] = precedence
		routes = append(routes, r)
	}
	if !shared {
		add("", 0, nil, 1, 0)
		return routes, applied
	}
	c, _ := b.canaryOf(canary.ingress)
	if c.always != nil {
		add(" "+c.header, 2, match{c.headerHolds(c.always)}, 0, 1)
	}
	if c.never != nil {
		add(" "+c.header+" never", 1, match{c.headerHolds(c.never)}, 1, 0)
	}
	add("", 0, nil, c.total-c.weight, c.weight)
	return routes, applied
}

func (b *builder) nginxRefusal(l location) (r refusal) {
	for _, name := range nginxUnsupported {
		if _, found := l.ingress.Annotations[nginxPrefix+name]; found {
			b.problem("%s: annotation %s is not supported", l, name)
			r = refusal{http.StatusInternalServerError, Unsupported}
		}
	}
	return r
}

func (b *builder) ingressBackend(routeName string, l location) (*destination, []Applied) {
	s := l.backend.Service
	if s == nil {
		b.problem("%s: the backend is not a Service", l)
		return &destination{refusal: refusal{http.StatusServiceUnavailable, NoService}}, nil
	}
	key := types.NamespacedName{Namespace: l.ingress.Namespace, Name: s.Name}
	port := intstr.FromInt32(s.Port.Number)
	if s.Port.Name != "" {
		port = intstr.FromString(s.Port.Name)
	}
	return b.destination(routeName, key, "", key.Namespace, b.portNumber(key, port))
}
