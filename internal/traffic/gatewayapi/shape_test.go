package gatewayapi

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

var managedNames = []v1alpha1.MangedRoutes{{Name: "hdr"}, {Name: "copy"}, {Name: "second"}}

// unowned takes out of a route what the contract's splits add to it.
func unowned(u *unstructured.Unstructured) {
	a := u.GetAnnotations()
	delete(a, traffic.ClaimAnnotation)
	if u.SetAnnotations(a); len(a) == 0 {
		unstructured.RemoveNestedField(u.Object, "metadata", "annotations")
	}
	list, _, _ := unstructured.NestedSlice(u.Object, "spec", "rules")
	list = slices.DeleteFunc(list, func(e any) bool {
		name, _ := e.(map[string]any)["name"].(string)
		return slices.ContainsFunc(managedNames, func(m v1alpha1.MangedRoutes) bool {
			return name == m.Name || strings.HasPrefix(name, m.Name+"-")
		})
	})
	for _, e := range list {
		r := e.(map[string]any)
		if backends, ok := r["backendRefs"].([]any); ok {
			r["backendRefs"] = slices.DeleteFunc(backends, func(e any) bool {
				name, _ := e.(map[string]any)["name"].(string)
				return slices.Contains(routertest.ExtraServices, name)
			})
		}
	}
	if err := unstructured.SetNestedSlice(u.Object, list, "spec", "rules"); err != nil {
		panic(err)
	}
}

// shaper makes JSON of random shape.
type shaper struct{ *rand.Rand }

func (r shaper) chance(n int) bool { return r.IntN(n) == 0 }

func (r shaper) pick(list ...string) string { return list[r.IntN(len(list))] }

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

func (r shaper) shuffled(list []any) []any {
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func (r shaper) backend(service string, weight int64) map[string]any {
	b := map[string]any{"name": service, "port": int64(80), "weight": weight}
	if r.chance(2) {
		b["group"], b["kind"] = "", "Service"
	}
	if r.chance(4) {
		b["namespace"] = "shop"
	}
	return r.fields(b, 1)
}

// rule holds both roles, and some foreign backends.
func (r shaper) rule(k *kind) map[string]any {
	list := []any{r.backend("stable", 100), r.backend("canary", 0)}
	for i := range r.IntN(3) {
		foreign := r.backend(fmt.Sprintf("foreign-%d", i), r.Int64N(200))
		if r.chance(3) {
			foreign["name"], foreign["namespace"] = r.pick("stable", "canary", "exp-a"), "other"
		}
		list = append(list, foreign)
	}
	if r.chance(8) {
		list = append(list, r.backend("canary", 0))
	}
	rule := map[string]any{"backendRefs": r.shuffled(list)}
	if r.chance(2) {
		rule["name"] = fmt.Sprintf("main-%d", r.IntN(1000))
	}
	if k.requests() && r.chance(2) {
		rule["matches"] = r.matches(k)
	}
	if k.requests() && r.chance(3) {
		rule["filters"] = []any{map[string]any{"type": "RequestHeaderModifier", "requestHeaderModifier": r.fields(map[string]any{}, 1)}}
	}
	return r.fields(rule, 2)
}

func (r shaper) matches(k *kind) (list []any) {
	for range 1 + r.IntN(2) {
		m := r.fields(map[string]any{}, 1)
		switch {
		case r.chance(2):
		case k.name == "GRPCRoute":
			m["method"] = r.fields(map[string]any{}, 1)
			for _, key := range []string{"type", "service", "method"} {
				if r.chance(2) {
					m["method"].(map[string]any)[key] = map[string]string{"type": exact, "service": r.pick("a", "cart"), "method": r.pick("b", "Get")}[key]
				}
			}
		default:
			m["path"] = map[string]any{"type": r.pick("Exact", "PathPrefix"), "value": r.pick("/", "/a", "/cart", "/cart/x")}
		}
		if r.chance(3) {
			m["headers"] = []any{map[string]any{"name": "x-rule", "type": "Exact", "value": "1"}}
		}
		list = append(list, m)
	}
	return list
}

// foreign is a rule that is none of our business, whatever it names.
func (r shaper) foreign(i int) map[string]any {
	rule := r.fields(map[string]any{"name": fmt.Sprintf("foreign-%d", i)}, 2)
	if r.chance(2) {
		rule["backendRefs"] = []any{r.backend(r.pick("stable", "canary", "docs", "exp-b"), 1)}
	}
	return rule
}

func (r shaper) route(k *kind, name string) *unstructured.Unstructured {
	var rules []any
	for range 1 + r.IntN(2) {
		rules = append(rules, r.rule(k))
	}
	for i := range r.IntN(3) {
		rules = append(rules, r.foreign(i))
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": Options{}.gvk(k).GroupVersion().String(), "kind": k.name,
		"metadata": map[string]any{"name": name, "namespace": "shop"},
		"spec":     r.fields(map[string]any{"rules": r.shuffled(rules)}, 3),
	}}
	if r.chance(4) {
		u.SetAnnotations(map[string]string{"note": "keep", traffic.ClaimAnnotation: `{"shop/other":{"extras":["theirs"]}}`})
	}
	if r.chance(2) {
		u.SetLabels(map[string]string{"team": "a"})
	}
	return u
}

func TestTheShapesAreHealthy(t *testing.T) {
	for name, c := range contracts {
		for seed := range uint64(50) {
			w := cluster(c.shape(rand.New(rand.NewPCG(seed, 2)))...)
			o, err := New(w, w, Options{}).Observe(t.Context(), target(c.section))
			if err != nil || o.Problem != "" {
				t.Errorf("%s, seed %d: %v %s", name, seed, err, o.Problem)
			}
		}
	}
}
