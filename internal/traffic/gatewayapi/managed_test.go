package gatewayapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

func parsed[T any](t testing.TB, text string) (v T) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func withHeaders(t testing.TB, s traffic.Split, list string) traffic.Split {
	s.Headers = parsed[[]v1alpha1.SetHeaderRoute](t, list)
	return s
}

func withMirrors(t testing.TB, s traffic.Split, list string) traffic.Split {
	s.Mirrors = parsed[[]v1alpha1.SetMirrorRoute](t, list)
	return s
}

func withExtra(s traffic.Split, service string, weight int32) traffic.Split {
	s.Destinations = append(slices.Clone(s.Destinations), traffic.Destination{Role: traffic.Extra, Service: service, Weight: weight})
	s.Destinations[0].Weight -= weight
	return s
}

// wantRules compares the rules of route web with YAML text.
func wantRules(t testing.TB, c client.Client, text string) {
	t.Helper()
	want := routertest.Object(t, "apiVersion: v1\nkind: X\nrules:"+strings.ReplaceAll(text, "\n", "\n  "))
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(Options{}.gvk(kinds[0]))
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "web"}, u); err != nil {
		t.Fatal(err)
	}
	got, _, _ := unstructured.NestedSlice(u.Object, "spec", "rules")
	if d := cmp.Diff(want.Object["rules"], any(got)); d != "" {
		t.Error(d)
	}
}

// apply applies the splits one after the other and demands that each is read back.
func apply(t testing.TB, r traffic.Router, tg traffic.Target, splits ...traffic.Split) {
	t.Helper()
	for _, s := range splits {
		if _, err := r.Apply(t.Context(), tg, s); err != nil {
			t.Fatal(err)
		}
		o, err := r.Observe(t.Context(), tg)
		if err != nil || o.Problem != "" || !s.IsZero() && !o.Written.Equal(s) {
			t.Fatalf("applied %s, observed %s, %s %v", s, o.Written, o.Problem, err)
		}
	}
}

const betaUsers = `[{name: hdr, match: [{headerName: x-beta, headerValue: {exact: "1"}}, {headerName: agent, headerValue: {prefix: "curl/7."}}]}]`

// Covers: edge 56, traffic edge 186, traffic defect 34.
func TestAHeaderRouteStandsBesideEachRuleWithBothBackends(t *testing.T) {
	before := `
- name: shop
  matches: [{path: {type: PathPrefix, value: /shop}, method: GET}, {path: {type: Exact, value: /}}]
  timeouts: {request: 3s}
  filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-debug]}}]
  backendRefs: [{name: stable, port: 80, weight: 100}, {name: canary, port: 81, weight: 0}]
- {name: docs, backendRefs: [{name: docs, port: 80}]}
- backendRefs: [{name: canary, namespace: shop, port: 80, weight: 0}, {name: stable, port: 80, weight: 100}]`
	w := cluster(route(t, "", ""))
	u := get(t, w, "web")
	u.Object["spec"] = map[string]any{"rules": routertest.Object(t, "kind: X\nrules:"+strings.ReplaceAll(before, "\n", "\n  ")).Object["rules"]}
	if err := w.Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	r := New(w, w, Options{})
	tg := target(`{httpRoute: web}`)
	apply(t, r, tg, withHeaders(t, at(0), betaUsers))
	if got := get(t, w, "web").GetLabels()[defaultLabelKey]; got != labelValue {
		t.Errorf("label %q while a header route is there", got)
	}
	wantRules(t, w, `
- name: hdr
  matches:
  - {path: {type: PathPrefix, value: /shop}, method: GET, headers: [{name: x-beta, type: Exact, value: "1"}]}
  - {path: {type: PathPrefix, value: /shop}, method: GET, headers: [{name: agent, type: RegularExpression, value: '^curl/7\..*'}]}
  - {path: {type: Exact, value: /}, headers: [{name: x-beta, type: Exact, value: "1"}]}
  - {path: {type: Exact, value: /}, headers: [{name: agent, type: RegularExpression, value: '^curl/7\..*'}]}
  timeouts: {request: 3s}
  filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-debug]}}]
  backendRefs: [{name: canary, port: 81, weight: 1}]
- name: hdr-1
  matches:
  - {headers: [{name: x-beta, type: Exact, value: "1"}]}
  - {headers: [{name: agent, type: RegularExpression, value: '^curl/7\..*'}]}
  backendRefs: [{name: canary, namespace: shop, port: 80, weight: 1}]`+before)
	apply(t, r, tg, at(0))
	wantRules(t, w, before)
	if got := get(t, w, "web"); got.GetAnnotations() != nil || got.GetLabels() != nil {
		t.Errorf("annotations %v and labels %v are left", got.GetAnnotations(), got.GetLabels())
	}
}

