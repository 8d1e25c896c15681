package gatewayapi

import (
	"math/rand/v2"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

const grpc = `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: web, namespace: shop, generation: 3, labels: {team: a}, annotations: {note: keep}}
spec:
  hostnames: [rpc.example]
  future: {field: [1, 2.5, null, {x: true}]}
  rules:
  - name: preview
    matches: [{headers: [{name: x-preview, value: "1"}]}]
    backendRefs: [{name: canary, port: 80}]
  - matches: [{method: {type: Exact, service: shop.Cart, future: 1}, headers: [{name: x-rule, value: a}]}, {method: {method: Get}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-debug]}}]
    backendRefs:
    - {name: stable, port: 80, weight: 100, filters: []}
    - {group: "", kind: Service, name: canary, port: 80, weight: 0}
    - {name: legacy, port: 80, weight: 25}
    - {name: canary, namespace: other, port: 80, weight: 0}
  - sessionPersistence: {sessionName: a}
    backendRefs:
    - {name: canary, namespace: shop, port: 81, weight: 0}
    - {name: stable, port: 81, weight: 100}
`

// connections is a TCPRoute, and with other words a TLSRoute.
const connections = `
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: web, namespace: shop, generation: 3, labels: {team: a}, annotations: {note: keep}}
spec:
  parentRefs: [{name: public, namespace: infra, sectionName: db}]
  future: {field: [1, 2.5, null, {x: true}]}
  rules:
  - name: preview
    backendRefs: [{name: canary, port: 5432}]
  - name: hdr
    backendRefs: [{name: canary, port: 5432}]
  - future: 3s
    backendRefs:
    - {name: stable, port: 5432, weight: 100}
    - {group: "", kind: Service, name: canary, port: 5432, weight: 0}
    - {name: legacy, port: 5432, weight: 25}
    - {name: canary, namespace: other, port: 5432, weight: 0}
  - backendRefs:
    - {name: canary, namespace: shop, port: 81, weight: 0}
    - {name: stable, port: 81, weight: 100}
`

var tls = strings.ReplaceAll(connections, "TCPRoute", "TLSRoute")

// contract is a world of routes.
type contract struct {
	section string
	objects []string
	shapes  []string // kinds, each with a route web, and the last with a route api
}

var contracts = map[string]contract{
	"HTTPRoutes": {`{httpRoute: web, httpRoutes: [{name: web}, {name: api}]}`, []string{web, api}, []string{"HTTPRoute"}},
	"GRPCRoutes": {`{grpcRoute: web, grpcRoutes: [{name: api}]}`, []string{grpc, strings.ReplaceAll(api, "HTTPRoute", "GRPCRoute")}, []string{"GRPCRoute"}},
	"TCPRoutes":  {`{tcpRoute: web, tcpRoutes: [{name: api, useHeaderRoutes: true}]}`, []string{connections, other(api, "TCPRoute")}, []string{"TCPRoute"}},
	"TLSRoutes":  {`{tlsRoutes: [{name: web}], tlsRoute: api}`, []string{tls, other(api, "TLSRoute")}, []string{"TLSRoute"}},
	"all kinds at once": {
		`{tcpRoutes: [{name: web, useHeaderRoutes: true}], httpRoutes: [{name: web}], grpcRoute: web, tlsRoutes: [{name: web}, {name: api}]}`,
		[]string{connections, web, grpc, tls, other(api, "TLSRoute")}, []string{"TCPRoute", "HTTPRoute", "GRPCRoute", "TLSRoute"},
	},
}

// other is an HTTPRoute's text, made one of a kind that is served in its first version.
func other(text, kind string) string {
	return strings.NewReplacer("HTTPRoute", kind, "k8s.io/v1", "k8s.io/v1alpha2").Replace(text)
}

func kindNamed(name string) *kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic(name)
}

func (c contract) shape(rnd *rand.Rand) (list []*unstructured.Unstructured) {
	r := shaper{rnd}
	for _, name := range c.shapes {
		list = append(list, r.route(kindNamed(name), "web"))
	}
	return append(list, r.route(kindNamed(c.shapes[len(c.shapes)-1]), "api"))
}

