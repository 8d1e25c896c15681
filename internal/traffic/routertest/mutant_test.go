package routertest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
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
	if _, is := u.Object["spec"].(map[string]any); !is && r.flaw != "trips over junk" {
		return nil, fmt.Errorf("Toy/%s/%s: spec: it is no object", t.Namespace, t.Name)
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
	var more toyRoutes
	text, _, _ := unstructured.NestedString(u.Object, "spec", "more")
	if err := json.Unmarshal([]byte(cmp.Or(text, "{}")), &more); err != nil {
		return traffic.Observation{}, fmt.Errorf("%s spec.more: %w", t.Name, err)
	}
	if r.flaw == "trusts the canary weight alone" {
		st = 100 - ca
	}
	o := traffic.Observation{
		Written:   traffic.Found(100, traffic.Destination{Service: t.StableService}, traffic.Destination{Service: t.CanaryService}, st, ca, more.Extras...),
		Confirmed: true,
		Versions:  map[string]string{"Toy/shop/web": u.GetResourceVersion()},
	}
	o.Written.Headers, o.Written.Mirrors = more.Headers, more.Mirrors
	if r.flaw == "tells no versions" {
		o.Versions = nil
	}
	if r.flaw == "never settles" {
		o.Confirmed = false
	}
	return o, nil
}

// toyRoutes is how the toy keeps what is not a weight.
type toyRoutes struct {
	Extras  []traffic.Destination
	Headers []v1alpha1.SetHeaderRoute
	Mirrors []v1alpha1.SetMirrorRoute
}

func (r toy) Apply(ctx context.Context, t traffic.Target, s traffic.Split) (traffic.Written, error) {
	if problem := s.Problem(t); (problem != "" || s.Total > 100) && r.flaw != "writes what it cannot know again" {
		return nil, errors.New(problem + " is not for a toy")
	}
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
	if s.IsZero() {
		s = traffic.Two(100, 0, traffic.Destination{}, traffic.Destination{})
	}
	canary := int64(s.Held().Weight(traffic.Canary))
	if r.flaw == "does not clamp" {
		canary = int64(s.Weight(traffic.Canary))
	}
	spec := u.Object["spec"].(map[string]any)
	if r.flaw == "rewrites the whole route" {
		spec = map[string]any{"note": "keep"}
		u.Object["spec"] = spec
	}
	if r.flaw == "cannot stand an odd shape" {
		delete(spec, "odd")
	}
	spec["canary"] = canary
	if r.flaw != "forgets the stable weight" {
		spec["stable"] = int64(s.Held().Weight(traffic.Stable))
	}
	more := r.more(spec, s.Held())
	delete(spec, "more")
	if b, err := json.Marshal(more); err == nil && len(more.Extras)+len(more.Headers)+len(more.Mirrors) > 0 {
		spec["more"] = string(b)
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

func (r toy) more(spec map[string]any, s traffic.Split) toyRoutes {
	more := toyRoutes{Extras: s.Extras(), Headers: slices.Clone(s.Headers), Mirrors: slices.Clone(s.Mirrors)}
	var old toyRoutes
	text, _ := spec["more"].(string)
	_ = json.Unmarshal([]byte(text), &old) // none at first
	switch {
	case r.flaw == "keeps an extra destination that left" && len(more.Extras) == 0:
		more.Extras = old.Extras
	case r.flaw == "keeps header routes for good" && len(more.Headers) == 0:
		more.Headers = old.Headers
	case r.flaw == "mirrors every request" && len(more.Mirrors) > 0:
		more.Mirrors[0].Percentage = nil
	}
	return more
}

func toyFixture(flaw string) Fixture {
	return Fixture{
		New: func(r client.Reader, w client.Client) traffic.Router { return toy{reader: r, writer: w, flaw: flaw} },
		Target: traffic.Target{
			Namespace: "shop", Name: "web", StableService: "stable", CanaryService: "canary",
			Routing: &v1alpha1.RolloutTrafficRouting{ManagedRoutes: []v1alpha1.MangedRoutes{{Name: "a"}, {Name: "b"}, {Name: "c"}}},
		},
		Extras: true, Headers: true, Mirrors: true,
		Shape: func(r *rand.Rand) []*unstructured.Unstructured {
			u := newToy()
			if r.IntN(100) == 0 {
				u.Object["spec"].(map[string]any)["odd"] = "shape"
			}
			return []*unstructured.Unstructured{u}
		},
		Objects: []*unstructured.Unstructured{newToy()},
		Mask: func(u *unstructured.Unstructured) {
			unstructured.RemoveNestedField(u.Object, "spec", "stable")
			unstructured.RemoveNestedField(u.Object, "spec", "canary")
			unstructured.RemoveNestedField(u.Object, "spec", "more")
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

		"keeps an extra destination that left": "extra destinations come and go",
		"keeps header routes for good":         "header routes come and go",
		"mirrors every request":                "mirror routes come and go and follow the weights",
		"writes what it cannot know again":     "what cannot be written is refused",
		"trips over junk":                      "junk anywhere in an object is a fault that names it, or does no harm",
		"cannot stand an odd shape":            "random splits on random objects are read back, and the zero split undoes them",
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
