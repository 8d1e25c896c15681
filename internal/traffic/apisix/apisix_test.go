package apisix

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

const web = `
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: web, namespace: shop, labels: {team: a}, annotations: {note: keep}}
spec:
  ingressClassName: apisix
  future: [1, null]
  http:
  - name: other
    backends: [{serviceName: stable, servicePort: 80, weight: 7}, {serviceName: canary, servicePort: 80, weight: 3}]
  - name: main
    priority: 4
    timeout: {connect: 1s}
    match:
      hosts: [a.example]
      paths: [/*]
      exprs: [{subject: {scope: Cookie, name: c}, op: Equal, value: v}]
    backends:
    - {serviceName: legacy, servicePort: 80, weight: 25}
    - {serviceName: stable, servicePort: 80, weight: 100}
    - {serviceName: canary, servicePort: 81, weight: 0}
  - name: second
    match: {paths: [/two]}
    backends: [{serviceName: canary, servicePort: http, weight: 0}, {serviceName: stable, servicePort: http, weight: 100}]
`

func target(rules ...string) traffic.Target {
	return traffic.Target{Namespace: "shop", Name: "web", UID: "u-1", StableService: "stable", CanaryService: "canary", Routing: &v1alpha1.RolloutTrafficRouting{
		Apisix:        &v1alpha1.ApisixTrafficRouting{Route: &v1alpha1.ApisixRoute{Name: "web", Rules: rules}},
		ManagedRoutes: []v1alpha1.MangedRoutes{{Name: "hdr-a"}, {Name: "hdr-b"}, {Name: "hdr-c"}}}}
}

func made(name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kind)
	u.SetNamespace("shop")
	u.SetName(name)
	return u
}

// each calls do for the weighed backends of the rules main and second.
func each(u *unstructured.Unstructured, do func(map[string]any)) {
	d := desk{Target: target(), rules: []string{"main", "second"}}
	pairs, _ := d.pairs(u.Object)
	for _, p := range pairs {
		do(p.stable)
		do(p.canary)
	}
}

func fixture(t testing.TB) routertest.Fixture {
	return routertest.Fixture{
		New:     func(r client.Reader, w client.Client) traffic.Router { return New(r, w, Options{}) },
		Target:  target("main", "second"),
		Objects: []*unstructured.Unstructured{routertest.Object(t, web)},
		Makes:   []*unstructured.Unstructured{made("hdr-a"), made("hdr-b"), made("hdr-c")},
		Headers: true,
		Mask:    func(u *unstructured.Unstructured) { each(u, func(b map[string]any) { delete(b, "weight") }) },
		Drift: func(u *unstructured.Unstructured) {
			if u.GetName() != "web" {
				unstructured.RemoveNestedField(u.Object, "spec", "http")
			}
			each(u, func(b map[string]any) { b["weight"] = int64(1) })
		},
		Shape: shape,
	}
}

// shape is an ApisixRoute with foreign rules and backends anywhere.
func shape(r *rand.Rand) []*unstructured.Unstructured {
	backend := func(service string, weight int64) map[string]any {
		return map[string]any{"serviceName": service, "servicePort": int64(80), "weight": weight}
	}
	var rules []any
	for _, name := range []string{"x", "main", "y", "second"} {
		list := []any{backend("stable", 100), backend("canary", 0)}
		if r.IntN(2) == 0 {
			list[0], list[1] = list[1], list[0]
		}
		if r.IntN(2) == 0 {
			list = append(list, backend("legacy", r.Int64N(50)))
		}
		rule := map[string]any{"name": name, "backends": list}
		if r.IntN(2) == 0 {
			rule["match"] = map[string]any{"paths": []any{"/*"}}
		}
		if r.IntN(3) == 0 {
			rule["priority"] = r.Int64N(5)
		}
		rules = append(rules, rule)
	}
	u := made("web")
	u.Object["spec"] = map[string]any{"http": rules}
	return []*unstructured.Unstructured{u}
}

// Covers: traffic defect 30, traffic defect 36.
func TestContract(t *testing.T) { routertest.Run(t, fixture(t)) }

func clusterOf(objects ...client.Object) client.Client {
	return fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithObjects(objects...).Build()
}

func text(v v1alpha1.StringMatch) *v1alpha1.StringMatch { return &v }

// Covers: traffic edge 184, traffic defect 34.
func TestAHeaderRoute(t *testing.T) {
	cluster, at := clusterOf(routertest.Object(t, web)), target("main")
	r := New(cluster, cluster, Options{})
	s := traffic.Two(100, 5, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
	s.Headers = []v1alpha1.SetHeaderRoute{{Name: "hdr-a", Match: []v1alpha1.HeaderRoutingMatch{
		{HeaderName: "x-beta", HeaderValue: text(v1alpha1.StringMatch{Exact: "1"})}, {HeaderName: "x-agent", HeaderValue: text(v1alpha1.StringMatch{Prefix: "a.b"})}}}}
	if _, err := r.Apply(t.Context(), at, s); err != nil {
		t.Fatal(err)
	}
	u := made("hdr-a")
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
		t.Fatal(err)
	}
	want := routertest.Object(t, `
apiVersion: v1
kind: List
metadata: {name: x}
spec:
  ingressClassName: apisix
  http:
  - name: main
    priority: 5
    timeout: {connect: 1s}
    match:
      hosts: [a.example]
      paths: [/*]
      exprs: [{subject: {scope: Cookie, name: c}, op: Equal, value: v}, {subject: {scope: Header, name: x-beta}, op: Equal, value: "1"}]
    backends: [{serviceName: canary, servicePort: 81, weight: 100}]
  - name: main-1
    priority: 5
    timeout: {connect: 1s}
    match:
      hosts: [a.example]
      paths: [/*]
      exprs: [{subject: {scope: Cookie, name: c}, op: Equal, value: v}, {subject: {scope: Header, name: x-agent}, op: RegexMatch, value: '^a\.b.*'}]
    backends: [{serviceName: canary, servicePort: 81, weight: 100}]
`)
	if d := cmp.Diff(want.Object["spec"], u.Object["spec"]); d != "" {
		t.Error(d)
	}
	if o := u.GetOwnerReferences(); len(o) != 1 || o[0].UID != "u-1" || o[0].Kind != "Rollout" {
		t.Errorf("owners %v", o)
	}
	s.Headers = nil
	if _, err := r.Apply(t.Context(), at, s); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(u), u); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("without a match it stays: %v", err)
	}
}