func (c contract) fixture(t *testing.T) routertest.Fixture {
	f := fixture(t, c.section)
	f.Objects = nil
	for _, text := range c.objects {
		f.Objects = append(f.Objects, routertest.Object(t, text))
	}
	f.Shape = c.shape
	f.Headers = strings.Contains(c.section, "http") || strings.Contains(c.section, "grpc")
	f.Mirrors = f.Headers
	if strings.Contains(c.section, "grpc") { // gRPC knows no other method
		post := v1alpha1.StringMatch{Exact: "POST"}
		f.Matches = []v1alpha1.RouteMatch{{Method: &post}, {
			Method: &post, Path: &v1alpha1.StringMatch{Prefix: "/cart"},
			Headers: map[string]v1alpha1.StringMatch{"x-beta": {Exact: "1"}, "x-team": {Prefix: "a"}},
		}}
	}
	return f
}

// Covers: traffic edge 186.
func TestContractOfEachKind(t *testing.T) {
	for name, c := range contracts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			routertest.Run(t, c.fixture(t))
		})
	}
}

func TestHeaderRoutesStandOnTheKindsThatTakeThem(t *testing.T) {
	for section, want := range map[string]map[string]int{
		`{httpRoute: web, grpcRoute: web, tcpRoute: web, tlsRoute: web}`:                           {"HTTPRoute": 3, "GRPCRoute": 3, "TCPRoute": 1, "TLSRoute": 1},
		`{httpRoutes: [{name: web}], grpcRoute: web, tcpRoute: web}`:                               {"HTTPRoute": 2, "GRPCRoute": 3, "TCPRoute": 1},
		`{httpRouteSelector: {}, grpcRoutes: [{name: web, useHeaderRoutes: true}], tlsRoute: web}`: {"HTTPRoute": 2, "GRPCRoute": 3, "TLSRoute": 1},
	} {
		t.Run(section, func(t *testing.T) {
			var all []*unstructured.Unstructured
			for name := range want {
				all = append(all, routeOf(t, kindNamed(name), "web", pair))
			}
			w := cluster(all...)
			r := New(w, w, Options{})
			s := withMirrors(t, withHeaders(t, at(30), betaUsers), "[{name: copy, match: [{method: {exact: POST}}]}]")
			apply(t, r, target(section), at(10), s)
			for name, n := range want {
				if got, _ := rulesOf(t, w, kindNamed(name), "web", " []"); len(got.([]any)) != n {
					t.Errorf("a %s has %d rules, want %d", name, len(got.([]any)), n)
				}
			}
			if written, err := r.Apply(t.Context(), target(section), s); err != nil || len(written) != 0 {
				t.Errorf("a second apply wrote %v, %v", written, err)
			}
			apply(t, r, target(section), at(30))
		})
	}
	w := cluster(routeOf(t, kindNamed("HTTPRoute"), "web", pair), routeOf(t, kindNamed("GRPCRoute"), "web", pair))
	_, err := New(w, w, Options{}).Apply(t.Context(), target(`{httpRoutes: [{name: web}], grpcRouteSelector: {}, tcpRoute: web}`), withHeaders(t, at(30), betaUsers))
	if want := "set useHeaderRoutes in httpRoutes or grpcRoutes, or name the object in httpRoute or grpcRoute"; err == nil || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}

func TestEachKindIsConfirmedByItsParents(t *testing.T) {
	for _, k := range kinds {
		u := routeOf(t, k, "web", pair)
		tg := target("{" + k.section + "Selector: {}}")
		for _, c := range []struct {
			generation int
			status     string
			confirmed  bool
			problem    string
		}{{3, "True", true, ""}, {2, "True", false, ""}, {3, "False", false, k.name + "/shop/web: Gateway gw says ResolvedRefs is False, Because: it is so"}} {
			text := "status: {parents: [{parentRef: {name: gw}, conditions: [" + condition("Accepted", "True", 3) + ", " + condition("ResolvedRefs", c.status, c.generation) + "]}]}"
			u.Object["status"] = routertest.Object(t, "apiVersion: v1\nkind: X\n"+text).Object["status"]
			w := cluster(u.DeepCopy())
			o, err := New(w, w, Options{}).Observe(t.Context(), tg)
			if err != nil || o.Confirmed != c.confirmed || o.Problem != c.problem {
				t.Errorf("%s: observed %+v, %v", k.name, o, err)
			}
		}
	}
}

