package traffic

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func objectWith(annotations map[string]any) map[string]any {
	meta := map[string]any{"name": "x"}
	if annotations != nil {
		meta["annotations"] = annotations
	}
	return map[string]any{"metadata": meta}
}

func TestAClaimIsReadBackAndTakenAway(t *testing.T) {
	c := Claim{
		Extras: []string{"exp"}, Rules: []string{"hdr", "#12"},
		Headers: []v1alpha1.SetHeaderRoute{header("hdr", "1")}, Mirrors: []v1alpha1.SetMirrorRoute{mirror("m", of(3), "GET")},
	}
	for sentence, before := range map[string]map[string]any{
		"on an object without annotations": nil,
		"beside foreign annotations":       {"note": "keep"},
		"beside another rollout's claim":   {ClaimAnnotation: `{"shop/api":{"future":[1]}}`},
	} {
		t.Run(sentence, func(t *testing.T) {
			o := objectWith(before)
			want := cmp.Diff(nil, any(o)) // as text
			if problem := c.Put(o, "shop/web"); problem != "" {
				t.Fatal(problem)
			}
			if d := cmp.Diff(c, ClaimOn(o, "shop/web")); d != "" {
				t.Error(d)
			}
			if other := ClaimOn(o, "shop/we"); !cmp.Equal(other, Claim{}) {
				t.Errorf("another rollout reads %+v", other)
			}
			if problem := (Claim{}).Put(o, "shop/web"); problem != "" || cmp.Diff(nil, any(o)) != want {
				t.Errorf("%s left %v", problem, o)
			}
		})
	}
}

func TestAClaimThatSaysTheSameStaysAsItIs(t *testing.T) {
	text := `{ "shop/web": {"extras": ["exp"]} }`
	o := objectWith(map[string]any{ClaimAnnotation: text})
	if problem := (Claim{Extras: []string{"exp"}}).Put(o, "shop/web"); problem != "" {
		t.Fatal(problem)
	}
	if d := cmp.Diff(objectWith(map[string]any{ClaimAnnotation: text}), o); d != "" {
		t.Error(d)
	}
	o = objectWith(map[string]any{})
	if problem := (Claim{}).Put(o, "shop/web"); problem != "" || !cmp.Equal(o, objectWith(map[string]any{})) {
		t.Errorf("no claim changed an object without one: %s %v", problem, o)
	}
}

// Nobody who spoils an annotation can hold up an abort.
func TestAClaimThatCannotBeReadCountsAsLost(t *testing.T) {
	c := Claim{Extras: []string{"x"}}
	for sentence, text := range map[string]any{
		"no JSON": "{", "no map": "[]", "another kind of claim": `{"shop/web":[1]}`, "no text": int64(7), "null": "null",
	} {
		t.Run(sentence, func(t *testing.T) {
			o := objectWith(map[string]any{ClaimAnnotation: text, "note": "keep"})
			if got := ClaimOn(o, "shop/web"); !cmp.Equal(got, Claim{}) {
				t.Errorf("it reads %+v", got)
			}
			if problem := c.Put(o, "shop/web"); problem != "" || !cmp.Equal(ClaimOn(o, "shop/web"), c) {
				t.Errorf("problem %q, object %v", problem, o)
			}
			if problem := (Claim{}).Put(o, "shop/web"); problem != "" || !cmp.Equal(o, objectWith(map[string]any{"note": "keep"})) {
				t.Errorf("problem %q, object %v", problem, o)
			}
		})
	}
	for sentence, o := range map[string]map[string]any{"no metadata": {}, "annotations that are no map": {"metadata": map[string]any{"annotations": "x"}}} {
		if problem := c.Put(o, "shop/web"); !strings.Contains(problem, "annotation "+ClaimAnnotation+" cannot be written") {
			t.Errorf("%s: problem %q", sentence, problem)
		}
	}
}

func TestNamesOfExperiments(t *testing.T) {
	for service, want := range map[string]bool{
		"web-7c4b-2-1-exp": true, "web-5d4f8c9b7-12-0-baseline": true, "web-7c4b-2-1-1-exp": true,
		"web-7c4b-2-1-": false, "web-7c4b-2-exp": false, "web-v1-2-1-exp": false, "webshop-7c4b-2-1-exp": false,
		"web": false, "web-canary": false, "": false,
	} {
		if got := IsExperiment("web", service); got != want {
			t.Errorf("%q: %v", service, got)
		}
	}
	if IsExperiment("", "-7c4b-2-1-exp") {
		t.Error("no rollout has experiments")
	}
}

func TestEqualJSON(t *testing.T) {
	a := map[string]any{"w": int64(30), "l": []any{1.5, nil, "x"}}
	for sentence, c := range map[string]struct {
		b    any
		want bool
	}{
		"the same number in another form": {map[string]any{"w": float64(30), "l": []any{1.5, nil, "x"}}, true},
		"another number":                  {map[string]any{"w": 30.5, "l": []any{1.5, nil, "x"}}, false},
		"another list":                    {map[string]any{"w": int64(30), "l": []any{1.5, nil}}, false},
		"a text of the number":            {map[string]any{"w": "30", "l": []any{1.5, nil, "x"}}, false},
	} {
		if got := Same(a, c.b); got != c.want {
			t.Errorf("%s: %v", sentence, got)
		}
	}
}
