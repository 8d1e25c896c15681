package istio

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

var managedNames = []v1alpha1.MangedRoutes{{Name: "hdr"}, {Name: "copy"}, {Name: "second"}}

// unowned takes out of an object what the contract's splits add to it.
func unowned(u *unstructured.Unstructured) {
	a := u.GetAnnotations()
	delete(a, traffic.ClaimAnnotation)
	delete(a, v1alpha1.ManagedByAnnotation)
	if u.SetAnnotations(a); len(a) == 0 {
		unstructured.RemoveNestedField(u.Object, "metadata", "annotations")
	}
	spec := asMap(u.Object["spec"])
	drop := func(m map[string]any, key string, ours func(map[string]any) bool) {
		if list, ok := m[key].([]any); ok {
			m[key] = slices.DeleteFunc(list, func(e any) bool {
				r, _ := e.(map[string]any)
				return ours(r)
			})
		}
	}
	drop(spec, "http", func(r map[string]any) bool {
		return slices.ContainsFunc(managedNames, func(m v1alpha1.MangedRoutes) bool { return m.Name == r["name"] })
	})
	extra := func(name any) bool {
		s, _ := name.(string)
		first, _, _ := strings.Cut(s, ".")
		return slices.Contains(routertest.ExtraServices, first)
	}
	drop(spec, "subsets", func(s map[string]any) bool { return extra(s["name"]) })
	for _, k := range []string{"http", "tls", "tcp"} {
		for _, r := range objects.Entries(spec[k]) {
			drop(r, "route", func(d map[string]any) bool { return extra(asMap(d["destination"])["host"]) })
		}
	}
}

// shaper makes JSON of random shape.
type shaper struct{ *rand.Rand }

func (r shaper) chance(n int) bool { return r.IntN(n) == 0 }

func (r shaper) value(depth int) any {
	switch n := r.IntN(7); {
	case n == 0:
		return nil
	case n == 1:
		return r.chance(2)
	case n == 2:
		return int64(r.IntN(1000))
	case n == 3:
		return 0.5 + float64(r.IntN(10))
	case n == 4 && depth > 0:
		return r.fields(map[string]any{}, depth-1)
	case n == 5 && depth > 0:
		return []any{r.value(depth - 1), r.value(depth - 1)}
	}
	return fmt.Sprintf("text-%d", r.IntN(10))
}

// fields adds unknown fields.
func (r shaper) fields(m map[string]any, depth int) map[string]any {
	for range r.IntN(3) {
		m[fmt.Sprintf("future-%d", r.IntN(5))] = r.value(depth)
	}
	return m
}

func (r shaper) pick(list ...string) string { return list[r.IntN(len(list))] }

// shuffled puts the elements in random order.
func (r shaper) shuffled(list []any) []any {
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// route is a weighted route to the two destinations and to some foreign ones.
func (r shaper) route(name string, stable, canary map[string]any) map[string]any {
	left := int64(100)
	list := []any{r.fields(map[string]any{"destination": canary, "weight": int64(0)}, 1)}
	for i := range r.IntN(3) {
		weight := r.Int64N(left/2 + 1)
		left -= weight
		d := map[string]any{"host": fmt.Sprintf("foreign-%d.%s", i, r.pick("shop", "other", "example.com"))}
		list = append(list, map[string]any{"destination": d, "weight": weight})
	}
	if r.chance(8) {
		list = append(list, map[string]any{"destination": canary, "weight": int64(0)})
	}
	list = append(list, r.fields(map[string]any{"destination": stable, "weight": left}, 1))
	route := r.fields(map[string]any{"route": r.shuffled(list)}, 2)
	if name != "" {
		route["name"] = name
	}
	return route
}

// foreign is a route that is none of our business, whatever it names.
func (r shaper) foreign(i int) map[string]any {
	route := r.fields(map[string]any{"name": fmt.Sprintf("foreign-%d", i)}, 2)
	switch r.IntN(3) {
	case 0:
		route["redirect"] = map[string]any{"uri": "/"}
	case 1:
		route["route"] = []any{map[string]any{"destination": map[string]any{"host": r.pick("canary", "docs", "stable")}, "weight": int64(100)}}
	}
	return route
}

func (r shaper) destination(service string) map[string]any {
	d := map[string]any{"host": service + r.pick("", ".shop.svc.cluster.local", ".shop.svc")}
	if r.chance(2) {
		d["port"] = map[string]any{"number": int64(80)}
	}
	return d
}

func (r shaper) service(namespace string, spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.istio.io/v1alpha3", "kind": kindService,
		"metadata": map[string]any{"name": "web", "namespace": namespace}, "spec": r.fields(spec, 3),
	}}
	if r.chance(2) {
		u.SetAnnotations(map[string]string{"note": "keep"})
	}
	if r.chance(4) {
		u.SetAnnotations(map[string]string{traffic.ClaimAnnotation: `{"shop/other":{"extras":["theirs"]}}`})
	}
	return u
}

// hostShape is two VirtualServices as hostTarget wants them.
func hostShape(rnd *rand.Rand) []*unstructured.Unstructured {
	r := shaper{rnd}
	list := []any{r.route("primary", r.destination("stable"), r.destination("canary"))}
	for i := range r.IntN(3) {
		list = append(list, r.foreign(i))
	}
	spec := map[string]any{"http": r.shuffled(list)}
	if r.chance(2) {
		spec["tls"] = []any{r.route("", r.destination("stable"), r.destination("canary"))}
	}
	there := func(service string) map[string]any {
		return map[string]any{"host": service + r.pick(".shop", ".shop.svc")}
	}
	edge := map[string]any{r.pick("http", "http", "tls", "tcp"): []any{r.route("", there("stable"), there("canary"))}}
	return []*unstructured.Unstructured{r.service("shop", spec), r.service("edge", edge)}
}

// subsetShape is a VirtualService and a DestinationRule as subsetTarget wants them.
func subsetShape(rnd *rand.Rand) []*unstructured.Unstructured {
	r := shaper{rnd}
	to := func(subset string) map[string]any { return map[string]any{"host": "web", "subset": subset} }
	spec := map[string]any{"http": []any{r.route("", to("stable"), to("canary"))}}
	subsets := []any{r.fields(map[string]any{"name": "stable"}, 2), r.fields(map[string]any{"name": "canary", "labels": map[string]any{"app": "web"}}, 2)}
	for i := range r.IntN(3) {
		subsets = append(subsets, r.fields(map[string]any{"name": fmt.Sprintf("foreign-%d", i), "labels": map[string]any{"rollouts-pod-template-hash": "mine"}}, 2))
	}
	rule := r.service("shop", map[string]any{"host": "web", "subsets": r.shuffled(subsets)})
	rule.SetKind(kindRule)
	return []*unstructured.Unstructured{r.service("shop", spec), rule}
}

func TestTheShapesAreHealthy(t *testing.T) {
	for name, c := range map[string]struct {
		target traffic.Target
		shape  func(*rand.Rand) []*unstructured.Unstructured
	}{"services": {hostTarget(), hostShape}, "subsets": {subsetTarget(), subsetShape}} {
		for seed := range uint64(50) {
			w := cluster(c.shape(rand.New(rand.NewPCG(seed, 2)))...)
			if o, err := New(w, w, Options{}).Observe(t.Context(), c.target); err != nil || o.Problem != "" {
				t.Errorf("%s, seed %d: %v %s", name, seed, err, o.Problem)
			}
		}
	}
}
