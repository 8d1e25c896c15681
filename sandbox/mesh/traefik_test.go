package mesh

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ingressRoute has one route to one reference.
func ingressRoute(rule, to string) string {
	return "kind: IngressRoute\nmetadata: {name: web}\nspec: {routes: [{kind: Rule, match: '" + rule + "', services: [" + to + "]}]}"
}

func traefikService(name, spec string) string {
	return "\n---\nkind: TraefikService\nmetadata: {name: " + name + "}\nspec: " + spec
}

const (
	webExample   = "Host(`web.example`)"
	stableRef    = "{name: web-stable, port: 80}"
	canaryRef    = "{name: web-canary, port: http}"
	weightedRef  = "{name: web, kind: TraefikService}"
	weightedSpec = "{weighted: {services: [{name: web-stable, port: 80, weight: 95}, {name: web-canary, port: 80, weight: 5}]}}"
)

var traefikRoutings = map[string]routing{
	"a Service": {routes: ingressRoute(webExample, canaryRef), services: bothServices, url: "http://WEB.example/", want: map[string]int{canary: 1}},
	"a weighted TraefikService": {routes: ingressRoute(webExample, weightedRef) + traefikService("web", weightedSpec), services: bothServices, n: 200, url: "http://web.example/",
		want: map[string]int{stable: 95, "shop/web-stable s2": 95, canary: 10}},
	"services of a route share by weight, 1 if none is given": {routes: ingressRoute(webExample, "{name: web-stable, port: 80, weight: 3}, "+canaryRef), services: bothServices, n: 8, url: "http://web.example/",
		want: map[string]int{stable: 3, "shop/web-stable s2": 3, canary: 2}},
	"a nested one gets its share of the share": {services: bothServices, n: 60, url: "http://web.example/",
		routes: ingressRoute(webExample, weightedRef) + traefikService("web", "{weighted: {services: [{name: web-stable, port: 80, weight: 2}, {name: inner, kind: TraefikService, weight: 1}]}}") +
			traefikService("inner", "{weighted: {services: [{name: web-stable, port: 80, weight: 9}, {name: web-canary, port: 80, weight: 1}]}}"),
		want: map[string]int{stable: 29, "shop/web-stable s2": 29, canary: 2}},
	"weight 0 gets nothing": {routes: ingressRoute(webExample, weightedRef) + traefikService("web", strings.Replace(weightedSpec, "weight: 5", "weight: 0", 1)), services: bothServices, n: 100, url: "http://web.example/",
		want: map[string]int{stable: 50, "shop/web-stable s2": 50}},
	"no weight": {routes: ingressRoute(webExample, weightedRef) + traefikService("web", strings.NewReplacer("weight: 95", "weight: 0", "weight: 5", "weight: -5").Replace(weightedSpec)), services: bothServices, url: "http://web.example/",
		want: map[string]int{"503 zero_weight": 1}},
	"no weight in a nested one fails its share": {services: bothServices, n: 2, url: "http://web.example/",
		routes: ingressRoute(webExample, canaryRef+", {name: inner, kind: TraefikService}") + traefikService("inner", "{weighted: {services: []}}"),
		want:   map[string]int{canary: 1, "503 zero_weight": 1}},
	"a TraefikService that is not there": {routes: ingressRoute(webExample, weightedRef), services: bothServices, url: "http://web.example/", want: map[string]int{"503 no_service": 1}},
	"one that leads to itself":           {routes: ingressRoute(webExample, weightedRef) + traefikService("web", "{weighted: {services: ["+weightedRef+"]}}"), services: bothServices, url: "http://web.example/", want: map[string]int{"500 unsupported": 1}},
	"one of another type":                {routes: ingressRoute(webExample, weightedRef) + traefikService("web", "{failover: {}}"), services: bothServices, url: "http://web.example/", want: map[string]int{"500 unsupported": 1}},
	"mirroring leads to its main service": {routes: ingressRoute(webExample, weightedRef) + traefikService("web", "{mirroring: {name: web-canary, port: 80, mirrors: [{name: web-stable, port: 80, percent: 10}]}}"), services: bothServices, n: 2, url: "http://web.example/",
		want: map[string]int{canary: 2}},
	"weights that cannot be counted together": {services: bothServices, url: "http://web.example/",
		routes: ingressRoute(webExample, weightedRef) + traefikService("web", "{weighted: {services: [{name: a, kind: TraefikService, weight: 2147483647}, {name: web-stable, port: 80, weight: 2147483646}]}}") +
			traefikService("a", "{weighted: {services: [{name: web-canary, port: 80, weight: 2147483645}, {name: web-stable, port: 80, weight: 2147483643}]}}"),
		want: map[string]int{"500 unsupported": 1}},
	"a Service elsewhere":     {routes: ingressRoute(webExample, "{name: web-stable, namespace: other, port: 80}"), services: bothServices, url: "http://web.example/", want: map[string]int{"500 not_permitted": 1}},
	"a port must be given":    {routes: ingressRoute(webExample, "{name: web-stable}"), services: bothServices, url: "http://web.example/", want: map[string]int{"503 no_port": 1}},
	"middlewares are refused": {routes: strings.Replace(ingressRoute(webExample, stableRef), "kind: Rule", "kind: Rule, middlewares: [{name: m}]", 1), services: bothServices, url: "http://web.example/", want: map[string]int{"500 unsupported": 1}},
	"another host":            {routes: ingressRoute(webExample, stableRef), services: bothServices, url: "http://other.example/", want: map[string]int{"404 no_route": 1}},
	"a prefix is plain text":  {routes: ingressRoute(webExample+" && PathPrefix(`/cart`)", stableRef), services: bothServices, url: "http://web.example/carton", want: map[string]int{stable: 1}},
	"a path is exact":         {routes: ingressRoute(webExample+" && Path(`/cart`)", stableRef), services: bothServices, url: "http://web.example/cart/", want: map[string]int{"404 no_route": 1}},
	"a header, as one of several values": {routes: ingressRoute(webExample+" && Header(`x-user`, `qa`)", stableRef), services: bothServices, url: "http://web.example/", header: []string{"X-User", "dev", "X-User", "qa"},
		want: map[string]int{stable: 1}},
	"a header that differs": {routes: ingressRoute(webExample+" && Header(`x-user`, `qa`)", stableRef), services: bothServices, url: "http://web.example/", header: []string{"X-User", "QA"},
		want: map[string]int{"404 no_route": 1}},
	"either host": {routes: ingressRoute("Host(`a.example`) || Host(\"b.example\")", stableRef), services: bothServices, url: "http://b.example/", want: map[string]int{stable: 1}},
	"&& binds tighter than ||": {routes: ingressRoute("Host(`a.example`) || Host(`b.example`) && Path(`/x`)", stableRef), services: bothServices, url: "http://b.example/",
		want: map[string]int{"404 no_route": 1}},
	"parentheses": {routes: ingressRoute("(Host(`a.example`) || Host(`b.example`)) && Path(`/x`)", stableRef), services: bothServices, url: "http://a.example/x", want: map[string]int{stable: 1}},
	"a wildcard host is one label": {routes: ingressRoute("Host(`*.example`)", stableRef), services: bothServices, url: "http://a.example/",
		want: map[string]int{stable: 1}},
	"a wildcard host is not two labels": {routes: ingressRoute("Host(`*.example`)", stableRef), services: bothServices, url: "http://a.b.example/",
		want: map[string]int{"404 no_route": 1}},
	"a rule without host holds for every host":     {routes: ingressRoute("PathPrefix(`/`)", stableRef), services: bothServices, url: "http://any.example/", want: map[string]int{stable: 1}},
	"the longer rule goes first":                   {routes: priorities(""), services: bothServices, url: "http://web.example/x", want: map[string]int{canary: 1}},
	"a priority goes before the length":            {routes: priorities("priority: 1000, "), services: bothServices, url: "http://web.example/x", want: map[string]int{stable: 1}},
	"a rule without host may go first on any host": {routes: priorities("priority: 1000, "), services: bothServices, url: "http://a.example/x", want: map[string]int{stable: 1}},
}

