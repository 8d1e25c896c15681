package gatewayapi

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// The published router takes any rule for its own whose only backend is the canary.
//
// Covers: traffic edge 186, traffic defect 35.
func TestWhoseARuleIs(t *testing.T) {
	const (
		both   = "backendRefs: [{name: stable, weight: 100}, {name: canary, weight: 0}]"
		canary = "backendRefs: [{name: canary}]"
	)
	for sentence, c := range map[string]struct {
		rule string
		ours bool
	}{
		"a header rule as the published router writes it is ours":          {"name: hdr, " + canary, true},
		"a mirror rule whose claim was lost is ours":                       {"name: hdr, filters: [{type: RequestMirror, requestMirror: {backendRef: {name: canary}}}], " + both, true},
		"a second one as the published router writes it is ours":           {"name: hdr-1, " + canary, true},
		"a second one with other backends is the user's":                   {"name: hdr-1, " + both, false},
		"a preview rule is the user's":                                     {"name: preview, " + canary, false},
		"a preview rule without a name is the user's":                      {canary, false},
		"a name that only begins like a managed route's is the user's":     {"name: hdr-one, " + canary, false},
		"a name that counts from nought is the user's":                     {"name: hdr-0, " + canary, false},
		"a rule for stable alone is the user's, and gets no weight nought": {"name: health, backendRefs: [{name: stable, weight: 7}]", false},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := cluster(route(t, "rules: [{"+both+"}, {"+c.rule+"}]", ""))
			r := New(w, w, Options{})
			tg := target(`{httpRoute: web}`)
			before, _, _ := unstructured.NestedSlice(get(t, w, "web").Object, "spec", "rules")
			o, err := r.Observe(t.Context(), tg)
			if err != nil || (len(o.Written.Headers) > 0) != c.ours {
				t.Errorf("read %s, %v", o.Written, err)
			}
			apply(t, r, tg, withHeaders(t, at(100), betaUsers), at(0))
			after, _, _ := unstructured.NestedSlice(get(t, w, "web").Object, "spec", "rules")
			if c.ours {
				before = before[:1]
			}
			if d := cmp.Diff(before, after); d != "" && !strings.Contains(sentence, "with other backends") {
				t.Error(d)
			}
			if len(after) != len(before) {
				t.Errorf("%d rules, want %d", len(after), len(before))
			}
		})
	}
}

func TestWhoseABackendIs(t *testing.T) {
	tg := target(`{httpRoute: web}`)
	for sentence, c := range map[string]struct {
		service, claim string
		ours, refused  bool
	}{
		"the experiment of a controller that was replaced is taken over": {service: "web-7c4b-2-1-exp", ours: true},
		"what we claim is ours":                   {service: "exp", claim: `{"shop/web":{"extras":["exp"]}}`, ours: true},
		"what another rollout claims is not":      {service: "exp", claim: `{"shop/api":{"extras":["exp"]}}`, refused: true},
		"a user's backend of the name stays":      {service: "exp", refused: true},
		"another rollout's experiment is foreign": {service: "webshop-7c4b-2-1-exp", refused: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			u := route(t, "rules: [{backendRefs: [{name: stable, weight: 50}, {name: canary, weight: 30}, {name: "+c.service+", weight: 20}]}]", "")
			if c.claim != "" {
				u.SetAnnotations(map[string]string{traffic.ClaimAnnotation: c.claim})
			}
			w := cluster(u)
			r := New(w, w, Options{})
			o, err := r.Observe(t.Context(), tg)
			if d, found := o.Written.Of(traffic.Extra); err != nil || found != c.ours || c.ours && d.Weight != 20 {
				t.Errorf("read %s, %v", o.Written, err)
			}
			if _, err := r.Apply(t.Context(), tg, withExtra(at(30), c.service, 5)); (err != nil) != c.refused {
				t.Errorf("apply: %v", err)
			}
			apply(t, r, tg, at(10))
			if got := len(strings.Split(weightsOf(get(t, w, "web")), ",")); (got == 2) != c.ours {
				t.Errorf("%d backends are left", got)
			}
		})
	}
}

