package nginx

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

// web has everything that made the published controller stumble: a rule without http, a
// path with a resource for its backend.
const web = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop, labels: {team: a}, annotations: {kubernetes.io/ingress.class: nginx, note: keep}}
spec:
  ingressClassName: nginx
  defaultBackend: {service: {name: sorry, port: {number: 80}}}
  tls: [{hosts: [a.example], secretName: cert}]
  rules:
  - host: only.example
  - host: a.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: stable, port: {number: 80}}}}
      - {path: /static, pathType: Prefix, backend: {service: {name: static, port: {number: 80}}}}
      - {path: /files, pathType: Prefix, backend: {resource: {apiGroup: x.example, kind: Bucket, name: b}}}
  - host: other.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: other, port: {number: 80}}}}]}
`

const api = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: api, namespace: shop}
spec:
  rules:
  - http: {paths: [{path: /api, pathType: Exact, backend: {service: {name: stable, port: {name: http}}}}]}
`

func target(c v1alpha1.NginxTrafficRouting) traffic.Target {
	return traffic.Target{Namespace: "shop", Name: "web", UID: "u-1", StableService: "stable", CanaryService: "canary", Routing: &v1alpha1.RolloutTrafficRouting{
		Nginx: &c, ManagedRoutes: []v1alpha1.MangedRoutes{{Name: "a"}, {Name: "b"}, {Name: "c"}}}}
}

func made(name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(ingress)
	u.SetNamespace("shop")
	u.SetName(name)
	return u
}

// drift changes a weight, and of a stable Ingress what the canary one is made of.
func drift(u *unstructured.Unstructured) {
	if strings.HasSuffix(u.GetName(), suffix) {
		notes := u.GetAnnotations()
		for k := range notes {
			if strings.HasSuffix(k, weightKey) {
				notes[k] = "50"
			}
		}
		u.SetAnnotations(notes)
		return
	}
	if err := unstructured.SetNestedSlice(u.Object, []any{map[string]any{"hosts": []any{"b.example"}}}, "spec", "tls"); err != nil {
		panic(err)
	}
}

func fixture(t testing.TB, c v1alpha1.NginxTrafficRouting) routertest.Fixture {
	return routertest.Fixture{
		New:     func(r client.Reader, w client.Client) traffic.Router { return New(r, w, Options{}) },
		Target:  target(c),
		Objects: []*unstructured.Unstructured{routertest.Object(t, web), routertest.Object(t, api)},
		Makes:   []*unstructured.Unstructured{made("web-web-canary"), made("web-api-canary")},
		Mask:    func(*unstructured.Unstructured) {}, Drift: drift,
		Shape: func(r *rand.Rand) []*unstructured.Unstructured {
			return []*unstructured.Unstructured{shape(r, "web"), shape(r, "api")}
		},
	}
}

// shape is an Ingress that leads to stable somewhere.
func shape(r *rand.Rand, name string) *unstructured.Unstructured {
	u := made(name)
	lead := func(service string) map[string]any {
		return map[string]any{"path": fmt.Sprint("/", r.IntN(9)), "pathType": "Prefix", "backend": map[string]any{"service": map[string]any{"name": service, "port": map[string]any{"number": int64(80)}}}}
	}
	var rules []any
	for i := range 1 + r.IntN(3) {
		paths := []any{lead("other")}
		if i == 0 || r.IntN(2) == 0 {
			paths = append(paths, lead("stable"))
		}
		if r.IntN(3) == 0 {
			paths = append(paths, map[string]any{"path": "/r", "backend": map[string]any{"resource": map[string]any{"kind": "B"}}})
		}
		rule := map[string]any{"http": map[string]any{"paths": paths}}
		if r.IntN(2) == 0 {
			rule["host"] = fmt.Sprintf("h%d.example", i)
		}
		rules = append(rules, rule)
	}
	if r.IntN(3) == 0 {
		rules = append(rules, map[string]any{"host": "bare.example"})
	}
	u.Object["spec"] = map[string]any{"rules": rules}
	if r.IntN(2) == 0 {
		u.SetAnnotations(map[string]string{classKey: "nginx", "note": "keep"})
	}
	return u
}

func TestContract(t *testing.T) {
	for name, c := range map[string]v1alpha1.NginxTrafficRouting{
		"by names": {StableIngresses: []string{"web", "api"}},
		"with annotations": {StableIngresses: []string{"web", "api"}, AnnotationPrefix: "mine.example",
			AdditionalIngressAnnotations: map[string]string{"canary-by-header": "x"}, CanaryIngressAnnotations: map[string]string{"a": "b"}},
	} {
		t.Run(name, func(t *testing.T) { routertest.Run(t, fixture(t, c)) })
	}
}

