package traefik

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

const web = `
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: web, namespace: shop, labels: {team: a}, annotations: {note: keep}}
spec:
  future: [1, 2.5, null]
  weighted:
    sticky: {cookie: {name: lb}}
    services:
    - {name: canary, kind: TraefikService, weight: 3}
    - {name: stable, namespace: other, port: 80, weight: 9}
    - {name: stable, port: 80, weight: 100, passHostHeader: true}
    - {name: legacy, port: 80, weight: 25}
    - {name: canary, namespace: shop, kind: Service, port: 80, weight: 0}
    - {name: canary, port: 81, weight: 7}
`

func target() traffic.Target {
	return traffic.Target{Namespace: "shop", Name: "web", StableService: "stable", CanaryService: "canary", Routing: &v1alpha1.RolloutTrafficRouting{
		Traefik: &v1alpha1.TraefikTrafficRouting{WeightedTraefikServiceName: "web"}, ManagedRoutes: []v1alpha1.MangedRoutes{{Name: "a"}, {Name: "b"}, {Name: "c"}}}}
}

// ours calls do for the two entries that are written.
func ours(u *unstructured.Unstructured, do func(map[string]any)) {
	stable, canary, problem := find(u.Object, target())
	if problem == "" {
		do(stable)
		do(canary)
	}
}

func fixture(t *testing.T) routertest.Fixture {
	return routertest.Fixture{
		New:     func(r client.Reader, w client.Client) traffic.Router { return New(r, w, Options{}) },
		Target:  target(),
		Objects: []*unstructured.Unstructured{routertest.Object(t, web)},
		Mask:    func(u *unstructured.Unstructured) { ours(u, func(e map[string]any) { delete(e, "weight") }) },
		Drift:   func(u *unstructured.Unstructured) { ours(u, func(e map[string]any) { e["weight"] = int64(1) }) },
		Shape:   shape,
	}
}

// shape is a TraefikService with foreign entries anywhere.
func shape(r *rand.Rand) []*unstructured.Unstructured {
	var list []any
	add := func(e map[string]any) { list = append(list, e) }
	foreign := func() {
		for range r.IntN(3) {
			e := map[string]any{"name": fmt.Sprint("x", r.IntN(3)), "weight": r.Int64N(50)}
			switch r.IntN(4) {
			case 0:
				e["name"], e["kind"] = "canary", "TraefikService"
			case 1:
				e["name"], e["namespace"] = "stable", "other"
			case 2:
				delete(e, "weight")
			}
			add(e)
		}
	}
	foreign()
	first, second := map[string]any{"name": "stable", "port": int64(80), "weight": int64(100)}, map[string]any{"name": "canary", "port": "http", "weight": int64(0)}
	if r.IntN(2) == 0 {
		first, second = second, first
	}
	add(first)
	foreign()
	add(second)
	foreign()
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": map[string]any{"name": "web", "namespace": "shop"},
		"spec": map[string]any{"weighted": map[string]any{"services": list}}}}
	return []*unstructured.Unstructured{u}
}

// Covers: traffic defect 30, traffic defect 36.
func TestContract(t *testing.T) { routertest.Run(t, fixture(t)) }

func TestAnotherGroup(t *testing.T) {
	f := fixture(t)
	o := Options{Group: "traefik.containo.us", Version: "v1alpha2"}
	f.New = func(r client.Reader, w client.Client) traffic.Router { return New(r, w, o) }
	f.Objects[0].SetAPIVersion("traefik.containo.us/v1alpha2")
	f.Shape = nil
	routertest.Run(t, f)
	if got := o.Objects(f.Target); len(got) != 1 || got[0].Group != "traefik.containo.us" || Options.Objects(Options{}, traffic.Target{}) != nil {
		t.Errorf("objects %v", got)
	}
	if k := o.Kinds(traffic.Target{}); len(k) != 1 || k[0].Version != "v1alpha2" {
		t.Errorf("kinds %v", k)
	}
}

// Covers: traffic edge 183.
func TestWhatCannotCarryASplit(t *testing.T) {
	for name, c := range map[string]struct {
		object string
		change func(*traffic.Target)
		want   string
	}{
		"no list":            {strings.Replace(web, "services:", "others:", 1), nil, "TraefikService/shop/web: spec.weighted.services was not found in traefik service manifest"},
		"no entry of canary": {strings.ReplaceAll(web, "canary", "x"), nil, "TraefikService/shop/web: traefik canary service was not found"},
		"no entry of stable": {strings.ReplaceAll(web, "stable", "x"), nil, "TraefikService/shop/web: traefik stable service was not found"},
		"no name": {web, func(t *traffic.Target) { t.Routing.Traefik.WeightedTraefikServiceName = "" },
			"spec.strategy.canary.trafficRouting.traefik.weightedTraefikServiceName: name the TraefikService"},
		"no canary Service": {web, func(t *traffic.Target) { t.CanaryService = "" }, "Canary service and Stable service must to be set to use Traffic Routing"},
		"one Service":       {web, func(t *traffic.Target) { t.CanaryService = "stable" }, "This rollout uses the same service for the stable and canary services"},
		"no section":        {web, func(t *traffic.Target) { t.Routing.Traefik = nil }, "spec.strategy.canary.trafficRouting.traefik: the rollout has no such section"},
	} {
		t.Run(name, func(t *testing.T) {
			at := target()
			if c.change != nil {
				c.change(&at)
			}
			cluster := fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithObjects(routertest.Object(t, c.object)).Build()
			r := New(cluster, cluster, Options{})
			o, err := r.Observe(t.Context(), at)
			if err != nil || !strings.HasPrefix(o.Problem, c.want) {
				t.Errorf("observe: %q, %v", o.Problem, err)
			}
			if _, err := r.Apply(t.Context(), at, traffic.Two(100, 5, traffic.Destination{Service: at.StableService}, traffic.Destination{Service: at.CanaryService})); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("apply: %v", err)
			}
			if written, err := r.Apply(t.Context(), at, traffic.Split{}); err != nil || len(written) > 0 {
				t.Errorf("remove: %v, %v", written, err)
			}
		})
	}
}

// FuzzReadAndRender: whatever is in the object, nothing panics, and a split that could be
// written is read back.
func FuzzReadAndRender(f *testing.F) {
	f.Add([]byte(`{"spec":{"weighted":{"services":[{"name":"stable","weight":100},{"name":"canary"}]}}}`), int32(5))
	f.Add([]byte(`{"spec":{"weighted":{"services":[1,null,{"name":7}]}}}`), int32(-1))
	f.Fuzz(func(t *testing.T, raw []byte, weight int32) {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(append([]byte(`{"apiVersion":"traefik.io/v1alpha1","kind":"TraefikService","x":`), append(raw, '}')...)) != nil {
			return
		}
		inner, ok := u.Object["x"].(map[string]any)
		if !ok {
			return
		}
		p := Options{}.plan(target())
		want := traffic.Two(100, weight, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
		if problem := p.Render([]map[string]any{inner}, want, false); problem != "" {
			return
		}
		if got, problem := p.Read([]map[string]any{inner}); problem != "" || !got.Equal(want) {
			t.Errorf("%s gave %s %s, want %s", raw, got, problem, want)
		}
	})
}
