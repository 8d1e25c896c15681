package gatewayapi

import (
	"cmp"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

// routeOf is a route of a kind with one rule for both Services, and others before it.
func routeOf(t testing.TB, k *kind, name, rules string) *unstructured.Unstructured {
	return routertest.Object(t, "apiVersion: "+Options{}.gvk(k).GroupVersion().String()+"\nkind: "+k.name+
		"\nmetadata: {name: "+name+", namespace: shop, generation: 3}\nspec: {rules: ["+rules+"]}\n")
}

const pair = "{backendRefs: [{name: stable, weight: 70}, {name: canary, weight: 30}]}"

var published = map[string]string{
	"HTTPRoute": "backendRef was not found in httpRoute", "GRPCRoute": "backendRef was not found in grpcRoute",
	"TCPRoute": "backendRef list was not found in tcpRoute", "TLSRoute": "backendRef list was not found in tlsRoute",
}

// bad is input that cannot carry a split.
type bad struct {
	section  string // of the rollout, with KEY for the kind's; default {KEY: web}
	rules    string // of the route web
	split    traffic.Split
	want     []string // parts of the sentence
	missing  bool     // the sentence is in an error that says not found
	late     bool     // refused when it is written, and not before
	requests bool     // only where rules look at requests
}

func badInputs(k *kind) map[string]bad {
	noRule := []string{published[k.name] + ": " + k.name + "/shop/web has no rule in spec.rules with both Services", "in its backendRefs: add them"}
	return map[string]bad{
		"no rule with both Services": {rules: "{backendRefs: [{name: stable}]}, {backendRefs: [{name: canary}, {name: stable, namespace: other}]}", want: noRule},
		"a rule without backends":    {rules: "{}", want: noRule},
		"no such object": {
			section: "{KEYs: [{name: web}, {name: gone}]}", rules: pair, missing: true,
			want: []string{path + "." + k.section + "s[1].name: get " + k.name + "/shop/gone: ", "not found: create it, or name another one"},
		},
		"two entries of one name": {
			section: "{KEYs: [{name: web, useHeaderRoutes: true}, {name: web}]}", rules: pair,
			want: []string{path + "." + k.section + "s[1].name: name each " + k.name + ` once, got "web" again`},
		},
		"a user's rule with the name of a managed route": {
			rules: pair + ", {name: copy, backendRefs: [{name: stable, weight: 70}, {name: canary, weight: 30}]}", requests: true,
			want: []string{k.name + `/shop/web: spec.rules[1].name: "copy" is the name of a managed route`, "rename it, or take the name out of " + routing + ".managedRoutes"},
		},
		"a user's rule with that name and one backend": {
			rules: pair + ", {name: hdr, backendRefs: [{name: stable}]}", requests: true,
			want: []string{k.name + `/shop/web: spec.rules[1].name: "hdr" is the name of a managed route`, "rename it"},
		},
		"weights of another sum": {
			rules: pair, late: true, split: traffic.Two(1000, 30, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"}),
			want: []string{"the weights add up to 1000, but the rollout's total is 100: see " + routing + ".maxTrafficWeight"},
		},
	}
}

// Covers: traffic edge 186.
func TestBadInputIsRefusedWithTheObjectThePathAndTheRepair(t *testing.T) {
	for _, k := range kinds {
		for sentence, c := range badInputs(k) {
			if k.requests() || !c.requests {
				t.Run(k.name+", "+sentence, func(t *testing.T) { c.check(t, k) })
			}
		}
	}
}

func (c bad) check(t *testing.T, k *kind) {
	if c.split.IsZero() {
		c.split = at(20)
	}
	w := cluster(routeOf(t, k, "web", c.rules))
	r := New(w, w, Options{})
	tg := target(strings.ReplaceAll(cmp.Or(c.section, "{KEY: web}"), "KEY", k.section))
	o, err := r.Observe(t.Context(), tg)
	says := o.Problem
	if c.missing {
		if !apierrors.IsNotFound(err) {
			t.Fatalf("observe: %v", err)
		}
		says = err.Error()
	}
	written, err := r.Apply(t.Context(), tg, c.split)
	if err == nil || len(written) != 0 || !c.late && err.Error() != says {
		t.Fatalf("observed %q, applied %v, %v", says, written, err)
	}
	for _, want := range c.want {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := r.Apply(t.Context(), tg, traffic.Split{}); err != nil {
		t.Errorf("the zero split: %v", err)
	}
	if got, before := rulesOf(t, w, k, "web", " ["+c.rules+"]"); len(got.([]any)) != len(before.([]any)) {
		t.Errorf("of %v there is left %v", before, got)
	}
}

// A weight that does not fit is read so that there are pods for all of it, and mended.
func TestWeightsOfARouteThatDoNotSumAreMended(t *testing.T) {
	for _, k := range kinds {
		w := cluster(routeOf(t, k, "web", "{backendRefs: [{name: stable, weight: 1}, {name: canary, weight: 2}]}"))
		r := New(w, w, Options{})
		tg := target("{" + k.section + ": web}")
		if o, err := r.Observe(t.Context(), tg); err != nil || o.Written.Weight(traffic.Stable) != 34 || o.Written.Weight(traffic.Canary) != 67 {
			t.Errorf("%s: observed %s, %v", k.name, o.Written, err)
		}
		apply(t, r, tg, at(67))
	}
}

func TestRoutesOfConnectionsCarryWeightsOnly(t *testing.T) {
	for section, kinds := range map[string]string{
		`{tcpRoute: web}`: "a TCPRoute", `{tlsRouteSelector: {}, tcpRoutes: [{name: web, useHeaderRoutes: true}]}`: "a TCPRoute or TLSRoute",
	} {
		w := cluster(routeOf(t, kindNamed("TCPRoute"), "web", pair))
		r := New(w, w, Options{})
		for what, s := range map[string]traffic.Split{
			`header route "hdr"`:  withHeaders(t, at(20), betaUsers),
			`mirror route "copy"`: withMirrors(t, at(20), "[{name: copy, match: [{method: {exact: POST}}]}]"),
		} {
			written, err := r.Apply(t.Context(), target(section), s)
			want := "route shop/web with the Gateway API: " + what + " cannot be set: " + kinds + " does not look at requests: name an HTTPRoute or a GRPCRoute too, or take the step out"
			if err == nil || err.Error() != want || len(written) != 0 {
				t.Errorf("wrote %v, %v", written, err)
			}
		}
		apply(t, r, target(section), withExtra(at(20), "exp", 5))
	}
}

func TestAClaimThatIsCopiedToARouteOfConnectionsIsMended(t *testing.T) {
	k := kindNamed("TCPRoute")
	u := routeOf(t, k, "web", pair)
	u.SetAnnotations(map[string]string{traffic.ClaimAnnotation: `{"shop/web":{"mirrors":[{"name":"copy","match":[{"method":{"exact":"POST"}}]}]}}`})
	w := cluster(u)
	r := New(w, w, Options{})
	if o, err := r.Observe(t.Context(), target(`{tcpRoute: web}`)); err != nil || o.Problem != "" || o.Written.Equal(at(30)) {
		t.Errorf("observed %s, %q %v", o.Written, o.Problem, err)
	}
	apply(t, r, target(`{tcpRoute: web}`), at(30))
}
