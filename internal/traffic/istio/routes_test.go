package istio

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

// vs builds a VirtualService web in namespace shop from its spec in YAML.
func vs(t testing.TB, spec string) *unstructured.Unstructured {
	return routertest.Object(t, "apiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\nmetadata: {name: web, namespace: shop}\nspec:\n  "+
		strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  "))
}

// target routes through one VirtualService, with managed routes hdr and mirror.
func target(s v1alpha1.IstioVirtualService) traffic.Target {
	s.Name = "web"
	return traffic.Target{
		Namespace: "shop", Name: "web", StableService: "stable", CanaryService: "canary",
		Routing: &v1alpha1.RolloutTrafficRouting{
			Istio:         &v1alpha1.IstioTrafficRouting{VirtualService: &s},
			ManagedRoutes: []v1alpha1.MangedRoutes{{Name: "hdr"}, {Name: "mirror"}},
		},
	}
}

func cluster(objects ...*unstructured.Unstructured) client.WithWatch {
	b := fake.NewClientBuilder().WithScheme(runtime.NewScheme())
	for _, u := range objects {
		b = b.WithObjects(u)
	}
	return b.Build()
}

func thirty() traffic.Split {
	return traffic.Two(100, 30, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
}

// weightsOf prints the weights of all routes: "hdr:100 primary:70,30".
func weightsOf(t *testing.T, u *unstructured.Unstructured) string {
	t.Helper()
	var texts []string
	for _, k := range []string{"http", "tls", "tcp"} {
		list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", k)
		for _, r := range objects.Entries(list) {
			name, _ := r["name"].(string)
			if name == "" {
				name = k
			}
			var ws []string
			for _, d := range objects.Entries(r["route"]) {
				b, err := (&unstructured.Unstructured{Object: map[string]any{"kind": "X", "w": d["weight"]}}).MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				ws = append(ws, strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(string(b)), `{"kind":"X","w":`), "}"))
			}
			texts = append(texts, name+":"+strings.Join(ws, ","))
		}
	}
	return strings.Join(texts, " ")
}

const pair = "route: [{destination: {host: stable}, weight: 100}, {destination: {host: canary}, weight: 0}]"