// Covers: traffic edge 183, traffic edge 184.
func TestWhatCannotCarryASplit(t *testing.T) {
	plain := traffic.Two(100, 5, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
	routed := plain
	routed.Headers = []v1alpha1.SetHeaderRoute{{Name: "hdr-a", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x", HeaderValue: text(v1alpha1.StringMatch{Exact: "1"})}}}}
	hollow := plain
	hollow.Headers = []v1alpha1.SetHeaderRoute{{Name: "hdr-a", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x"}}}}
	for name, c := range map[string]struct {
		objects []client.Object
		change  func(*traffic.Target)
		split   traffic.Split
		want    string
	}{
		"no list":                   {[]client.Object{routertest.Object(t, strings.Replace(web, "  http:", "  https:", 1))}, nil, plain, "spec.http was not found in Apisix Route manifest"},
		"no such rule":              {[]client.Object{routertest.Object(t, web)}, func(t *traffic.Target) { t.Routing.Apisix.Route.Rules = []string{"x"} }, plain, "Apisix http route rule x not found"},
		"the route's own name":      {[]client.Object{routertest.Object(t, web)}, func(t *traffic.Target) { t.Routing.Apisix.Route.Rules = nil }, plain, "Apisix http route rule web not found"},
		"no canary":                 {[]client.Object{routertest.Object(t, strings.ReplaceAll(web, "serviceName: canary", "serviceName: x"))}, nil, plain, "apisix route canary backend was not found"},
		"no stable":                 {[]client.Object{routertest.Object(t, strings.ReplaceAll(web, "serviceName: stable", "serviceName: x"))}, nil, plain, "apisix route stable backend was not found"},
		"no backends":               {[]client.Object{routertest.Object(t, strings.Replace(web, "    backends:\n", "    ends:\n", 1))}, nil, plain, "Apisix http route backends not found"},
		"a foreign header route":    {[]client.Object{routertest.Object(t, web), made("hdr-a")}, nil, routed, "duplicate ApisixRoute [hdr-a] already exists"},
		"a header without a value":  {[]client.Object{routertest.Object(t, web)}, nil, hollow, "header x has no value to compare with"},
		"no name":                   {nil, func(t *traffic.Target) { t.Routing.Apisix.Route = nil }, plain, path + ".route.name: name the ApisixRoute"},
		"a managed route of itself": {nil, func(t *traffic.Target) { t.Routing.ManagedRoutes[0].Name = "web" }, plain, `managedRoutes: "web" is the ApisixRoute itself`},
	} {
		t.Run(name, func(t *testing.T) {
			at := target("main")
			if c.change != nil {
				c.change(&at)
			}
			cluster := clusterOf(c.objects...)
			if _, err := New(cluster, cluster, Options{}).Apply(t.Context(), at, c.split); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("apply: %v", err)
			}
			if written, err := New(cluster, cluster, Options{}).Apply(t.Context(), at, traffic.Split{}); err != nil || len(written) > 1 {
				t.Errorf("remove: %v %v", written, err)
			}
		})
	}
	if got := Objects(target()); len(got) != 4 || Objects(traffic.Target{}) != nil || len(Options{}.Kinds(traffic.Target{})) != 1 {
		t.Errorf("objects %v", got)
	}
}

// FuzzReadAndRender: whatever the route is, nothing panics, and a split that could be written
// is read back.
func FuzzReadAndRender(f *testing.F) {
	f.Add([]byte(`{"http":[{"name":"main","backends":[{"serviceName":"stable"},{"serviceName":"canary"}]}]}`), int32(5), "x")
	f.Add([]byte(`{"http":[1,{"name":7},{"name":"main","backends":{}}]}`), int32(-1), "")
	f.Fuzz(func(t *testing.T, raw []byte, weight int32, value string) {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(append([]byte(`{"apiVersion":"apisix.apache.org/v2","kind":"ApisixRoute","metadata":{"name":"web"},"spec":`), append(raw, '}')...)) != nil {
			return
		}
		p := planOf(target("main"))
		want := traffic.Two(100, weight, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
		want.Headers = []v1alpha1.SetHeaderRoute{{Name: "hdr-b", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x", HeaderValue: text(v1alpha1.StringMatch{Prefix: value})}}}}
		have := []map[string]any{u.Object, nil, nil, nil}
		if p.Refuse(want) != "" || p.Render(have, want, false) != "" {
			return
		}
		if got, problem := p.Read(have); problem != "" || !got.Equal(want) {
			t.Errorf("%s gave %s %s, want %s", raw, fmt.Sprint(got), problem, want)
		}
	})
}
