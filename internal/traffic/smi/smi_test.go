package smi

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

func target(section v1alpha1.SMITrafficRouting) traffic.Target {
	return traffic.Target{Namespace: "shop", Name: "web", UID: "u-1", StableService: "stable", CanaryService: "canary", Routing: &v1alpha1.RolloutTrafficRouting{
		SMI: &section, ManagedRoutes: []v1alpha1.MangedRoutes{{Name: "a"}, {Name: "b"}, {Name: "c"}}}}
}

func named(version, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion(group + "/" + version)
	u.SetKind(kind)
	u.SetNamespace("shop")
	u.SetName(name)
	return u
}

func half(u *unstructured.Unstructured) {
	list, _, _ := unstructured.NestedSlice(u.Object, "spec", "backends")
	for _, b := range list {
		b.(map[string]any)["weight"] = "50"
	}
	if err := unstructured.SetNestedSlice(u.Object, list, "spec", "backends"); err != nil {
		panic(err)
	}
}

// Covers: traffic edge 181, traffic defect 30, traffic defect 36.
func TestContract(t *testing.T) {
	for _, version := range []string{"v1alpha1", "v1alpha2", "v1alpha3"} {
		for name, section := range map[string]v1alpha1.SMITrafficRouting{
			"web": {}, "mine": {TrafficSplitName: "mine", RootService: "root"},
		} {
			t.Run(version+" "+name, func(t *testing.T) {
				routertest.Run(t, routertest.Fixture{
					New:    func(r client.Reader, w client.Client) traffic.Router { return New(r, w, Options{Version: version}) },
					Target: target(section), Makes: []*unstructured.Unstructured{named(version, name)},
					Mask: func(*unstructured.Unstructured) {}, Drift: half, Extras: true,
				})
			})
		}
	}
}

// Covers: traffic edge 181.
func TestTheTrafficSplit(t *testing.T) {
	for version, weights := range map[string][3]any{"v1alpha1": {"30", "20", "50"}, "v1alpha2": {int64(30), int64(20), int64(50)}} {
		cluster := fake.NewClientBuilder().WithScheme(runtime.NewScheme()).Build()
		r := New(cluster, cluster, Options{Version: version})
		s := traffic.Two(100, 30, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
		s.Destinations[0].Weight = 50
		s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra, Service: "exp", Weight: 20})
		if _, err := r.Apply(t.Context(), target(v1alpha1.SMITrafficRouting{}), s); err != nil {
			t.Fatal(err)
		}
		got := named(version, "web")
		if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(got), got); err != nil {
			t.Fatal(err)
		}
		got.SetResourceVersion("")
		want := map[string]any{
			"apiVersion": group + "/" + version, "kind": kind,
			"metadata": map[string]any{"name": "web", "namespace": "shop", "ownerReferences": []any{map[string]any{
				"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": "u-1", "controller": true, "blockOwnerDeletion": true}}},
			"spec": map[string]any{"service": "stable", "backends": []any{
				map[string]any{"service": "canary", "weight": weights[0]}, map[string]any{"service": "exp", "weight": weights[1]},
				map[string]any{"service": "stable", "weight": weights[2]}}},
		}
		if d := cmp.Diff(want, got.Object); d != "" {
			t.Errorf("%s: %s", version, d)
		}
	}
}

// Covers: traffic edge 181.
func TestWhatIsNotOurs(t *testing.T) {
	foreign := "{apiVersion: split.smi-spec.io/v1alpha1, kind: TrafficSplit, metadata: {name: web, namespace: shop, ownerReferences: [%s]}, spec: {service: stable}}"
	for name, owners := range map[string]string{
		"nobody's":                "",
		"another Rollout's":       "{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: other, uid: u-2, controller: true}",
		"one of a former Rollout": "{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web, uid: u-0, controller: true}",
	} {
		t.Run(name, func(t *testing.T) {
			there := routertest.Object(t, fmt.Sprintf(foreign, owners))
			cluster := fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithObjects(there).Build()
			r := New(cluster, cluster, Options{})
			const want = "Rollout does not own TrafficSplit `web`"
			if o, err := r.Observe(t.Context(), target(v1alpha1.SMITrafficRouting{})); err != nil || !strings.HasPrefix(o.Problem, want) {
				t.Errorf("observe: %q, %v", o.Problem, err)
			}
			s := traffic.Two(100, 30, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
			if _, err := r.Apply(t.Context(), target(v1alpha1.SMITrafficRouting{}), s); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("apply: %v", err)
			}
			if _, err := r.Apply(t.Context(), target(v1alpha1.SMITrafficRouting{}), traffic.Split{}); err != nil {
				t.Error(err)
			}
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(there), there); err != nil {
				t.Errorf("it was deleted: %v", err)
			}
		})
	}
}