func TestContractWithMaxTrafficWeight(t *testing.T) {
	f := fixture(t, v1alpha1.NginxTrafficRouting{StableIngresses: []string{"web", "api"}})
	f.Total, f.Shape = 1000, nil
	f.Target.Routing.MaxTrafficWeight = &f.Total
	routertest.Run(t, f)
}

// canary applies a weight and returns the canary Ingress of web.
func canary(t *testing.T, cluster client.Client, at traffic.Target, weight int32) *unstructured.Unstructured {
	t.Helper()
	total := traffic.DefaultTotal
	if m := at.Routing.MaxTrafficWeight; m != nil {
		total = *m
	}
	s := traffic.Two(total, weight, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
	if _, err := New(cluster, cluster, Options{}).Apply(t.Context(), at, s); err != nil {
		t.Fatal(err)
	}
	u := made("web-web-canary")
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
		t.Fatal(err)
	}
	return u
}

func clusterOf(objects ...client.Object) client.Client {
	return fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithObjects(objects...).Build()
}

// Covers: traffic edge 171.
func TestTheCanaryIngress(t *testing.T) {
	u := canary(t, clusterOf(routertest.Object(t, web)), target(v1alpha1.NginxTrafficRouting{StableIngress: "web"}), 10)
	u.SetResourceVersion("")
	want := routertest.Object(t, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web-web-canary
  namespace: shop
  annotations:
    kubernetes.io/ingress.class: nginx
    nginx.ingress.kubernetes.io/canary: "true"
    nginx.ingress.kubernetes.io/canary-weight: "10"
    penstock.io/traffic: '{"shop/web":{"rules":["kubernetes.io/ingress.class","nginx.ingress.kubernetes.io/canary","nginx.ingress.kubernetes.io/canary-weight"]}}'
  ownerReferences: [{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web, uid: u-1, controller: true, blockOwnerDeletion: true}]
spec:
  ingressClassName: nginx
  tls: [{hosts: [a.example], secretName: cert}]
  rules:
  - host: a.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: canary, port: {number: 80}}}}]}