// pruning is a cluster that does not know some fields of rules.
func pruning(c client.WithWatch, prune func(rule map[string]any)) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			rules, _, _ := unstructured.NestedFieldNoCopy(o.(*unstructured.Unstructured).Object, "spec", "rules")
			for _, r := range objects.Entries(rules) {
				prune(r)
			}
			return c.Update(ctx, o, opts...)
		},
	})
}

func TestAClusterWithoutNamesForRules(t *testing.T) {
	start := route(t, "rules: [{backendRefs: [{name: docs}]}, {backendRefs: [{name: stable, weight: 100}, {name: canary, weight: 0}]}, {backendRefs: [{name: canary}]}]", "")
	w := pruning(cluster(start), func(r map[string]any) {
		delete(r, "name")
		if r["filters"] == nil {
			r["filters"] = []any{} // as a default would
		}
	})
	if err := w.Update(t.Context(), get(t, w, "web")); err != nil { // the defaults come
		t.Fatal(err)
	}
	before := get(t, w, "web")
	r := New(w, w, Options{})
	tg := target(`{httpRoute: web}`)
	both := func(weight int32) traffic.Split {
		return withMirrors(t, withHeaders(t, at(weight), betaUsers), `[{name: copy, match: [{method: {exact: GET}}], percentage: 50}]`)
	}
	for _, s := range []traffic.Split{both(0), both(20), withHeaders(t, at(20), betaUsers), both(50)} {
		apply(t, r, tg, s)
		if written, err := r.Apply(t.Context(), tg, s); err != nil || len(written) != 0 {
			t.Errorf("a second apply wrote %v, %v", written, err)
		}
		rules, _, _ := unstructured.NestedSlice(get(t, w, "web").Object, "spec", "rules")
		if want := 3 + len(s.Headers) + len(s.Mirrors); len(rules) != want {
			t.Errorf("%d rules, want %d", len(rules), want)
		}
	}
	apply(t, r, tg, at(0))
	if d := cmp.Diff(before.Object["spec"], get(t, w, "web").Object["spec"]); d != "" {
		t.Error(d)
	}
}

func TestAClusterThatAddsDefaultsNobodyHasHeardOf(t *testing.T) {
	for sentence, named := range map[string]bool{"with names for rules": true, "without": false} {
		t.Run(sentence, func(t *testing.T) {
			w := pruning(cluster(route(t, healthy, "")), func(r map[string]any) {
				if !named {
					delete(r, "name")
				}
				for _, f := range objects.Entries(r["filters"]) {
					f["requestMirror"].(map[string]any)["future"] = int64(1)
				}
			})
			r := New(w, w, Options{})
			tg := target(`{httpRoute: web}`)
			copies := func(weight int32) traffic.Split {
				return withMirrors(t, at(weight), `[{name: copy, match: [{method: {exact: GET}}], percentage: 50}]`)
			}
			for _, s := range []traffic.Split{copies(0), copies(20), copies(20), copies(30)} {
				apply(t, r, tg, s)
				rules, _, _ := unstructured.NestedSlice(get(t, w, "web").Object, "spec", "rules")
				if len(rules) != 2 {
					t.Fatalf("%d rules", len(rules))
				}
				if written, err := r.Apply(t.Context(), tg, s); err != nil || len(written) != 0 {
					t.Errorf("a second apply wrote %v, %v", written, err)
				}
			}
			apply(t, r, tg, at(30))
			wantRules(t, w, "\n- backendRefs: [{name: stable, weight: 70}, {name: canary, weight: 30}]")
		})
	}
}

func TestAFieldThatTheClusterDropsIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	w := pruning(cluster(route(t, healthy, "")), func(r map[string]any) {
		for _, f := range objects.Entries(r["filters"]) {
			delete(f["requestMirror"].(map[string]any), "percent")
		}
	})
	r := New(w, w, Options{})
	tg := target(`{httpRoute: web}`)
	_, err := r.Apply(t.Context(), tg, withMirrors(t, at(30), `[{name: copy, match: [{method: {exact: GET}}], percentage: 50}]`))
	if err == nil || !strings.Contains(err.Error(), "filters.requestMirror.percent") || get(t, w, "web").GetResourceVersion() != "999" {
		t.Errorf("apply: %v, version %s", err, get(t, w, "web").GetResourceVersion())
	}
	apply(t, r, tg, withMirrors(t, at(30), `[{name: copy, match: [{method: {exact: GET}}]}]`))
}