// Covers: traffic edge 159, traffic edge 165, traffic edge 167, traffic edge 168, traffic defect 27.
func TestWhichRoutesGetTheWeight(t *testing.T) {
	for name, c := range map[string]struct {
		spec string
		is   v1alpha1.IstioVirtualService
		want string
	}{
		"the only route, unnamed": {
			spec: "http: [{" + pair + "}]",
			want: "http:70,30",
		},
		"a missing weight is set": {
			spec: "http: [{route: [{destination: {host: stable}}, {destination: {host: canary}}]}]",
			want: "http:70,30",
		},
		"the only named route beside a header route: managed routes do not count": {
			spec: "http: [{name: hdr, route: [{destination: {host: canary}, weight: 100}]}, {name: primary, " + pair + "}]",
			want: "primary:70,30",
		},
		"the only route beside a mirror route: the real one follows": {
			spec: "http: [{name: mirror, " + pair + "}, {" + pair + "}]",
			want: "http:70,30",
		},
		"a managed route that is named as a route to weigh is the user's": {
			spec: "http: [{name: hdr, " + pair + "}, {name: primary, " + pair + "}]",
			is:   v1alpha1.IstioVirtualService{Routes: []string{"hdr"}},
			want: "hdr:70,30 primary:100,0",
		},
		"named routes, and no other": {
			spec: "http: [{name: a, " + pair + "}, {name: b, " + pair + "}, {name: c, " + pair + "}, {" + pair + "}, {" + pair + "}]",
			is:   v1alpha1.IstioVirtualService{Routes: []string{"c", "a"}},
			want: "a:70,30 b:100,0 c:70,30 http:100,0 http:100,0",
		},
		"all protocols that are there": {
			spec: "http: [{" + pair + "}]\ntls: [{match: [{port: 443}], " + pair + "}]\ntcp: [{" + pair + "}]",
			want: "http:70,30 tls:70,30 tcp:70,30",
		},
		"TLS by port": {
			spec: "tls: [{match: [{port: 443, sniHosts: [x]}], " + pair + "}, {match: [{port: 444, sniHosts: [y]}], " + pair + "}]",
			is:   v1alpha1.IstioVirtualService{TLSRoutes: []v1alpha1.TLSRoute{{Port: 444}}},
			want: "tls:100,0 tls:70,30",
		},
		"TLS by server names in any order": {
			spec: "tls: [{match: [{sniHosts: [b]}, {sniHosts: [a]}], " + pair + "}, {match: [{sniHosts: [a]}], " + pair + "}]",
			is:   v1alpha1.IstioVirtualService{TLSRoutes: []v1alpha1.TLSRoute{{SNIHosts: []string{"a", "b"}}}},
			want: "tls:70,30 tls:100,0",
		},
		"TLS by both; all that match": {
			spec: "tls: [{match: [{port: 443, sniHosts: [a]}], " + pair + "}, {match: [{port: 443, sniHosts: [b]}], " + pair + "}, {match: [{port: 443, sniHosts: [a]}], " + pair + "}]",
			is:   v1alpha1.IstioVirtualService{TLSRoutes: []v1alpha1.TLSRoute{{Port: 443, SNIHosts: []string{"a"}}}},
			want: "tls:70,30 tls:100,0 tls:70,30",
		},
		"TCP by port, and an HTTP redirect that is not about us": {
			spec: "http: [{redirect: {uri: /}}, {route: [{destination: {host: docs}}]}]\ntcp: [{match: [{port: 3306}], " + pair + "}, {match: [{port: 1}, {port: 3306}], " + pair + "}]",
			is:   v1alpha1.IstioVirtualService{TCPRoutes: []v1alpha1.TCPRoute{{Port: 3306}}},
			want: "http: http:null tcp:70,30 tcp:100,0",
		},
		"a foreign destination keeps its weight": {
			spec: "http: [{route: [{destination: {host: stable}, weight: 90}, {destination: {host: canary}, weight: 0}, {destination: {host: exp}, weight: 10}]}]",
			want: "http:60,30,10",
		},
		"a foreign destination that leaves too little": {
			spec: "http: [{route: [{destination: {host: stable}, weight: 20}, {destination: {host: canary}, weight: 0}, {destination: {host: exp}, weight: 80}]}]",
			want: "http:0,30,80",
		},
		"a role that is listed twice": {
			spec: "http: [{route: [{destination: {host: stable}}, {destination: {host: canary, port: {number: 1}}, weight: 5}, {destination: {host: canary, port: {number: 2}}, weight: 5}]}]",
			want: "http:70,30,0",
		},
		"a fraction is replaced": {
			spec: "http: [{route: [{destination: {host: stable}, weight: 70}, {destination: {host: canary}, weight: 29.5}]}]",
			want: "http:70,30",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := cluster(vs(t, c.spec))
			r := New(w, w, Options{})
			if _, err := r.Apply(t.Context(), target(c.is), thirty()); err != nil {
				t.Fatal(err)
			}
			got := vs(t, "{}")
			if err := w.Get(t.Context(), client.ObjectKeyFromObject(got), got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, weightsOf(t, got)); d != "" {
				t.Error(d)
			}
			o, err := r.Observe(t.Context(), target(c.is))
			if err != nil || !o.Written.Equal(thirty()) || o.Confirmed || o.Settle != defaultSettle {
				t.Errorf("observed %+v, %v", o, err)
			}
		})
	}
}