// priorities has a short rule for every host, and a longer one for one host.
func priorities(short string) string {
	return "kind: IngressRoute\nmetadata: {name: web}\nspec: {routes: [{" + short + "match: 'Path(`/x`)', services: [" + stableRef + "]}, {match: '" + webExample + " && PathPrefix(`/`)', services: [" + canaryRef + "]}]}"
}

func TestTraefikRouting(t *testing.T) { follow(t, traefikRoutings) }

func TestProblemsOfTraefik(t *testing.T) {
	deep := ingressRoute(webExample, "{name: t0, kind: TraefikService}")
	for i := range maxNesting + 1 {
		deep += traefikService(fmt.Sprintf("t%d", i), fmt.Sprintf("{weighted: {services: [{name: t%d, kind: TraefikService}]}}", i+1))
	}
	for name, tc := range map[string]struct{ routes, want string }{
		"a rule that is no expression": {ingressRoute("Host(", stableRef), "routes[0]: match \"Host(\""},
		"an empty rule":                {ingressRoute("", stableRef), "routes[0]: match \"\""},
		"a matcher that is unknown":    {ingressRoute("ClientIP(`::1`)", stableRef), "matcher ClientIP is not supported"},
		"an operator that is unknown":  {ingressRoute(webExample+" + Path(`/`)", stableRef), "it is not made of matchers joined with && and ||"},
		"a negation":                   {ingressRoute("!"+webExample, stableRef), "it is not made of matchers"},
		"half a rule that is unknown":  {ingressRoute(webExample+" && 1", stableRef), "it is not made of matchers"},
		"a method":                     {ingressRoute("a.Host(`x`)", stableRef), "it calls something without a name"},
		"too many arguments":           {ingressRoute("Host(`a`, `b`)", stableRef), "matcher Host takes 1 arguments, not 2"},
		"an argument that is no text":  {ingressRoute("Host(1)", stableRef), "matcher Host takes strings"},
		"a kind that is unknown":       {strings.Replace(ingressRoute(webExample, stableRef), "Rule", "Law", 1), `kind "Law" is unknown`},
		"a service's kind":             {ingressRoute(webExample, "{name: x, kind: Bucket}"), `kind "Bucket" of shop/x is unknown`},
		"a missing TraefikService":     {ingressRoute(webExample, weightedRef), "TraefikService shop/web does not exist"},
		"a loop":                       {ingressRoute(webExample, weightedRef) + traefikService("web", "{mirroring: "+weightedRef+"}"), "TraefikService shop/web leads to itself"},
		"too deep":                     {deep, "TraefikService shop/t8 stands deeper than 8"},
		"a child's middlewares":        {ingressRoute(webExample, "{name: web-stable, port: 80, middlewares: [{name: m}]}"), "middlewares of shop/web-stable is not supported"},
		"a mirror to several Services": {ingressRoute(webExample, "{name: m, kind: TraefikService}") + traefikService("m", "{mirroring: {name: web-stable, port: 80, mirrors: [{name: web, kind: TraefikService, percent: 5}]}}") + traefikService("web", weightedSpec),
			"a mirror of TraefikService shop/m leads to several Services"},
		"parents": {strings.Replace(ingressRoute(webExample, stableRef), "spec: {", "spec: {parentRefs: [{name: p}], ", 1), "parentRefs is not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).apply(tc.routes)
			bothServices(w)
			table := Build(w.Objects, nil)
			if got := table.Problems(); len(got) != 1 || !strings.HasPrefix(got[0], "IngressRoute shop/web routes[0]: ") || !strings.Contains(got[0], tc.want) {
				t.Errorf("problems %q, want one of the route that says %q", got, tc.want)
			}
			send(table, 3, "GET", "http://web.example/")
		})
	}
}

