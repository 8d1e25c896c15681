package appmesh

import (
	"encoding/json"
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
	"github.com/penstock-io/penstock/internal/traffic/objects"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

const service = `
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {awsName: web.shop, provider: {virtualRouter: {virtualRouterRef: {name: web-router}}}}
`

const router = `
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: web-router, namespace: shop, annotations: {note: keep}}
spec:
  future: [1, 2.5, null]
  routes:
  - name: http
    priority: 5
    httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: web-canary}, weight: 0, port: 80}, {virtualNodeRef: {name: web-stable}, weight: 100}]}, retryPolicy: {maxRetries: 3}}
  - name: grpc
    grpcRoute: {action: {weightedTargets: [{virtualNodeRef: {name: web-stable}, weight: 100}, {virtualNodeRef: {name: web-canary}, weight: 0}]}}
`

func node(name string) string {
	return fmt.Sprintf("{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: %s, namespace: shop, labels: {team: a}}, spec: {podSelector: {matchLabels: {app: web}}, listeners: [{portMapping: {port: 80}}]}}", name)
}

func section(routes ...string) *v1alpha1.AppMeshTrafficRouting {
	return &v1alpha1.AppMeshTrafficRouting{VirtualService: &v1alpha1.AppMeshVirtualService{Name: "web", Routes: routes},
		VirtualNodeGroup: &v1alpha1.AppMeshVirtualNodeGroup{StableVirtualNodeRef: &v1alpha1.AppMeshVirtualNodeReference{Name: "web-stable"},
			CanaryVirtualNodeRef: &v1alpha1.AppMeshVirtualNodeReference{Name: "web-canary"}}}
}

// target has no Services: App Mesh asks for none.
func target(c *v1alpha1.AppMeshTrafficRouting) traffic.Target {
	return traffic.Target{Namespace: "shop", Name: "web", UID: "u-1", Routing: &v1alpha1.RolloutTrafficRouting{
		AppMesh: c, ManagedRoutes: []v1alpha1.MangedRoutes{{Name: "a"}, {Name: "b"}, {Name: "c"}}}}
}

// weights calls do for every weighted target.
func weights(u *unstructured.Unstructured, do func(map[string]any)) {
	for _, r := range objects.Entries(child(u.Object, "spec")["routes"]) {
		for _, kind := range routeKinds {
			for _, w := range objects.Entries(child(r, kind, "action")["weightedTargets"]) {
				do(w)
			}
		}
	}
}

func fixture(t testing.TB) routertest.Fixture {
	return routertest.Fixture{
		New:     func(r client.Reader, w client.Client) traffic.Router { return New(r, w, Options{}) },
		Target:  target(section()),
		Objects: []*unstructured.Unstructured{routertest.Object(t, service), routertest.Object(t, node("web-stable")), routertest.Object(t, node("web-canary")), routertest.Object(t, router)},
		Pinned:  true,
		Mask: func(u *unstructured.Unstructured) {
			forget(u.Object)
			weights(u, func(w map[string]any) { delete(w, "weight") })
		},
		Drift: func(u *unstructured.Unstructured) {
			switch u.GetKind() {
			case "VirtualNode":
				labels(u.Object)[hashLabel] = "foreign"
			case "VirtualRouter":
				weights(u, func(w map[string]any) { w["weight"] = int64(50) })
			}
		},
		Shape: func(r *rand.Rand) []*unstructured.Unstructured {
			return []*unstructured.Unstructured{routertest.Object(t, service), routertest.Object(t, node("web-stable")), routertest.Object(t, node("web-canary")), shape(r)}
		},
	}
}

// shape is a VirtualRouter with routes of any kinds.
func shape(r *rand.Rand) *unstructured.Unstructured {
	var routes []any
	for i := range 1 + r.IntN(3) {
		to := []any{map[string]any{"virtualNodeRef": map[string]any{"name": "web-stable"}, "weight": int64(100)},
			map[string]any{"virtualNodeRef": map[string]any{"name": "web-canary", "namespace": "shop"}, "weight": int64(0), "port": int64(80)}}
		if r.IntN(2) == 0 {
			to[0], to[1] = to[1], to[0]
		}
		routes = append(routes, map[string]any{"name": fmt.Sprint("r", i), routeKinds[r.IntN(len(routeKinds))]: map[string]any{
			"match": map[string]any{"x": r.Int64N(9)}, "action": map[string]any{"weightedTargets": to}}})
	}
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "appmesh.k8s.aws/v1beta2", "kind": "VirtualRouter",
		"metadata": map[string]any{"name": "web-router", "namespace": "shop"}, "spec": map[string]any{"routes": routes}}}
}

// Covers: traffic defect 30, traffic defect 36.
func TestContract(t *testing.T) {
	f := fixture(t)
	routertest.Run(t, f)
	if k := (Options{}).Kinds(traffic.Target{}); len(k) != 3 || (Options{}).Objects(traffic.Target{}) != nil {
		t.Errorf("kinds %v", k)
	}
	if refs := (Options{}).Objects(f.Target); len(refs) != 4 || refs[3].Name != "" {
		t.Errorf("objects %v", refs)
	}
}

func split(weight int32, stable, canary string) traffic.Split {
	return traffic.Two(traffic.DefaultTotal, weight, traffic.Destination{Hash: stable}, traffic.Destination{Hash: canary})
}