// Covers: traffic edge 159, traffic edge 160.
func TestProblems(t *testing.T) {
	const (
		name  = `spec.strategy.canary.trafficRouting.istio.virtualService.name: Invalid value: "web": `
		http  = name + "Istio VirtualService has invalid HTTP routes. Error: "
		exact = "spec.http[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.routes"
	)
	for sentence, c := range map[string]struct {
		spec string
		is   v1alpha1.IstioVirtualService
		mod  func(*traffic.Target)
		want string
	}{
		"no routes at all": {
			spec: "hosts: [x]",
			want: name + "Unable to get any of the HTTP, TCP or TLS routes for the Istio VirtualService",
		},
		"a name that is not there": {
			spec: "http: [{name: a, " + pair + "}]", is: v1alpha1.IstioVirtualService{Routes: []string{"a", "b"}},
			want: http + "HTTP Route 'b' is not found in the defined Virtual Service.",
		},
		"two routes and no name": {spec: "http: [{" + pair + "}, {" + pair + "}]", want: http + exact},
		"only managed routes":    {spec: "http: [{name: hdr, " + pair + "}]", want: http + exact},
		"two TLS routes and no choice": {
			spec: "tls: [{" + pair + "}, {" + pair + "}]",
			want: name + "Istio VirtualService has invalid TLS routes. Error: spec.tls[] should be set in VirtualService and it must have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.tlsRoutes",
		},
		"no TLS route fits": {
			spec: "tls: [{match: [{port: 1}], " + pair + "}]", is: v1alpha1.IstioVirtualService{TLSRoutes: []v1alpha1.TLSRoute{{Port: 2}}},
			want: name + "Istio VirtualService has invalid TLS routes. Error: No matching TLS routes found in the defined Virtual Service.",
		},
		"an empty TLS choice fits nothing": {
			spec: "tls: [{match: [{port: 1}], " + pair + "}]", is: v1alpha1.IstioVirtualService{TLSRoutes: []v1alpha1.TLSRoute{{}}},
			want: name + "Istio VirtualService has invalid TLS routes. Error: No matching TLS routes found in the defined Virtual Service.",
		},
		"no TCP route fits": {
			spec: "tcp: [{match: [{port: 1}], " + pair + "}]", is: v1alpha1.IstioVirtualService{TCPRoutes: []v1alpha1.TCPRoute{{Port: 2}}},
			want: name + "Istio VirtualService has invalid TCP routes. Error: No matching TCP routes found in the defined Virtual Service.",
		},
		"no canary destination": {
			spec: "http: [{route: [{destination: {host: stable}}]}]", want: http + "Canary Service 'canary' not found in route",
		},
		"no stable destination": {
			spec: "http: [{route: [{destination: {host: canary}}]}]", want: http + "Stable Service 'stable' not found in route",
		},
		"a canary of another namespace is not ours": {
			spec: "http: [{route: [{destination: {host: stable}}, {destination: {host: canary.other.svc.cluster.local}}]}]",
			want: http + "Canary Service 'canary' not found in route",
		},
		"neither VirtualService nor VirtualServices": {
			spec: "http: [{" + pair + "}]",
			mod:  func(t *traffic.Target) { t.Routing.Istio.VirtualService = nil },
			want: "spec.strategy.canary.trafficRouting.istio: Internal error: either VirtualService or VirtualServices must be configured",
		},
		"both VirtualService and VirtualServices": {
			spec: "http: [{" + pair + "}]",
			mod: func(t *traffic.Target) {
				t.Routing.Istio.VirtualServices = []v1alpha1.IstioVirtualService{{Name: "web"}}
			},
			want: "spec.strategy.canary.trafficRouting.istio: Internal error: either VirtualService or VirtualServices must be configured",
		},
		"no Services in host mode": {
			spec: "http: [{" + pair + "}]", mod: func(t *traffic.Target) { t.CanaryService = "" },
			want: "Canary service and Stable service must to be set to use Traffic Routing",
		},
		"a subset is not in the route": {
			spec: "http: [{route: [{destination: {host: web, subset: stable}}, {destination: {host: other, subset: canary}}]}]", mod: withRule("canary", "stable"),
			want: http + "Canary DestinationRule subset 'canary' not found in route",
		},
		"a subset is not in the rule": {
			spec: "http: [{route: [{destination: {host: web, subset: stable}}, {destination: {host: web, subset: next}}]}]", mod: withRule("next", "stable"),
			want: `DestinationRule/shop/web has no subset "next": add it to spec.subsets`,
		},
		"one subset for both": {
			spec: "http: [{" + pair + "}]", mod: withRule("stable", "stable"),
			want: `spec.strategy.canary.trafficRouting.istio.destinationRule.canarySubsetName: Invalid value: "stable": is the stable subset too, but two different subsets are required`,
		},
		"the rule is another rollout's": {
			spec: "http: [{route: [{destination: {host: web, subset: stable}}, {destination: {host: web, subset: canary}}]}]",
			mod: func(t *traffic.Target) {
				withRule("canary", "stable")(t)
				t.Routing.Istio.DestinationRule.Name = "theirs"
			},
			want: `DestinationRule/shop/theirs is managed by another Rollout, "api": give each Rollout a DestinationRule of its own, or remove the annotation argo-rollouts.argoproj.io/managed-by-rollouts`,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			theirs := routertest.Object(t, rule)
			theirs.SetName("theirs")
			theirs.SetAnnotations(map[string]string{v1alpha1.ManagedByAnnotation: "api"})
			w := cluster(vs(t, c.spec), routertest.Object(t, rule), theirs)
			r := New(w, w, Options{})
			tg := target(c.is)
			if c.mod != nil {
				c.mod(&tg)
			}
			o, err := r.Observe(t.Context(), tg)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, o.Problem); d != "" {
				t.Error(d)
			}
			written, err := r.Apply(t.Context(), tg, thirty())
			if err == nil || err.Error() != c.want || len(written) != 0 {
				t.Errorf("apply wrote %v, error %v", written, err)
			}
			got := vs(t, "{}")
			if err := w.Get(t.Context(), client.ObjectKeyFromObject(got), got); err != nil {
				t.Fatal(err)
			}
			if got.GetResourceVersion() != "999" {
				t.Error("the VirtualService was touched")
			}
			if _, err := r.Apply(t.Context(), tg, traffic.Split{}); err != nil {
				t.Errorf("the zero split must let go of a broken object: %v", err)
			}
		})
	}
}

