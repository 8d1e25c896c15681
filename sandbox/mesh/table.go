package mesh

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Reason tells why the gateway answered itself, or lost a mirrored request.
type Reason string

// Every reason. The empty Reason means that a pod answered.
const (
	NoRoute      Reason = "no_route"      // 404: no route or Service for this request
	NoEndpoints  Reason = "no_endpoints"  // 503: no ready pod
	NoService    Reason = "no_service"    // 503, for HTTPRoute 500: the Service does not exist
	NoPort       Reason = "no_port"       // 503, for HTTPRoute 500: the Service has no such port
	NoSubset     Reason = "no_subset"     // 503: no DestinationRule has the subset
	ZeroWeight   Reason = "zero_weight"   // 503, for HTTPRoute 500: all weights are 0
	NotPermitted Reason = "not_permitted" // 500: a backend in another namespace (HTTPRoute, Traefik)
	Unsupported  Reason = "unsupported"   // 500: the route asks for what the gateway cannot do
	NoListener   Reason = "no_listener"   // 503: the pod's address leads to no listener
	Unreachable  Reason = "unreachable"   // 503: the connection failed or broke
	ClientLeft   Reason = "client_left"   // 499: the client did not wait for the answer
	NotReady     Reason = "not_ready"     // 503: the gateway has not read the cluster yet
	MirrorLost   Reason = "mirror_lost"   // a mirrored request was not sent: too many, or too large
)

// Applied names one version of an object that the gateway follows.
type Applied struct {
	Kind, Namespace, Name string
	ResourceVersion       string
	Generation            int64
}

// Table is all routing at one moment. It is immutable but for the counters by
// which its routes choose.
type Table struct {
	hosts     map[string]*host
	wildcards []*host // longest first; "*" is last
	reports   []routeReport
	problems  []string
	memory    memory
}

type host struct {
	name    string // as "web.example" or the suffix ".example" of "*.example"
	routes  []route
	applied []Applied
}

type route struct {
	matches []match // any of them; none means every request
	target  *target
}

// target is where a route sends requests.
type target struct {
	name         string
	picker       *picker
	destinations []*destination
	mirrors      []mirror
	refusal      // instead of destinations
}

// refusal is an answer by the gateway itself; status 0 means none.
type refusal struct {
	status int
	reason Reason
}

// destination is a Service, or a subset of it, at one port.
type destination struct {
	service, subset string
	ready           []endpoint
	cursor          *cursor
	mirrors         []mirror // of the requests that are sent here
	refusal
}

type mirror struct {
	*destination
	share *percentage
}

// builder makes one Table.
type builder struct {
	*registry
	before memory
	table  *Table
	bare   map[string]string // bare name → the namespace that has it
}

// Build makes the Table for objects. The previous one, or nil, only gives its
// counters. What cannot be understood is left out and named in Problems.
func Build(o Objects, previous *Table) *Table {
	b := &builder{registry: newRegistry(o), table: &Table{hosts: map[string]*host{}, memory: memory{}}, bare: map[string]string{}}
	if previous != nil {
		b.before = previous.memory
	}
	for _, text := range o.Unread {
		b.problem("%s", text)
	}
	b.addVirtualServices(o.VirtualServices)
	b.addHTTPRoutes(o.HTTPRoutes)
	b.addIngresses(o.Ingresses)
	b.addIngressRoutes(o.IngressRoutes, o.TraefikServices)
	b.addTrafficSplits(o.TrafficSplits)
	b.addServices()
	slices.SortFunc(b.table.wildcards, func(x, y *host) int {
		return cmp.Or(cmp.Compare(len(y.name), len(x.name)), cmp.Compare(x.name, y.name))
	})
	return b.table
}

// Problems tells what in the objects was not understood, sorted.
func (t *Table) Problems() []string { return slices.Clone(t.problems) }

// Applied lists the objects, in the versions that requests to a host follow.
func (t *Table) Applied(hostname string) []Applied {
	if h := t.host(strings.ToLower(hostname)); h != nil {
		return slices.Clone(h.applied)
	}
	return nil
}

func (t *Table) host(name string) *host {
	if h := t.hosts[name]; h != nil {
		return h
	}
	for _, h := range t.wildcards {
		if strings.HasSuffix(name, h.name) && len(name) > len(h.name) {
			return h
		}
	}
	return nil
}

// find returns the target for a request and the host under which it is
// counted, which is "" for a host that nothing names.
func (t *Table) find(r *request) (*target, string) {
	h := t.host(r.host)
	if h == nil {
		return nil, ""
	}
	for _, route := range h.routes {
		if len(route.matches) == 0 {
			return route.target, r.host
		}
		for _, m := range route.matches {
			if m.holds(r) {
				return route.target, r.host
			}
		}
	}
	return nil, r.host
}

