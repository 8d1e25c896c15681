package routertest

import (
	"context"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/traffic"
)

var toyKind = schema.GroupVersionKind{Group: "toy.example.com", Version: "v1", Kind: "Toy"}

func newToy() *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "web", "namespace": "shop", "labels": map[string]any{"team": "a"}},
		"spec":     map[string]any{"note": "keep", "stable": int64(100), "canary": int64(0), "timeout": "3s"},
	}}
	u.SetGroupVersionKind(toyKind)
	return u
}

// toy is the smallest right router: two weights and a mark on one object. Each flaw makes
// it wrong in one way.
type toy struct {
	reader client.Reader
	writer client.Client
	flaw   string
}

func (r toy) get(ctx context.Context, t traffic.Target) (*unstructured.Unstructured, error) {
	if r.flaw == "ignores ctx" {
		ctx = context.WithoutCancel(ctx)
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(toyKind)
	if err := r.reader.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Name}, u); err != nil {
		if r.flaw == "hides the cause" {
			return nil, fmt.Errorf("get the object: %v", err)
		}
		return nil, fmt.Errorf("get Toy/%s/%s: %w", t.Namespace, t.Name, err)
	}
	return u, nil
}

func (r toy) Observe(ctx context.Context, t traffic.Target) (traffic.Observation, error) {
	u, err := r.get(ctx, t)
	if err != nil {
		return traffic.Observation{}, err
	}
	if r.flaw == "writes while it looks" {
		if err := r.writer.Update(ctx, u); err != nil {
			return traffic.Observation{}, err
		}
	}
	st, _, _ := unstructured.NestedInt64(u.Object, "spec", "stable")
	ca, _, _ := unstructured.NestedInt64(u.Object, "spec", "canary")
	if r.flaw == "trusts the canary weight alone" {
		st = 100 - ca
	}
	o := traffic.Observation{
		Written:   traffic.Found(100, traffic.Destination{Service: t.StableService}, traffic.Destination{Service: t.CanaryService}, st, ca),
		Confirmed: true,
		Versions:  map[string]string{"Toy/shop/web": u.GetResourceVersion()},
	}
	if r.flaw == "tells no versions" {
		o.Versions = nil
	}
	if r.flaw == "never settles" {
		o.Confirmed = false
	}
	return o, nil
}

func (r toy) Apply(ctx context.Context, t traffic.Target, s traffic.Split) (traffic.Written, error) {
	u, err := r.get(ctx, t)
	switch {
	case err != nil && s.IsZero() && apierrors.IsNotFound(err) && r.flaw != "needs the object to leave it":
		return nil, nil
	case err != nil:
		return nil, err
	}
	after := u.DeepCopy()
	if r.flaw == "edits the cache" {
		after = &unstructured.Unstructured{Object: u.Object}
	}
	r.render(after, s)
	same := fmt.Sprint(u.Object) == fmt.Sprint(after.Object)
	if same && r.flaw != "writes always" && r.flaw != "edits the cache" {
		return nil, nil
	}
	if r.flaw == "overwrites what is newer" {
		newer, err := (toy{reader: r.writer}).get(ctx, t)
		if err != nil {
			return nil, err
		}
		after.SetResourceVersion(newer.GetResourceVersion())
	}
	if err := r.writer.Update(ctx, after); err != nil {
		return nil, err
	}
	if r.flaw == "does not tell what it wrote" {
		return nil, nil
	}
	return traffic.Written{"Toy/shop/web": after.GetResourceVersion()}, nil
}

func (r toy) render(u *unstructured.Unstructured, s traffic.Split) {
	canary := int64(min(max(s.Weight(traffic.Canary), 0), 100))
	if r.flaw == "does not clamp" {
		canary = int64(s.Weight(traffic.Canary))
	}
	spec := u.Object["spec"].(map[string]any)
	if r.flaw == "rewrites the whole route" {
		spec = map[string]any{"note": "keep"}
		u.Object["spec"] = spec
	}
	spec["canary"] = canary
	if r.flaw != "forgets the stable weight" {
		spec["stable"] = 100 - canary
	}
	labels := map[string]string{"team": "a", "mark": "on"}
	if r.flaw == "drops a foreign label" {
		delete(labels, "team")
	}
	if canary == 0 && r.flaw != "leaves its mark" {
		delete(labels, "mark")
	}
	u.SetLabels(labels)
}

func toyFixture(flaw string) Fixture {
	return Fixture{
		New:     func(r client.Reader, w client.Client) traffic.Router { return toy{reader: r, writer: w, flaw: flaw} },
		Target:  traffic.Target{Namespace: "shop", Name: "web", StableService: "stable", CanaryService: "canary"},
		Objects: []*unstructured.Unstructured{newToy()},
		Mask: func(u *unstructured.Unstructured) {
			unstructured.RemoveNestedField(u.Object, "spec", "stable")
			unstructured.RemoveNestedField(u.Object, "spec", "canary")
			unstructured.RemoveNestedField(u.Object, "metadata", "labels", "mark")
		},
		Drift: func(u *unstructured.Unstructured) {
			u.Object["spec"].(map[string]any)["stable"] = int64(1)
		},
	}
}

func TestTheRightToyPasses(t *testing.T) { Run(t, toyFixture("")) }

func TestEveryMutantFailsItsLaw(t *testing.T) {
	caught := map[string]bool{}
	for flaw, name := range map[string]string{
		"rewrites the whole route":       "foreign fields are kept byte for byte",
		"drops a foreign label":          "foreign fields are kept byte for byte",
		"forgets the stable weight":      "what was applied is observed",
		"does not clamp":                 "weights outside the range are held to it",
		"writes always":                  "a second Apply sends nothing",
		"does not tell what it wrote":    "what was applied is observed",
		"writes while it looks":          "Observe never writes",
		"edits the cache":                "what was read is not changed in the reader",
		"trusts the canary weight alone": "drift is seen, and mended by one Apply",
		"overwrites what is newer":       "a foreign write in between is a conflict",
		"hides the cause":                "a missing object is an error that names it",
		"leaves its mark":                "the zero split removes what is ours",
		"needs the object to leave it":   "the zero split is content with missing objects",
		"ignores ctx":                    "a cancelled context ends both verbs",
		"tells no versions":              "versions and settle time are told",
		"never settles":                  "versions and settle time are told",
	} {
		t.Run(flaw, func(t *testing.T) {
			for _, l := range Laws() {
				if l.Name != name {
					continue
				}
				caught[name] = true
				if err := l.Check(t.Context(), toyFixture(flaw)); err == nil {
					t.Errorf("the law %q let a router pass that %s", name, flaw)
				}
			}
		})
	}
	for _, l := range Laws() {
		if !caught[l.Name] {
			t.Errorf("no mutant proves the law %q", l.Name)
		}
	}
}