func withRule(canary, stable string) func(*traffic.Target) {
	return func(t *traffic.Target) {
		t.Routing.Istio.DestinationRule = &v1alpha1.IstioDestinationRule{Name: "web", CanarySubsetName: canary, StableSubsetName: stable}
	}
}

func TestRoutesThatDifferNeedCapacityForBoth(t *testing.T) {
	w := cluster(vs(t, "http: [{name: a, route: [{destination: {host: stable}, weight: 95}, {destination: {host: canary}, weight: 5}]}, "+
		"{name: b, route: [{destination: {host: stable}, weight: 50}, {destination: {host: canary}, weight: 50}]}]"))
	o, err := New(w, w, Options{}).Observe(t.Context(), target(v1alpha1.IstioVirtualService{Routes: []string{"a", "b"}}))
	if err != nil {
		t.Fatal(err)
	}
	if st, ca := o.Written.Weight(traffic.Stable), o.Written.Weight(traffic.Canary); st != 95 || ca != 50 {
		t.Errorf("got %d and %d, want 95 and 50", st, ca)
	}
}

// Covers: traffic defect 29.
func TestHostsAreComparedByFullName(t *testing.T) {
	for host, want := range map[string]string{
		"web": "web.shop", "WEB": "web.shop", "web.shop": "web.shop", "web.shop.svc": "web.shop",
		"web.shop.svc.cluster.local": "web.shop", "web.shop.svc.cluster.local.": "web.shop", "web.other": "web.other",
		"web.shop.example.com": "web.shop.example.com", "www.example.com": "www.example.com",
	} {
		if got := full(host, "shop"); got != want {
			t.Errorf("%q is %q, want %q", host, got, want)
		}
	}
}

func TestVirtualServiceNames(t *testing.T) {
	for in, want := range map[string][2]string{
		"web": {"web", ""}, "web.edge": {"web", "edge"}, "a.b.edge": {"a.b", "edge"},
		"web.edge.svc.cluster.local": {"web", "edge"}, "web.svc.cluster.local": {"web", ""}, "": {"", ""},
	} {
		if name, ns := split(in); name != want[0] || ns != want[1] {
			t.Errorf("%q is %q in %q, want %v", in, name, ns, want)
		}
	}
}

func TestObjectsToWatch(t *testing.T) {
	ref := func(kind, ns, name string) traffic.Ref {
		return traffic.Ref{Group: "networking.istio.io", Kind: kind, Namespace: ns, Name: name}
	}
	twice := hostTarget()
	twice.Routing.Istio.VirtualServices = append(twice.Routing.Istio.VirtualServices, v1alpha1.IstioVirtualService{Name: "web.shop"})
	for name, c := range map[string]struct {
		target traffic.Target
		want   []traffic.Ref
	}{
		"each VirtualService once": {twice, []traffic.Ref{ref("VirtualService", "shop", "web"), ref("VirtualService", "edge", "web")}},
		"and the DestinationRule":  {subsetTarget(), []traffic.Ref{ref("VirtualService", "shop", "web"), ref("DestinationRule", "shop", "web")}},
		"none without Istio":       {traffic.Target{Routing: &v1alpha1.RolloutTrafficRouting{}}, nil},
		"none without routing":     {traffic.Target{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Objects(c.target); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if Uses(c.target.Routing) != (c.want != nil) {
				t.Error("Uses does not agree")
			}
		})
	}
}

func TestTheAPIVersionIsAnOption(t *testing.T) {
	u := vs(t, "http: [{"+pair+"}]")
	u.SetAPIVersion("networking.istio.io/v1")
	w := cluster(u)
	o := Options{APIVersion: "v1"}
	if _, err := New(w, w, o).Apply(t.Context(), target(v1alpha1.IstioVirtualService{}), thirty()); err != nil {
		t.Error(err)
	}
	if got := o.Kinds(subsetTarget())[1].String(); got != "networking.istio.io/v1, Kind=DestinationRule" {
		t.Error(got)
	}
}

func TestWithoutSubsetsNoDestinationRuleIsWatched(t *testing.T) {
	for sentence, c := range map[string]struct {
		target traffic.Target
		want   string
	}{
		"by Services": {hostTarget(), "[networking.istio.io/v1alpha3, Kind=VirtualService]"},
		"by subsets":  {subsetTarget(), "[networking.istio.io/v1alpha3, Kind=VirtualService networking.istio.io/v1alpha3, Kind=DestinationRule]"},
	} {
		if got := fmt.Sprint(Options{}.Kinds(c.target)); got != c.want {
			t.Errorf("%s: %s", sentence, got)
		}
	}
}