// pick chooses the destination of the next request.
func (t *target) pick() *destination { return t.destinations[t.picker.next()] }

// claim returns the host of a name, new or that of an earlier route. A bare
// name belongs to the first namespace that claims it with a route; a second
// one makes it a problem, because it would silently get the other's traffic.
func (b *builder) claim(name, namespace string) *host {
	name = strings.ToLower(name)
	if !strings.Contains(name, ".") && name != "*" {
		if owner, taken := b.bare[name]; taken && owner != namespace {
			b.problem("host %q of namespace %s is taken by namespace %s", name, namespace, owner)
			return nil
		}
		b.bare[name] = namespace
	}
	suffix, wild := strings.CutPrefix(name, "*")
	if !wild {
		if b.table.hosts[name] == nil {
			b.table.hosts[name] = &host{name: name}
		}
		return b.table.hosts[name]
	}
	for _, h := range b.table.wildcards {
		if h.name == suffix {
			return h
		}
	}
	h := &host{name: suffix}
	b.table.wildcards = append(b.table.wildcards, h)
	return h
}

func (h *host) add(routes []route, applied ...Applied) {
	h.routes = append(h.routes, routes...)
	for _, a := range applied {
		if !slices.Contains(h.applied, a) {
			h.applied = append(h.applied, a)
		}
	}
}

// addServices lets every Service be asked for by its name where no route says
// otherwise. Bare names that two namespaces have are left out.
func (b *builder) addServices() {
	count := map[string]int{}
	for key := range b.services {
		count[key.Name]++
	}
	for _, key := range sortedKeys(b.services) {
		s := b.services[key]
		if len(s.Spec.Ports) == 0 {
			continue
		}
		name := "Service " + key.String()
		d, _ := b.destination(name, key, "", key.Namespace, 0)
		t := &target{name: name, picker: newPicker([]int64{1}), destinations: []*destination{d}}
		for i, alias := range aliases(key) {
			if b.table.hosts[alias] == nil && (i > 0 || count[key.Name] == 1) {
				b.table.hosts[alias] = &host{name: alias, routes: []route{{target: t}}, applied: []Applied{version("Service", s)}}
			}
		}
	}
}

// destination resolves one destination of a route. The objects that it rests
// on are returned with it.
func (b *builder) destination(routeName string, key types.NamespacedName, subset, from string, portNumber int32) (*destination, []Applied) {
	d := &destination{service: key.String(), subset: subset}
	s := b.services[key]
	if s == nil {
		d.refusal = refusal{http.StatusServiceUnavailable, NoService}
		return d, nil
	}
	applied := []Applied{version("Service", s)}
	port, found := s.port(portNumber)
	if !found {
		d.refusal = refusal{http.StatusServiceUnavailable, NoPort}
		return d, applied
	}
	d.ready = s.ready[port.Name]
	if subset != "" {
		labels, rule := b.subset(from, key, subset)
		if rule == nil {
			d.ready, d.refusal = nil, refusal{http.StatusServiceUnavailable, NoSubset}
			return d, applied
		}
		applied = append(applied, version("DestinationRule", rule))
		d.ready = slices.DeleteFunc(slices.Clone(d.ready), func(e endpoint) bool { return !hasLabels(e.labels, labels) })
	}
	if len(d.ready) == 0 {
		d.refusal = refusal{http.StatusServiceUnavailable, NoEndpoints}
	}
	d.cursor = keep(b.before, b.table.memory, fmt.Sprintf("cursor %s %s %s %d", routeName, key, subset, portNumber), func() *cursor { return &cursor{} })
	return d, applied
}

// weigh gives a target its picker; without any weight it refuses.
func (b *builder) weigh(t *target, weights []int64, status int) {
	t.picker = keep(b.before, b.table.memory, fmt.Sprintf("picker %s %v", t.name, weights), func() *picker { return newPicker(weights) })
	if t.picker == nil {
		t.refusal = refusal{status, ZeroWeight}
	}
}

// share gives a mirror its percentage.
func (b *builder) share(routeName string, index int, percent float64) *percentage {
	key := fmt.Sprintf("mirror %s %d %v", routeName, index, percent)
	return keep(b.before, b.table.memory, key, func() *percentage { return newPercentage(percent) })
}

func (b *builder) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if i, found := slices.BinarySearch(b.table.problems, text); !found {
		b.table.problems = slices.Insert(b.table.problems, i, text)
	}
}

func version(kind string, o metav1.Object) Applied {
	return Applied{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName(), ResourceVersion: o.GetResourceVersion(), Generation: o.GetGeneration()}
}

// byAge puts the oldest object first, as both APIs do to settle conflicts.
func byAge(a, b *metav1.ObjectMeta) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