// Covers: traffic edge 183.
func TestWordsForRevisionsThatNodesCannotHave(t *testing.T) {
	for name, c := range map[string]struct {
		asked          traffic.Split
		stable, canary string
		read           traffic.Split
	}{
		"two revisions":      {split(30, "a", "b"), "a", "b", split(30, "a", "b")},
		"one revision":       {split(0, "a", "a"), "a", "canary-hash", split(0, "a", "a")},
		"no stable revision": {split(0, "", "b"), "stable-hash", "b", split(0, "", "b")},
		"none":               {split(0, "", ""), "", "", split(0, "", "")},
	} {
		t.Run(name, func(t *testing.T) {
			f := fixture(t)
			b := fake.NewClientBuilder().WithScheme(runtime.NewScheme())
			for _, u := range f.Objects {
				b = b.WithObjects(u)
			}
			cluster := b.Build()
			r := New(cluster, cluster, Options{})
			if _, err := r.Apply(t.Context(), f.Target, c.asked); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{"web-stable": c.stable, "web-canary": c.canary} {
				u := routertest.Object(t, node(name))
				if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
					t.Fatal(err)
				}
				if got := hashOf(u.Object); got != want {
					t.Errorf("%s selects %q, want %q", name, got, want)
				}
			}
			if o, err := r.Observe(t.Context(), f.Target); err != nil || !o.Written.Equal(c.read) || !o.Pinned {
				t.Errorf("read back %s, %q, %v", o.Written, o.Problem, err)
			}
		})
	}
}

// Covers: traffic edge 183.
func TestWhatCannotCarryASplit(t *testing.T) {
	all := []string{service, node("web-stable"), node("web-canary"), router}
	with := func(i int, old, text string) []string {
		list := append([]string(nil), all...)
		list[i] = strings.Replace(list[i], old, text, 1)
		return list
	}
	no := func(change func(*v1alpha1.AppMeshTrafficRouting)) *v1alpha1.AppMeshTrafficRouting {
		c := section()
		change(c)
		return c
	}
	for name, c := range map[string]struct {
		objects []string
		section *v1alpha1.AppMeshTrafficRouting
		want    string
	}{
		"no routes":            {with(3, "routes:", "others:"), section(), "No routes defined for AppMesh virtual-router web-router"},
		"one target":           {with(3, "{virtualNodeRef: {name: web-canary}, weight: 0, port: 80}, ", ""), section(), "Invalid number of weightedTargets (1) for AppMesh virtual-router web-router and route http, expected 2"},
		"a foreign target":     {with(3, "web-canary", "x"), section(), "AppMesh virtual-router web-router, route http: weightedTargets: want the VirtualNodes web-stable and web-canary"},
		"a route that is not":  {all, section("http", "gone"), "has no route gone"},
		"no provider":          {with(0, "virtualRouterRef", "x"), section(), "spec.provider.virtualRouter.virtualRouterRef.name: the VirtualService leads to no VirtualRouter"},
		"a node without pods":  {with(1, "podSelector", "x"), section(), "VirtualNode web-stable: spec.podSelector.matchLabels"},
		"no VirtualService":    {all, no(func(c *v1alpha1.AppMeshTrafficRouting) { c.VirtualService = nil }), "must provide virtual-service"},
		"no VirtualNodes":      {all, no(func(c *v1alpha1.AppMeshTrafficRouting) { c.VirtualNodeGroup = nil }), "name a VirtualNode in stableVirtualNodeRef"},
		"one VirtualNode only": {all, no(func(c *v1alpha1.AppMeshTrafficRouting) { c.VirtualNodeGroup.CanaryVirtualNodeRef.Name = "web-stable" }), "name two different VirtualNodes"},
		"no section":           {all, nil, "the rollout has no such section"},
	} {
		t.Run(name, func(t *testing.T) {
			b := fake.NewClientBuilder().WithScheme(runtime.NewScheme())
			for _, text := range c.objects {
				b = b.WithObjects(routertest.Object(t, text))
			}
			cluster := b.Build()
			r := New(cluster, cluster, Options{})
			if o, err := r.Observe(t.Context(), target(c.section)); err != nil || !strings.Contains(o.Problem, c.want) {
				t.Errorf("observe: %q, %v", o.Problem, err)
			}
			if _, err := r.Apply(t.Context(), target(c.section), split(30, "a", "b")); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("apply: %v", err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"spec":{"podSelector":{"matchLabels":{}}}}`), []byte(`{"spec":{"routes":[{"tcpRoute":{"action":{"weightedTargets":[]}}}]}}`))
	f.Add([]byte(`{"spec":[]}`), []byte(`{"metadata":null,"spec":{"routes":{}}}`))
	f.Fuzz(func(t *testing.T, node, router []byte) {
		var a, b, again map[string]any
		if json.Unmarshal(node, &a) != nil || json.Unmarshal(node, &again) != nil || json.Unmarshal(router, &b) != nil {
			return
		}
		p := Options{}.plan(target(section()))
		have := []map[string]any{{}, a, again, b}
		if _, problem := p.Read(have); problem != "" {
			return
		}
		want := split(30, "a", "b")
		if problem := p.Render(have, want, false); problem != "" {
			t.Errorf("what was read cannot be written: %s", problem)
		}
		if s, problem := p.Read(have); problem != "" || !s.Equal(want) {
			t.Errorf("read back is %s, %s", s, problem)
		}
	})
}