func TestMirrorRoutesKeepTheWeightsOfTheRule(t *testing.T) {
	w := cluster(route(t, healthy, ""))
	r := New(w, w, Options{})
	tg := target(`{httpRouteSelector: {}}`)
	for share, percent := range map[string]string{"": "", "percentage: 0, ": ", percent: 0", "percentage: 25, ": ", percent: 25", "percentage: 100, ": ""} {
		for _, weight := range []int32{20, 40} {
			apply(t, r, tg, withMirrors(t, at(weight), `[{name: copy, `+share+`match: [{method: {exact: GET}, path: {prefix: /cart}}]}]`))
			backends := fmt.Sprintf("[{name: stable, weight: %d}, {name: canary, weight: %d}]", 100-weight, weight)
			wantRules(t, w, `
- name: copy
  matches: [{method: GET, path: {type: PathPrefix, value: /cart}}]
  filters: [{type: RequestMirror, requestMirror: {backendRef: {group: "", kind: Service, name: canary}`+percent+`}}]
  backendRefs: `+backends+`
- backendRefs: `+backends)
		}
	}
}

// Covers: edge 72.
func TestExtraBackendsStandInEachRuleWithBothBackends(t *testing.T) {
	w := cluster(routertest.Object(t, web))
	r := New(w, w, Options{})
	tg := target(`{httpRoute: web}`)
	apply(t, r, tg, withExtra(withExtra(at(30), "a", 5), "b", 15))
	if got, want := weightsOf(get(t, w, "web")), "- 7 50,30,25,0,0,5,15 30,50,5,15"; got != want {
		t.Errorf("weights %s, want %s", got, want)
	}
	rules, _, _ := unstructured.NestedSlice(get(t, w, "web").Object, "spec", "rules")
	last := objects.Entries(objects.Entries(any(rules))[3]["backendRefs"])[2]
	if d := cmp.Diff(map[string]any{"name": "a", "namespace": "shop", "port": int64(81), "weight": int64(5)}, last); d != "" {
		t.Error(d)
	}
	apply(t, r, tg, withExtra(at(30), "b", 15))
	if got, want := weightsOf(get(t, w, "web")), "- 7 55,30,25,0,0,15 30,55,15"; got != want {
		t.Errorf("weights %s, want %s", got, want)
	}
	apply(t, r, tg, at(30))
	if got, want := weightsOf(get(t, w, "web")), "- 7 70,30,25,0,0 30,70"; got != want {
		t.Errorf("weights %s, want %s", got, want)
	}
}