func TestTraefikMirrorsCountTheRequestsOfTheirService(t *testing.T) {
	w := newWorld(t).apply(ingressRoute(webExample, "{name: web-canary, port: 80, weight: 1}, {name: m, kind: TraefikService, weight: 3}") +
		traefikService("m", "{mirroring: {name: web, kind: TraefikService, mirrors: [{name: web-canary, port: 80, percent: 10}, {name: web-stable, port: 80}]}}") +
		traefikService("web", "{weighted: {services: [{name: web-stable, port: 80}, {name: web-canary, port: 80}]}}"))
	bothServices(w)
	to, _ := Build(w.Objects, nil).find(newRequest(httptest.NewRequest("GET", "http://web.example/", nil)))
	got := map[string]int{}
	for range 800 {
		d := to.pick()
		got[d.service]++
		for _, m := range d.mirrors {
			if m.share.next() {
				got["mirror "+m.service]++
			}
		}
	}
	// Of 800 requests 600 are for the mirroring service, and a tenth of them is mirrored.
	if d := cmp.Diff(map[string]int{"shop/web-canary": 500, "shop/web-stable": 300, "mirror shop/web-canary": 60}, got); d != "" {
		t.Errorf("requests differ (-want +got):\n%s", d)
	}
}

func TestAppliedNamesTraefikServices(t *testing.T) {
	w := newWorld(t).apply(ingressRoute(webExample, weightedRef) + traefikService("web", weightedSpec))
	bothServices(w)
	want := []Applied{
		{Kind: "IngressRoute", Namespace: "shop", Name: "web", ResourceVersion: "100"},
		{Kind: "TraefikService", Namespace: "shop", Name: "web", ResourceVersion: "101"},
		{Kind: "Service", Namespace: "shop", Name: "web-stable", ResourceVersion: "7"},
		{Kind: "Service", Namespace: "shop", Name: "web-canary", ResourceVersion: "7"},
	}
	if d := cmp.Diff(want, Build(w.Objects, nil).Applied("web.example")); d != "" {
		t.Errorf("applied differs (-want +got):\n%s", d)
	}
}