`)
	if d := cmp.Diff(want.Object, u.Object); d != "" {
		t.Error(d)
	}
}

// Covers: traffic edge 172.
func TestAWeightChangesOneAnnotation(t *testing.T) {
	cluster, at := clusterOf(routertest.Object(t, web)), target(v1alpha1.NginxTrafficRouting{StableIngress: "web"})
	before := canary(t, cluster, at, 10)
	after := canary(t, cluster, at, 15)
	notes := before.GetAnnotations()
	notes["nginx.ingress.kubernetes.io/canary-weight"] = "15"
	before.SetAnnotations(notes)
	before.SetResourceVersion(after.GetResourceVersion())
	delete(after.Object, "status") // the fake cluster adds one
	if d := cmp.Diff(before.Object, after.Object); d != "" {
		t.Error(d)
	}
	most := int32(200)
	at.Routing.MaxTrafficWeight = &most
	if got := canary(t, cluster, at, 15).GetAnnotations()["nginx.ingress.kubernetes.io/canary-weight-total"]; got != "200" {
		t.Errorf("total %q", got)
	}
	at.Routing.MaxTrafficWeight = nil
	if got, there := canary(t, cluster, at, 15).GetAnnotations()["nginx.ingress.kubernetes.io/canary-weight-total"]; there {
		t.Errorf("the total stays: %q", got)
	}
}

// Covers: traffic edge 173, traffic defect 32.
func TestAnnotations(t *testing.T) {
	cluster := clusterOf(routertest.Object(t, web))
	at := target(v1alpha1.NginxTrafficRouting{StableIngress: "web",
		AdditionalIngressAnnotations: map[string]string{"canary-by-header": "x", "nginx.ingress.kubernetes.io/a": "1", "canary-weight": "99"},
		CanaryIngressAnnotations:     map[string]string{"nginx.ingress.kubernetes.io/a": "2", "plain": "3", "nginx.ingress.kubernetes.io/canary": "false"}})
	u := canary(t, cluster, at, 10)
	notes := u.GetAnnotations()
	for k, want := range map[string]string{
		"nginx.ingress.kubernetes.io/canary-by-header": "x", "nginx.ingress.kubernetes.io/a": "2", "plain": "3",
		"nginx.ingress.kubernetes.io/canary": "true", "nginx.ingress.kubernetes.io/canary-weight": "10",
	} {
		if notes[k] != want {
			t.Errorf("%s is %q, want %q", k, notes[k], want)
		}
	}
	notes["foreign"] = "stays"
	u.SetAnnotations(notes)
	u.SetLabels(map[string]string{"foreign": "stays"})
	if err := cluster.Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	at.Routing.Nginx.AdditionalIngressAnnotations, at.Routing.Nginx.CanaryIngressAnnotations = nil, nil
	u = canary(t, cluster, at, 20)
	for k, want := range map[string]string{"foreign": "stays", "plain": "", "nginx.ingress.kubernetes.io/a": "", "nginx.ingress.kubernetes.io/canary-by-header": ""} {
		if got := u.GetAnnotations()[k]; got != want {
			t.Errorf("%s is %q afterwards, want %q", k, got, want)
		}
	}
	if u.GetLabels()["foreign"] != "stays" {
		t.Error("a foreign label is gone")
	}
}

// Covers: traffic edge 174.
func TestWhatCannotCarryASplit(t *testing.T) {
	foreign := made("web-web-canary")
	other := routertest.Object(t, strings.ReplaceAll(web, "name: stable", "name: x"))
	for name, c := range map[string]struct {
		objects []client.Object
		section v1alpha1.NginxTrafficRouting
		want    string
		missing bool
	}{
		"a canary Ingress of somebody else": {[]client.Object{routertest.Object(t, web), foreign}, v1alpha1.NginxTrafficRouting{StableIngress: "web"}, "canary ingress `web-web-canary` controlled by different object", false},
		"no rule for stable":                {[]client.Object{other}, v1alpha1.NginxTrafficRouting{StableIngress: "web"}, "ingress `web` has no rules using service stable backend", false},
		"no Ingress":                        {nil, v1alpha1.NginxTrafficRouting{StableIngress: "web"}, "error retrieving stableIngress `web` from cache", true},
		"none named":                        {nil, v1alpha1.NginxTrafficRouting{}, path + ".stableIngress: name the Ingress", false},
		"both":                              {nil, v1alpha1.NginxTrafficRouting{StableIngress: "a", StableIngresses: []string{"b"}}, path + ": name either", false},
		"one twice":                         {nil, v1alpha1.NginxTrafficRouting{StableIngresses: []string{"b", "b"}}, path + ".stableIngresses[1]: name each Ingress once", false},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, at := clusterOf(c.objects...), target(c.section)
			r := New(cluster, cluster, Options{})
			o, err := r.Observe(t.Context(), at)
			if got := fmt.Sprint(o.Problem, err); !strings.Contains(got, c.want) || (err != nil) != c.missing {
				t.Errorf("observe: %s", got)
			}
			s := traffic.Two(100, 10, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
			if _, err := r.Apply(t.Context(), at, s); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("apply: %v", err)
			}
			if written, err := r.Apply(t.Context(), at, traffic.Split{}); err != nil || len(written) > 0 {
				t.Errorf("remove: %v %v", written, err)
			}
		})
	}
}

// A rule with a host alone, and a backend that is a resource, made the published controller
// panic.
//
// Covers: traffic edge 174, traffic defect 32.
func TestOddRulesAreLeftOut(t *testing.T) {
	u := canary(t, clusterOf(routertest.Object(t, web)), target(v1alpha1.NginxTrafficRouting{StableIngress: "web"}), 1)
	rules, _, _ := unstructured.NestedSlice(u.Object, "spec", "rules")
	if len(rules) != 1 {
		t.Errorf("rules %v", rules)
	}
}

func TestLongNames(t *testing.T) {
	if got := canaryName("web", "api"); got != "web-api-canary" {
		t.Error(got)
	}
	if got := canaryName(strings.Repeat("a", 200), strings.Repeat("b", 200)); len(got) != 253 || !strings.HasSuffix(got, "b-canary") {
		t.Errorf("%d: %s", len(got), got)
	}
	if got := Objects(target(v1alpha1.NginxTrafficRouting{StableIngress: "web"})); len(got) != 2 || got[1].Name != "web-web-canary" || Objects(traffic.Target{}) != nil {
		t.Errorf("objects %v", got)
	}
}

// FuzzReadAndRender: whatever the Ingress is, nothing panics, and a split that could be
// written is read back.
func FuzzReadAndRender(f *testing.F) {
	f.Add([]byte(`{"rules":[{"http":{"paths":[{"backend":{"service":{"name":"stable"}}}]}}]}`), int32(5))
	f.Add([]byte(`{"rules":[1,{"http":7},{"http":{"paths":[null,{"backend":{"resource":{}}}]}}]}`), int32(-1))
	f.Fuzz(func(t *testing.T, raw []byte, weight int32) {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(append([]byte(`{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"web"},"spec":`), append(raw, '}')...)) != nil {
			return
		}
		p := planOf(target(v1alpha1.NginxTrafficRouting{StableIngress: "web"}))
		want := traffic.Two(100, weight, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
		have := []map[string]any{u.Object, nil}
		if problem := p.Render(have, want, false); problem != "" {
			return
		}
		if got, problem := p.Read(have); problem != "" || !got.Equal(want) {
			t.Errorf("%s gave %s %s, want %s", raw, got, problem, want)
		}
	})
}