func TestOneSilentKindKeepsTheOthersFromBeingConfirmed(t *testing.T) {
	http := route(t, healthy, "status: {parents: [{parentRef: {name: gw}, conditions: ["+condition("Accepted", "True", 3)+", "+condition("ResolvedRefs", "True", 3)+"]}]}")
	w := cluster(http, routeOf(t, kindNamed("TCPRoute"), "web", pair))
	for section, want := range map[string]bool{`{httpRoute: web}`: true, `{httpRoute: web, tcpRoute: web}`: false} {
		if o, err := New(w, w, Options{}).Observe(t.Context(), target(section)); err != nil || o.Confirmed != want {
			t.Errorf("%s: observed %+v, %v", section, o, err)
		}
	}
}

// served is a cluster's answer to which versions of a kind it has.
func served(list ...string) meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for _, l := range list {
		kind, version, _ := strings.Cut(l, " ")
		m.Add(schema.GroupVersionKind{Group: group, Version: version, Kind: kind}, meta.RESTScopeNamespace)
	}
	return m
}

func TestKindsToWatch(t *testing.T) {
	old := served("HTTPRoute v1", "HTTPRoute v1beta1", "TCPRoute v1alpha2", "TLSRoute v1alpha2", "TLSRoute v1alpha3")
	fresh := served("HTTPRoute v1", "GRPCRoute v1", "TCPRoute v1", "TCPRoute v1alpha2", "TLSRoute v1", "TLSRoute v1alpha3")
	for sentence, c := range map[string]struct {
		section string
		mapper  meta.RESTMapper
		want    string
	}{
		"only what the section tells of":         {`{httpRoute: web}`, old, "HTTPRoute v1"},
		"a kind by selector":                     {`{grpcRouteSelector: {}}`, fresh, "GRPCRoute v1"},
		"a kind that is not served is asked for": {`{grpcRoutes: [{name: web}], tcpRoute: web}`, served(), "GRPCRoute v1, TCPRoute v1alpha2"},
		"the newest version that is served":      {`{tlsRoute: web, tcpRoute: web, httpRoutes: [{name: a}, {name: b}]}`, old, "HTTPRoute v1, TCPRoute v1alpha2, TLSRoute v1alpha3"},
		"the newest version of all":              {`{tlsRoute: web, tcpRoute: web}`, fresh, "TCPRoute v1, TLSRoute v1"},
		"the published version by default":       {`{tlsRoute: web, tcpRoute: web}`, nil, "TCPRoute v1alpha2, TLSRoute v1alpha2"},
		"nothing for nothing":                    {`{}`, fresh, ""},
	} {
		var list []string
		for _, k := range (Options{Mapper: c.mapper}).Kinds(target(c.section)) {
			list = append(list, k.Kind+" "+k.Version)
		}
		if got := strings.Join(list, ", "); got != c.want {
			t.Errorf("%s: %s, want %s", sentence, got, c.want)
		}
	}
}

func TestTheVersionThatIsServedIsReadAndWritten(t *testing.T) {
	u := routeOf(t, kindNamed("TLSRoute"), "web", pair)
	u.SetAPIVersion(group + "/v1alpha3")
	w := cluster(u)
	r := New(w, w, Options{Mapper: served("TLSRoute v1alpha3", "TLSRoute v1alpha2")})
	for _, section := range []string{`{tlsRoute: web}`, `{tlsRouteSelector: {}}`} {
		apply(t, r, target(section), at(20), at(40))
	}
}

func TestObjectsOfSeveralKinds(t *testing.T) {
	section := `{httpRoute: web, grpcRoutes: [{name: web}], tcpRouteSelector: {}, tlsRouteSelector: {}, tlsRoute: db, namespace: infra}`
	var list []string
	for _, r := range Objects(target(section)) {
		list = append(list, r.String())
	}
	if got, want := strings.Join(list, " "), "HTTPRoute/infra/web GRPCRoute/infra/web TLSRoute/infra/db TCPRoute/infra/ TLSRoute/infra/"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