// TestDriftOfTheRest: the whole of service and backends is ours, the rest of the spec is not.
func TestDriftOfTheRest(t *testing.T) {
	at := target(v1alpha1.SMITrafficRouting{})
	const text = `{apiVersion: split.smi-spec.io/v1alpha1, kind: TrafficSplit, metadata: {name: web, namespace: shop, labels: {a: b},
ownerReferences: [{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web, uid: u-1, controller: true}]}, spec: %s}`
	s := traffic.Two(100, 0, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
	for name, spec := range map[string]string{
		"another root":         `{service: x, backends: [{service: canary, weight: "0"}, {service: stable, weight: "100"}], matches: [{kind: HTTPRouteGroup, name: r}]}`,
		"a stranger":           `{service: stable, backends: [{service: canary, weight: "0"}, {service: x, weight: "1"}, {service: stable, weight: "100"}], matches: [{kind: HTTPRouteGroup, name: r}]}`,
		"a weight of no form":  `{service: stable, backends: [{service: canary, weight: few}, {service: stable, weight: "100"}], matches: [{kind: HTTPRouteGroup, name: r}]}`,
		"parts of thousands":   `{service: stable, backends: [{service: canary, weight: 1m}, {service: stable, weight: 999m}], matches: [{kind: HTTPRouteGroup, name: r}]}`,
		"no list":              `{service: stable, matches: [{kind: HTTPRouteGroup, name: r}]}`,
		"a list that is a map": `{service: stable, backends: {x: y}, matches: [{kind: HTTPRouteGroup, name: r}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			there := routertest.Object(t, fmt.Sprintf(text, spec))
			cluster := fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithObjects(there).Build()
			r := New(cluster, cluster, Options{})
			if o, err := r.Observe(t.Context(), at); err != nil || o.Problem != "" || o.Written.Equal(s) {
				t.Errorf("observe: %s %q %v", o.Written, o.Problem, err)
			}
			if _, err := r.Apply(t.Context(), at, s); err != nil {
				t.Fatal(err)
			}
			if o, err := r.Observe(t.Context(), at); err != nil || !o.Written.Equal(s) {
				t.Errorf("afterwards: %s %v", o.Written, err)
			}
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(there), there); err != nil {
				t.Fatal(err)
			}
			if m, _, _ := unstructured.NestedSlice(there.Object, "spec", "matches"); len(m) != 1 || there.GetLabels()["a"] != "b" {
				t.Errorf("what is not ours is gone: %v", there.Object)
			}
		})
	}
}

// Covers: traffic edge 181.
func TestVersions(t *testing.T) {
	if err := (Options{Version: "v1beta9"}).Check(); err == nil || err.Error() != "Unsupported TrafficSplit API version `v1beta9`" {
		t.Error(err)
	}
	for _, v := range []string{"", "v1alpha1", "v1alpha2", "v1alpha3"} {
		o := Options{Version: v}
		if err := o.Check(); err != nil || len(o.Kinds(traffic.Target{})) != 1 || len(o.Objects(target(v1alpha1.SMITrafficRouting{}))) != 1 {
			t.Errorf("%s: %v", v, err)
		}
	}
	if (Options{}).Objects(traffic.Target{}) != nil {
		t.Error("a rollout without the section has objects")
	}
}

// The TrafficSplit is ours, but not what others write into it: 1,000 times somebody adds
// something, and a random split is asked for.
func TestWhatOthersAddStays(t *testing.T) {
	for _, version := range []string{"v1alpha1", "v1alpha2", "v1alpha3"} {
		t.Run(version, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			c := fake.NewClientBuilder().WithScheme(runtime.NewScheme()).Build()
			router, tg := New(c, c, Options{Version: version}), target(v1alpha1.SMITrafficRouting{})
			apply := func(s traffic.Split, writes bool) {
				t.Helper()
				written, err := router.Apply(t.Context(), tg, s)
				if err != nil || len(written) > 0 && !writes {
					t.Fatalf("apply %s: %v, wrote %v", s, err, written)
				}
				if o, err := router.Observe(t.Context(), tg); err != nil || o.Problem != "" || !o.Written.Equal(s) {
					t.Fatalf("applied %s, observed %s, %s %v", s, o.Written, o.Problem, err)
				}
			}
			read := func() *unstructured.Unstructured {
				u := named(version, "web")
				if err := c.Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
					t.Fatal(err)
				}
				return u
			}
			foreign := func() map[string]any {
				u := read()
				u.SetResourceVersion("")
				unstructured.RemoveNestedField(u.Object, "spec", "backends")
				return u.Object
			}
			apply(randomSplit(r), true)
			for range 1000 {
				u := read()
				add(r, u)
				if err := c.Update(t.Context(), u); err != nil {
					t.Fatal(err)
				}
				before, s := foreign(), randomSplit(r)
				apply(s, true)
				apply(s, false)
				if d := cmp.Diff(before, foreign()); d != "" {
					t.Fatalf("%s: %s", s, d)
				}
			}
		})
	}
}

// add is somebody else's change of a TrafficSplit.
func add(r *rand.Rand, u *unstructured.Unstructured) {
	spec := u.Object["spec"].(map[string]any)
	switch key := fmt.Sprint("k", r.IntN(5)); r.IntN(5) {
	case 0:
		u.SetAnnotations(map[string]string{key: "note"})
	case 1:
		u.SetLabels(map[string]string{key: "a"})
	case 2:
		spec["matches"] = []any{map[string]any{"kind": "HTTPRouteGroup", "name": key}}
	case 3:
		spec[key] = []any{int64(1), 2.5, nil, map[string]any{"x": true}}
	case 4:
		u.Object["status"] = map[string]any{key: "seen"}
	}
}

func randomSplit(r *rand.Rand) traffic.Split {
	s := traffic.Two(100, r.Int32N(60), traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
	for i := range r.IntN(3) {
		w := 1 + r.Int32N(15)
		s.Destinations[0].Weight -= w
		s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra, Service: fmt.Sprint("exp-", i), Weight: w})
	}
	return s
}
