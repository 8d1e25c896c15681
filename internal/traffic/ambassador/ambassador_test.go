package ambassador

import (
	"encoding/json"
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
apiVersion: getambassador.io/v2
kind: Mapping
metadata: {name: web, namespace: shop, labels: {product: aes}, annotations: {note: keep}}
spec: {ambassador_id: [one], prefix: /, service: "http://stable.shop:80", retry_policy: {num_retries: 3}, future: [1, 2.5, null]}
`

const api = `
apiVersion: getambassador.io/v2
kind: Mapping
metadata: {name: api, namespace: shop}
spec: {prefix: /api, service: stable, weight: 0}
`

func target(mappings ...string) traffic.Target {
	return traffic.Target{Namespace: "shop", Name: "web", UID: "u-1", StableService: "stable", CanaryService: "canary", Routing: &v1alpha1.RolloutTrafficRouting{
		Ambassador: &v1alpha1.AmbassadorTrafficRouting{Mappings: mappings}, ManagedRoutes: []v1alpha1.MangedRoutes{{Name: "a"}, {Name: "b"}, {Name: "c"}}}}
}

func made(o Options, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(o.gvk())
	u.SetNamespace("shop")
	u.SetName(name)
	return u
}

// drift changes the weight, and of the user's Mapping what the canary's is made of.
func drift(u *unstructured.Unstructured) {
	field, value := "weight", any(int64(50))
	if !strings.HasSuffix(u.GetName(), suffix) {
		field, value = "prefix", "/moved"
	}
	if err := unstructured.SetNestedField(u.Object, value, "spec", field); err != nil {
		panic(err)
	}
}

func fixture(t testing.TB, o Options) routertest.Fixture {
	f := routertest.Fixture{
		New:     func(r client.Reader, w client.Client) traffic.Router { return New(r, w, o) },
		Target:  target("web", "api"),
		Objects: []*unstructured.Unstructured{routertest.Object(t, web), routertest.Object(t, api)},
		Makes:   []*unstructured.Unstructured{made(o, "web-canary"), made(o, "api-canary")},
		Mask:    func(*unstructured.Unstructured) {}, Drift: drift,
		Shape: func(r *rand.Rand) []*unstructured.Unstructured {
			return []*unstructured.Unstructured{shape(r, o, "web"), shape(r, o, "api")}
		},
	}
	for _, u := range f.Objects {
		u.SetGroupVersionKind(o.gvk())
	}
	return f
}

// shape is a Mapping that leads to stable in one of the forms that there are.
func shape(r *rand.Rand, o Options, name string) *unstructured.Unstructured {
	u := made(o, name)
	forms := []string{"stable", "stable:80", "stable.shop", "https://stable.shop.svc:443", "http://stable/x"}
	spec := map[string]any{"prefix": fmt.Sprint("/", r.IntN(9)), "service": forms[r.IntN(len(forms))]}
	if r.IntN(2) == 0 {
		spec["headers"] = map[string]any{"x": r.IntN(2) == 0}
		u.SetLabels(map[string]string{"a": fmt.Sprint(r.IntN(3))})
	}
	if r.IntN(3) == 0 {
		spec["weight"] = int64(0)
	}
	u.Object["spec"] = spec
	return u
}

// Covers: traffic edge 182, traffic defect 30, traffic defect 36.
func TestContract(t *testing.T) {
	for version, kind := range map[string]string{"": "Mapping", "getambassador.io/v3alpha1": "Mapping", "x.getambassador.io/v3alpha1": "AmbassadorMapping"} {
		t.Run(version, func(t *testing.T) {
			o := Options{APIVersion: version}
			routertest.Run(t, fixture(t, o))
			if k := o.Kinds(traffic.Target{}); len(k) != 1 || k[0].Kind != kind || o.Objects(traffic.Target{}) != nil {
				t.Errorf("kinds %v", k)
			}
		})
	}
}

func split(weight int32) traffic.Split {
	return traffic.Two(traffic.DefaultTotal, weight, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
}

// Covers: traffic edge 182, traffic edge 188, traffic defect 33.
func TestTheMappingOfTheCanary(t *testing.T) {
	cluster := fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithObjects(routertest.Object(t, web)).Build()
	r, at := New(cluster, cluster, Options{}), target("web")
	if _, err := r.Apply(t.Context(), at, split(30)); err != nil {
		t.Fatal(err)
	}
	got := made(Options{}, "web-canary")
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(got), got); err != nil {
		t.Fatal(err)
	}
	got.SetResourceVersion("")
	want := map[string]any{
		"apiVersion": "getambassador.io/v2", "kind": "Mapping",
		"metadata": map[string]any{"name": "web-canary", "namespace": "shop", "labels": map[string]any{"product": "aes"}, "ownerReferences": []any{map[string]any{
			"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": "u-1", "controller": true, "blockOwnerDeletion": true}}},
		"spec": map[string]any{"ambassador_id": []any{"one"}, "prefix": "/", "service": "http://canary.shop:80", "weight": int64(30),
			"retry_policy": map[string]any{"num_retries": int64(3)}, "future": []any{int64(1), 2.5, nil}},
	}
	if d := cmp.Diff(want, got.Object); d != "" {
		t.Error(d)
	}
	if long := canaryName(strings.Repeat("x", 253)); len(long) != 253 || !strings.HasSuffix(long, "x-canary") {
		t.Errorf("a long name becomes %s", long)
	}
}

// Covers: traffic edge 182.
func TestWhatCannotCarryASplit(t *testing.T) {
	const owned = `{apiVersion: getambassador.io/v2, kind: Mapping, metadata: {name: web-canary, namespace: shop}, spec: {}}`
	for name, c := range map[string]struct {
		objects []string
		target  traffic.Target
		want    string
	}{
		"a weight of its own": {[]string{strings.Replace(web, "prefix: /", "weight: 20, prefix: /", 1)}, target("web"), `Ambassador mapping "web" can not define weight`},
		"several of them": {[]string{strings.Replace(web, "prefix: /", "weight: 20, prefix: /", 1), strings.Replace(api, "weight: 0", "weight: 1", 1)}, target("web", "api"),
			`2 errors found: [Ambassador mapping "web" can not define weight][Ambassador mapping "api" can not define weight]`},
		"another Service":              {[]string{strings.Replace(web, "stable", "stable-x", 1)}, target("web"), `Ambassador mapping "web": spec.service: Invalid value: "http://stable-x.shop:80": does not lead to the stable Service stable`},
		"no Service":                   {[]string{strings.Replace(web, "service:", "x:", 1)}, target("web"), `Ambassador mapping "web": spec.service: Invalid value: ""`},
		"a foreign Mapping in its way": {[]string{web, owned}, target("web"), "Mapping/shop/web-canary is controlled by a different object: delete it"},
		"a name twice":                 {[]string{web}, target("web", "web"), `spec.strategy.canary.trafficRouting.ambassador.mappings[1]: name each Mapping once, got "web"`},
		"no name":                      {nil, target(), "spec.strategy.canary.trafficRouting.ambassador.mappings: must provide at least one mapping"},
		"no section":                   {nil, traffic.Target{Namespace: "shop", Name: "web", Routing: &v1alpha1.RolloutTrafficRouting{}}, "the rollout has no such section"},
	} {
		t.Run(name, func(t *testing.T) {
			b := fake.NewClientBuilder().WithScheme(runtime.NewScheme())
			for _, text := range c.objects {
				b = b.WithObjects(routertest.Object(t, text))
			}
			cluster := b.Build()
			r := New(cluster, cluster, Options{})
			if o, err := r.Observe(t.Context(), c.target); err != nil || !strings.Contains(o.Problem, c.want) {
				t.Errorf("observe: %q, %v", o.Problem, err)
			}
			if _, err := r.Apply(t.Context(), c.target, split(30)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("apply: %v", err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"spec":{"service":"stable:80"}}`), []byte(`{"metadata":{"labels":{}},"spec":{"weight":3}}`))
	f.Add([]byte(`{"spec":[]}`), []byte(`{"metadata":null,"spec":1}`))
	f.Fuzz(func(t *testing.T, base, canary []byte) {
		var a, b map[string]any
		if json.Unmarshal(base, &a) != nil || json.Unmarshal(canary, &b) != nil || a == nil {
			return
		}
		p := Options{}.plan(target("web"))
		if _, problem := p.Read([]map[string]any{a, b}); problem != "" {
			return
		}
		have := []map[string]any{a, b}
		if problem := p.Render(have, split(30), false); problem != "" {
			return
		}
		if s, problem := p.Read(have); problem != "" || !s.Equal(split(30)) {
			t.Errorf("read back is %s, %s", s, problem)
		}
	})
}
