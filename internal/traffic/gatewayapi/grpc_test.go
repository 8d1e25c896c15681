package gatewayapi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

// rulesOf gives the rules of an object of a kind as YAML text has them.
func rulesOf(t *testing.T, c client.Client, k *kind, name, want string) (got, wanted any) {
	t.Helper()
	u := routertest.Object(t, "apiVersion: v1\nkind: X\nrules:"+strings.ReplaceAll(want, "\n", "\n  "))
	wanted = u.Object["rules"]
	u.SetGroupVersionKind(Options{}.gvk(k))
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, u); err != nil {
		t.Fatal(err)
	}
	return u.Object["spec"].(map[string]any)["rules"], wanted
}

// Covers: traffic edge 186.
func TestManagedRoutesOfAGRPCRoute(t *testing.T) {
	const before = `
- name: main
  matches: [{method: {service: shop.Cart}, headers: [{name: x-rule, value: a}]}, {headers: [{name: x-rule, value: b}]}]
  filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-debug]}}]
  sessionPersistence: {sessionName: a}
  backendRefs: [{name: stable, port: 80, weight: 80}, {name: canary, port: 81, weight: 20}]
- {name: preview, backendRefs: [{name: canary, port: 80}]}
- backendRefs: [{name: canary, weight: 20}, {name: stable, weight: 80}]`
	u := routertest.Object(t, "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: web, namespace: shop}\nspec:\n  rules:"+
		strings.ReplaceAll(before, "\n", "\n  "))
	w := cluster(u)
	r := New(w, w, Options{})
	tg := target(`{grpcRoute: web}`)
	s := withMirrors(t, withHeaders(t, at(20), `[{name: hdr, match: [{headerName: x-beta, headerValue: {exact: "1"}}]}]`),
		`[{name: copy, percentage: 25, match: [{method: {exact: GET}}, {method: {exact: POST}, path: {exact: /shop.Cart/Add}}]}]`)
	apply(t, r, tg, s)
	got, want := rulesOf(t, w, kindNamed("GRPCRoute"), "web", `
- name: hdr
  matches:
  - {method: {service: shop.Cart}, headers: [{name: x-rule, value: a}, {name: x-beta, type: Exact, value: "1"}]}
  - {headers: [{name: x-rule, value: b}, {name: x-beta, type: Exact, value: "1"}]}
  filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-debug]}}]
  sessionPersistence: {sessionName: a}
  backendRefs: [{name: canary, port: 81, weight: 1}]
- name: hdr-1
  matches: [{headers: [{name: x-beta, type: Exact, value: "1"}]}]
  backendRefs: [{name: canary, weight: 1}]
- name: copy
  matches:
  - {method: {type: Exact, service: shop.Cart, method: Add}, headers: [{name: x-rule, value: a}]}
  - {method: {type: Exact, service: shop.Cart, method: Add}, headers: [{name: x-rule, value: b}]}
  filters:
  - {type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-debug]}}
  - {type: RequestMirror, requestMirror: {backendRef: {group: "", kind: Service, name: canary, port: 81}, percent: 25}}
  sessionPersistence: {sessionName: a}
  backendRefs: [{name: stable, port: 80, weight: 80}, {name: canary, port: 81, weight: 20}]
- name: copy-1
  matches: [{method: {type: Exact, service: shop.Cart, method: Add}}]
  filters: [{type: RequestMirror, requestMirror: {backendRef: {group: "", kind: Service, name: canary}, percent: 25}}]
  backendRefs: [{name: canary, weight: 20}, {name: stable, weight: 80}]`+before)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	apply(t, r, tg, at(20))
	got, want = rulesOf(t, w, kindNamed("GRPCRoute"), "web", before)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWhatARequestIsToAGRPCRoute(t *testing.T) {
	sm := func(kind, service, method string) map[string]any {
		m := map[string]any{}
		for key, value := range map[string]string{"type": kind, "service": service, "method": method} {
			if value != "" {
				m[key] = value
			}
		}
		return m
	}
	none := map[string]any(nil)
	for sentence, c := range map[string]struct {
		method, path v1alpha1.StringMatch
		rule, want   map[string]any // nil: no request, or any
		any          bool
		problem      string
	}{
		"every request is a POST":                         {method: v1alpha1.StringMatch{Exact: "POST"}, any: true},
		"none is a GET":                                   {method: v1alpha1.StringMatch{Exact: "GET"}},
		"a method by prefix":                              {method: v1alpha1.StringMatch{Prefix: "P"}, problem: "compares methods exactly only"},
		"a path is service and method":                    {path: v1alpha1.StringMatch{Exact: "/a.B/C"}, want: sm(exact, "a.B", "C")},
		"a prefix is a service":                           {path: v1alpha1.StringMatch{Prefix: "/a.B"}, want: sm(exact, "a.B", "")},
		"a prefix with a slash is the same":               {path: v1alpha1.StringMatch{Prefix: "/a.B/"}, want: sm(exact, "a.B", "")},
		"a prefix of both is one method":                  {path: v1alpha1.StringMatch{Prefix: "/a.B/C"}, want: sm(exact, "a.B", "C")},
		"the prefix of all":                               {path: v1alpha1.StringMatch{Prefix: "/"}, any: true},
		"a path without a method":                         {path: v1alpha1.StringMatch{Exact: "/a.B"}},
		"a path that is too long":                         {path: v1alpha1.StringMatch{Prefix: "/a.B/C/d"}},
		"a path that ends in a slash":                     {path: v1alpha1.StringMatch{Exact: "/a.B/"}},
		"a path without a service":                        {path: v1alpha1.StringMatch{Exact: "//C"}},
		"a path without a root":                           {path: v1alpha1.StringMatch{Exact: "a.B/C"}},
		"a path by a regular expression":                  {path: v1alpha1.StringMatch{Regex: "/a.*"}, problem: "compares service and method, and not the path"},
		"the rule's service, and one of its methods":      {path: v1alpha1.StringMatch{Exact: "/a/b"}, rule: sm("", "a", ""), want: sm(exact, "a", "b")},
		"the rule's method, of one service":               {path: v1alpha1.StringMatch{Prefix: "/a"}, rule: sm(exact, "", "b"), want: sm(exact, "a", "b")},
		"another service than the rule's":                 {path: v1alpha1.StringMatch{Prefix: "/a"}, rule: sm(exact, "x", "b")},
		"another method than the rule's":                  {path: v1alpha1.StringMatch{Exact: "/a/c"}, rule: sm(exact, "", "b")},
		"a rule without either is for all":                {path: v1alpha1.StringMatch{Prefix: "/a"}, rule: sm(regex, "", ""), want: sm(exact, "a", "")},
		"a rule with regular expressions is not narrowed": {path: v1alpha1.StringMatch{Prefix: "/a"}, rule: sm(regex, "a.*", ""), problem: `path "/a" cannot be joined`},
	} {
		t.Run(sentence, func(t *testing.T) {
			route := traffic.Route{Name: "copy", Mirror: &v1alpha1.SetMirrorRoute{Name: "copy", Match: []v1alpha1.RouteMatch{{Method: &c.method, Path: &c.path}}}}
			k := kindNamed("GRPCRoute")
			rule, got := map[string]any{}, none
			if c.rule != nil {
				rule["matches"] = []any{map[string]any{"method": c.rule}}
			}
			wanted, problem := k.conditions(route)
			var list []any
			if problem == "" {
				list, problem = k.narrowed(rule, wanted)
			}
			if len(list) == 1 {
				got, _ = list[0].(map[string]any)["method"].(map[string]any)
			}
			if d := cmp.Diff(c.want, got); d != "" || !strings.Contains(problem, c.problem) || (problem == "") != (c.problem == "") {
				t.Errorf("problem %q: %s", problem, d)
			}
			if (len(list) == 1) != (c.any || c.want != nil) {
				t.Errorf("%d matches", len(list))
			}
		})
	}
}