func TestManagedRulesThatAreNotAsWrittenAreSeenAndMended(t *testing.T) {
	tg := target(`{httpRoute: web}`)
	want := withMirrors(t, withHeaders(t, at(30), betaUsers), `[{name: copy, match: [{method: {exact: GET}}], percentage: 50}]`)
	for sentence, change := range map[string]func(u *unstructured.Unstructured, list []any) []any{
		"the match is another": func(_ *unstructured.Unstructured, l []any) []any { delete(objects.Entries(l)[0], "matches"); return l },
		"there is a timeout":   func(_ *unstructured.Unstructured, l []any) []any { objects.Entries(l)[0]["timeouts"] = "1s"; return l },
		"it is gone":           func(_ *unstructured.Unstructured, l []any) []any { return l[1:] },
		"all are gone":         func(_ *unstructured.Unstructured, l []any) []any { return l[2:] },
		"it is there twice":    func(_ *unstructured.Unstructured, l []any) []any { return append([]any{l[0]}, l...) },
		"the order is another": func(_ *unstructured.Unstructured, l []any) []any { return []any{l[1], l[0], l[2]} },
		"it stands behind":     func(_ *unstructured.Unstructured, l []any) []any { return []any{l[2], l[0], l[1]} },
		"the rule has a filter": func(_ *unstructured.Unstructured, l []any) []any {
			objects.Entries(l)[2]["filters"] = []any{}
			return l
		},
		"the claim is gone": func(u *unstructured.Unstructured, l []any) []any {
			u.SetAnnotations(nil)
			return l
		},
		"the mirror has other weights": func(_ *unstructured.Unstructured, l []any) []any {
			backends := objects.Entries(objects.Entries(l)[1]["backendRefs"])
			backends[0]["weight"], backends[1]["weight"] = int64(0), int64(100)
			return l
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := cluster(route(t, healthy, ""))
			r := New(w, w, Options{})
			apply(t, r, tg, want)
			good, u := get(t, w, "web"), get(t, w, "web")
			rules, _, _ := unstructured.NestedSlice(u.Object, "spec", "rules")
			rules = change(u, rules)
			if strings.Contains(sentence, "filter") { // the user's own rule changes, and ours with it
				good.Object["spec"].(map[string]any)["rules"].([]any)[2].(map[string]any)["filters"] = []any{}
				good.Object["spec"].(map[string]any)["rules"].([]any)[0].(map[string]any)["filters"] = []any{}
			}
			u.Object["spec"].(map[string]any)["rules"] = rules
			if err := w.Update(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			o, err := r.Observe(t.Context(), tg)
			if err != nil || o.Problem != "" || o.Written.Equal(want) || len(o.Written.Headers) == 0 {
				t.Fatalf("observed %s %s %v", o.Written, o.Problem, err)
			}
			if strings.Contains(sentence, "other weights") && o.Written.Weight(traffic.Canary) != 100 {
				t.Errorf("observed %s, but the mirror rule sends the canary everything", o.Written)
			}
			apply(t, r, tg, want)
			if d := cmp.Diff(good.Object["spec"], get(t, w, "web").Object["spec"]); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestHeaderRoutesStandOnTheRoutesThatTakeThem(t *testing.T) {
	for section, want := range map[string][2]int{
		`{httpRoute: web, httpRoutes: [{name: api}]}`:                               {1, 0},
		`{httpRoutes: [{name: web}, {name: api, useHeaderRoutes: true}]}`:           {0, 1},
		`{httpRoute: web, httpRoutes: [{name: api, useHeaderRoutes: true}]}`:        {1, 1},
		`{httpRoute: web, httpRouteSelector: {matchLabels: {routes: web}}}`:         {1, 0},
		`{httpRoutes: [{name: web}, {name: api}]}`:                                  {-1, -1},
		`{httpRouteSelector: {matchExpressions: []}, disableInProgressLabel: true}`: {-1, -1},
	} {
		t.Run(section, func(t *testing.T) {
			w := cluster(route(t, healthy, ""), routertest.Object(t, api))
			r := New(w, w, Options{})
			s := withHeaders(t, at(30), betaUsers)
			if want[0] < 0 {
				if _, err := r.Apply(t.Context(), target(section), s); err == nil || !strings.Contains(err.Error(), "useHeaderRoutes") {
					t.Error(err)
				}
				return
			}
			apply(t, r, target(section), s)
			for i, name := range []string{"web", "api"} {
				rules, _, _ := unstructured.NestedSlice(get(t, w, name).Object, "spec", "rules")
				if len(rules) != 1+want[i] {
					t.Errorf("%s has %d rules", name, len(rules))
				}
			}
			apply(t, r, target(section), at(30))
		})
	}
}

func TestManagedRoutesThatCannotWork(t *testing.T) {
	for sentence, c := range map[string]struct {
		rule, headers, mirrors, want string
	}{
		"no request can match": {
			rule: "matches: [{method: POST}], ", mirrors: "[{name: copy, match: [{method: {exact: GET}}]}]",
			want: `no request that a rule with both Services takes can match route "copy"`,
		},
		"the rule wants another value of the header": {
			rule: `matches: [{headers: [{name: X-Beta, value: "2"}]}], `, headers: `[{name: hdr, match: [{headerName: x-beta, headerValue: {exact: "1"}}]}]`,
			want: `no request that a rule with both Services takes can match route "hdr"`,
		},
		"the rule compares the header in another way": {
			rule: `matches: [{headers: [{name: X-Beta, value: "2"}]}], `, headers: `[{name: hdr, match: [{headerName: x-beta, headerValue: {prefix: "1"}}]}]`,
			want: `route "hdr": header "x-beta" is compared by the rule already`,
		},
		"a method by prefix": {mirrors: "[{name: copy, match: [{method: {prefix: G}}]}]", want: "compares methods exactly only"},
		"a header without a value": {
			mirrors: "[{name: copy, match: [{headers: {x: {}}}]}]", want: `header "x" has no value to compare with`,
		},
		"a path that cannot be joined": {
			rule: "matches: [{path: {type: PathPrefix, value: /a}}], ", mirrors: `[{name: copy, match: [{path: {regex: "/.*b"}}]}]`,
			want: `path "/.*b" cannot be joined with the path "/a" of the rule`,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := cluster(route(t, "rules: [{"+c.rule+"backendRefs: [{name: stable, weight: 100}, {name: canary, weight: 0}]}]", ""))
			s := at(30)
			if c.headers != "" {
				s = withHeaders(t, s, c.headers)
			}
			if c.mirrors != "" {
				s = withMirrors(t, s, c.mirrors)
			}
			written, err := New(w, w, Options{}).Apply(t.Context(), target(`{httpRoute: web}`), s)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(written) != 0 {
				t.Errorf("wrote %v, %v", written, err)
			}
		})
	}
}