func TestTheZeroSplitLetsGoOfWhatIsBroken(t *testing.T) {
	u := route(t, "rules: [{name: hdr, backendRefs: [{name: canary}]}, {name: main, backendRefs: [{name: stable, weight: 50}, {name: exp, weight: 20}]}, {name: testers, backendRefs: [{name: exp}]}]", "")
	u.SetAnnotations(map[string]string{traffic.ClaimAnnotation: `{"shop/web":{"extras":["exp"]}}`})
	w := cluster(u)
	if _, err := New(w, w, Options{}).Apply(t.Context(), target(`{httpRoute: web}`), traffic.Split{}); err != nil {
		t.Fatal(err)
	}
	wantRules(t, w, `
- {name: main, backendRefs: [{name: stable, weight: 50}]}
- {name: testers, backendRefs: [{name: exp}]}`)
	if a := get(t, w, "web").GetAnnotations(); len(a) != 0 {
		t.Errorf("annotations %v", a)
	}
}

// Nobody who spoils the annotation can hold up an abort.
func TestASpoiltClaimHoldsNothingUp(t *testing.T) {
	u := route(t, healthy, "")
	w := cluster(u)
	r := New(w, w, Options{})
	section := target(`{httpRoute: web, useHeaderRoutes: true}`)
	section.Routing.ManagedRoutes = []v1alpha1.MangedRoutes{{Name: "hdr"}}
	if _, err := r.Apply(t.Context(), section, withHeaders(t, at(20), `[{name: hdr, match: [{headerName: x, headerValue: {exact: "1"}}]}]`)); err != nil {
		t.Fatal(err)
	}
	got := get(t, w, "web")
	got.SetAnnotations(map[string]string{traffic.ClaimAnnotation: "{"})
	if err := w.Update(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(t.Context(), section, at(0)); err != nil {
		t.Fatal(err)
	}
	if o, err := r.Observe(t.Context(), section); err != nil || o.Problem != "" || o.Written.Weight(traffic.Canary) != 0 || len(o.Written.Headers) > 0 {
		t.Errorf("after the abort: %+v, %v", o, err)
	}
	rules, _, _ := unstructured.NestedSlice(get(t, w, "web").Object, "spec", "rules")
	if before, _, _ := unstructured.NestedSlice(u.Object, "spec", "rules"); len(rules) != len(before) {
		t.Errorf("its rules are %v", rules)
	}
}

// The label says that somebody moves traffic over the route, whoever it is.
//
// Covers: outage 114.
func TestTheLabelStaysUntilTheLastRolloutIsDone(t *testing.T) {
	w := cluster(route(t, "rules: [{backendRefs: [{name: stable, weight: 100}, {name: canary, weight: 0}]}, {backendRefs: [{name: api, weight: 100}, {name: api-canary, weight: 0}]}]", ""))
	r := New(w, w, Options{})
	web, other := target(`{httpRoute: web}`), target(`{httpRoute: web}`)
	other.Name, other.StableService, other.CanaryService = "api", "api", "api-canary"
	others := func(weight int32) traffic.Split {
		return traffic.Two(100, weight, traffic.Destination{Service: "api"}, traffic.Destination{Service: "api-canary"})
	}
	for i, step := range []struct {
		target traffic.Target
		split  traffic.Split
		marked bool
	}{
		{web, at(20), true}, {other, others(5), true}, {web, at(0), true}, {web, traffic.Split{}, true}, {other, others(0), false},
		{other, others(5), true}, {web, at(20), true}, {other, traffic.Split{}, true}, {web, at(0), false},
	} {
		apply(t, r, step.target, step.split)
		u := get(t, w, "web")
		if marked := u.GetLabels()[defaultLabelKey] == labelValue; marked != step.marked {
			t.Errorf("after step %d the label is there: %v, want %v; %v", i, marked, step.marked, u.GetAnnotations())
		}
	}
	if a := get(t, w, "web").GetAnnotations(); len(a) > 0 {
		t.Errorf("left behind are %v", a)
	}
}
