package mesh

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mainIngress = `
kind: Ingress
metadata: {name: web, annotations: {}}
spec:
  ingressClassName: nginx
  rules: [{host: web.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web-stable, port: {number: 80}}}}]}}]
`

// canaryIngress has annotations beside the one that makes it a canary.
func canaryIngress(annotations string) string {
	return strings.NewReplacer("name: web,", "name: web-canary,", "web-stable", "web-canary",
		"annotations: {}", "annotations: {nginx.ingress.kubernetes.io/canary: 'true'"+annotations+"}").Replace(mainIngress)
}

func byWeight(weight string) string {
	return ", nginx.ingress.kubernetes.io/canary-weight: '" + weight + "'"
}

func byHeader(keyAndMore string) string {
	return byWeight("0") + ", nginx.ingress.kubernetes.io/canary-by-header: " + keyAndMore
}

func ingressPaths(paths string) string {
	return "kind: Ingress\nmetadata: {name: web}\nspec: {ingressClassName: nginx, rules: [{host: web.example, http: {paths: [" + paths + "]}}]}"
}

const (
	toStable = "backend: {service: {name: web-stable, port: {name: http}}}"
	toCanary = "backend: {service: {name: web-canary, port: {number: 80}}}"
)

var ingressRoutings = map[string]routing{
	"an Ingress alone": {routes: mainIngress, services: bothServices, n: 2, url: "http://web.example/x",
		want: map[string]int{stable: 1, "shop/web-stable s2": 1}},
	"an Ingress of another class is somebody else's": {routes: strings.Replace(mainIngress, "ClassName: nginx", "ClassName: alb", 1), services: bothServices,
		url: "http://web.example/", want: map[string]int{"404 no_route": 1}},
	"the annotation of the class goes before the field": {routes: strings.Replace(mainIngress, "annotations: {}", "annotations: {kubernetes.io/ingress.class: alb}", 1), services: bothServices,
		url: "http://web.example/", want: map[string]int{"404 no_route": 1}},
	"the class as an annotation": {routes: strings.NewReplacer("annotations: {}", "annotations: {kubernetes.io/ingress.class: nginx}", "  ingressClassName: nginx\n", "").Replace(mainIngress),
		services: bothServices, url: "http://web.example/", want: map[string]int{stable: 1}},
	"a canary by weight": {routes: mainIngress + "---" + canaryIngress(byWeight("5")), services: bothServices, n: 200, url: "http://web.example/",
		want: map[string]int{stable: 95, "shop/web-stable s2": 95, canary: 10}},
	"the order of the objects does not count": {routes: canaryIngress(byWeight("50")) + "---" + mainIngress, services: bothServices, n: 2, url: "http://web.example/",
		want: map[string]int{stable: 1, canary: 1}},
	"a canary with a total": {routes: mainIngress + "---" + canaryIngress(byWeight("1")+", nginx.ingress.kubernetes.io/canary-weight-total: '1000'"), services: bothServices, n: 2000, url: "http://web.example/",
		want: map[string]int{stable: 999, "shop/web-stable s2": 999, canary: 2}},
	"a weight above the total is the total": {routes: mainIngress + "---" + canaryIngress(byWeight("150")), services: bothServices, n: 3, url: "http://web.example/",
		want: map[string]int{canary: 3}},
	"a weight of 0, and a canary Service that is not there": {routes: mainIngress + "---" + canaryIngress(byWeight("0")), url: "http://web.example/", n: 4,
		services: func(w *world) { w.service("web-stable", pod{name: "s1"}) }, want: map[string]int{stable: 4}},
	"a canary without rules gets nothing": {routes: mainIngress + "---" + canaryIngress(""), services: bothServices, n: 2, url: "http://web.example/",
		want: map[string]int{stable: 1, "shop/web-stable s2": 1}},
	"a canary of no Ingress is not a route": {routes: canaryIngress(byWeight("100")), services: bothServices, url: "http://web.example/",
		want: map[string]int{"404 no_route": 1}},
	"a canary of another path is none": {routes: strings.Replace(mainIngress, "path: /,", "path: /shop,", 1) + "---" + canaryIngress(byWeight("100")), services: bothServices, url: "http://web.example/shop",
		want: map[string]int{stable: 1}},
	"a canary of another kind of path is none": {routes: strings.Replace(mainIngress, "pathType: Prefix", "pathType: Exact", 1) + "---" + canaryIngress(byWeight("100")), services: bothServices, url: "http://web.example/",
		want: map[string]int{stable: 1}},
	"a canary of another host is none": {routes: mainIngress + "---" + strings.Replace(canaryIngress(byWeight("100")), "web.example", "other.example", 1), services: bothServices, url: "http://web.example/",
		want: map[string]int{stable: 1}},
	"annotation canary false": {routes: strings.Replace(mainIngress, "annotations: {}", "annotations: {nginx.ingress.kubernetes.io/canary: 'false'}", 1), services: bothServices, url: "http://web.example/",
		want: map[string]int{stable: 1}},
	"header always": {routes: mainIngress + "---" + canaryIngress(byHeader("x-canary")), services: bothServices, n: 3, url: "http://web.example/", header: []string{"X-Canary", "always"},
		want: map[string]int{canary: 3}},
	"header never goes before the weight": {routes: mainIngress + "---" + canaryIngress(byWeight("100")+", nginx.ingress.kubernetes.io/canary-by-header: x-canary"), services: bothServices, n: 2, url: "http://web.example/", header: []string{"X-Canary", "never"},
		want: map[string]int{stable: 1, "shop/web-stable s2": 1}},
	"another value of the header goes by weight": {routes: mainIngress + "---" + canaryIngress(byHeader("x-canary")), services: bothServices, url: "http://web.example/", header: []string{"X-Canary", "yes"},
		want: map[string]int{stable: 1}},
	"a header value": {routes: mainIngress + "---" + canaryIngress(byHeader("x-user, nginx.ingress.kubernetes.io/canary-by-header-value: qa")), services: bothServices, url: "http://web.example/", header: []string{"X-User", "qa"},
		want: map[string]int{canary: 1}},
	"a header value replaces always": {routes: mainIngress + "---" + canaryIngress(byHeader("x-user, nginx.ingress.kubernetes.io/canary-by-header-value: qa")), services: bothServices, url: "http://web.example/", header: []string{"X-User", "always"},
		want: map[string]int{stable: 1}},
	"a header pattern is found anywhere": {routes: mainIngress + "---" + canaryIngress(byHeader("x-user, nginx.ingress.kubernetes.io/canary-by-header-pattern: 'qa-[0-9]'")), services: bothServices, url: "http://web.example/", header: []string{"X-User", "the qa-7 team"},
		want: map[string]int{canary: 1}},
	"a value goes before a pattern": {routes: mainIngress + "---" + canaryIngress(byHeader("x-user, nginx.ingress.kubernetes.io/canary-by-header-value: a, nginx.ingress.kubernetes.io/canary-by-header-pattern: '.*'")), services: bothServices, url: "http://web.example/", header: []string{"X-User", "b"},
		want: map[string]int{stable: 1}},
	"a pattern that does not compile never holds": {routes: mainIngress + "---" + canaryIngress(byHeader("x-user, nginx.ingress.kubernetes.io/canary-by-header-pattern: '('")), services: bothServices, url: "http://web.example/", header: []string{"X-User", "("},
		want: map[string]int{stable: 1}},
	"a longer path goes first": {routes: ingressPaths("{path: /, pathType: Prefix, " + toStable + "}, {path: /cart, pathType: Prefix, " + toCanary + "}"), services: bothServices, url: "http://web.example/cart/x",
		want: map[string]int{canary: 1}},
	"a prefix is whole segments": {routes: ingressPaths("{path: /, pathType: Prefix, " + toStable + "}, {path: /cart, pathType: Prefix, " + toCanary + "}"), services: bothServices, url: "http://web.example/carton",
		want: map[string]int{stable: 1}},
	"an implementation specific path is a plain prefix": {routes: ingressPaths("{path: /cart, pathType: ImplementationSpecific, " + toCanary + "}"), services: bothServices, url: "http://web.example/carton",
		want: map[string]int{canary: 1}},
	"an exact path goes before a prefix": {routes: ingressPaths("{path: /cart, pathType: Prefix, " + toStable + "}, {path: /cart, pathType: Exact, " + toCanary + "}"), services: bothServices, url: "http://web.example/cart",
		want: map[string]int{canary: 1}},
	"the default backend takes the rest of the host": {routes: strings.Replace(ingressPaths("{path: /cart, pathType: Prefix, "+toStable+"}"), "rules:", "defaultBackend: {service: {name: web-canary, port: {number: 80}}}, rules:", 1), services: bothServices, url: "http://web.example/x",
		want: map[string]int{canary: 1}},
	"a default backend without rules takes every other host": {routes: "kind: Ingress\nmetadata: {name: web}\nspec: {ingressClassName: nginx, defaultBackend: {service: {name: web-canary, port: {number: 80}}}}", services: bothServices, url: "http://any.example/",
		want: map[string]int{canary: 1}},
	"a rule without host takes every other host": {routes: strings.Replace(mainIngress, "host: web.example, ", "", 1), services: bothServices, url: "http://any.example/",
		want: map[string]int{stable: 1}},
	"a wildcard is one label": {routes: strings.Replace(mainIngress, "host: web.example", "host: '*.example'", 1), services: bothServices, url: "http://a.example/",
		want: map[string]int{stable: 1}},
	"a wildcard is not two labels": {routes: strings.Replace(mainIngress, "host: web.example", "host: '*.example'", 1), services: bothServices, url: "http://a.b.example/",
		want: map[string]int{"404 no_route": 1}},
	"a port that has no such name": {routes: ingressPaths("{path: /, pathType: Prefix, " + strings.Replace(toStable, "http", "grpc", 1) + "}"), services: bothServices, url: "http://web.example/",
		want: map[string]int{"503 no_port": 1}},
	"a backend that is no Service": {routes: ingressPaths("{path: /, pathType: Prefix, backend: {resource: {kind: Bucket, name: b}}}"), services: bothServices, url: "http://web.example/",
		want: map[string]int{"503 no_service": 1}},
	"a kind of path that is unknown": {routes: ingressPaths("{path: /, pathType: Regex, " + toStable + "}"), services: bothServices, url: "http://web.example/",
		want: map[string]int{"404 no_route": 1}},
	"an annotation that changes the request": {routes: strings.Replace(mainIngress, "annotations: {}", "annotations: {nginx.ingress.kubernetes.io/rewrite-target: /}", 1), services: bothServices, url: "http://web.example/",
		want: map[string]int{"500 unsupported": 1}},
}

func TestIngressRouting(t *testing.T) { follow(t, ingressRoutings) }

func TestProblemsOfIngresses(t *testing.T) {
	for name, tc := range map[string]struct {
		routes string
		want   []string
	}{
		"a good pair": {routes: mainIngress + "---" + canaryIngress(byWeight("5"))},
		"a canary of no Ingress": {canaryIngress(byWeight("5")),
			[]string{"Ingress shop/web-canary web.example/: it is a canary of no other Ingress"}},
		"a second canary": {mainIngress + "---" + canaryIngress(byWeight("5")) + "---" + strings.Replace(canaryIngress(byWeight("7")), "web-canary,", "web-next,", 1),
			[]string{"Ingress shop/web-next web.example/: Ingress shop/web-canary web.example/ is older and has this place"}},
		"no class": {strings.Replace(mainIngress, "  ingressClassName: nginx\n", "", 1),
			[]string{"Ingress shop/web: it has no class, so nobody follows it"}},
		"annotations that say nothing": {mainIngress + "---" + canaryIngress(byWeight("five")+", nginx.ingress.kubernetes.io/canary-weight-total: '0'"),
			[]string{`Ingress shop/web-canary: annotation canary-weight "five": want a whole number from 0`,
				`Ingress shop/web-canary: annotation canary-weight-total "0": want a whole number from 1`}},
		"a canary that is neither true nor false": {strings.Replace(mainIngress, "annotations: {}", "annotations: {nginx.ingress.kubernetes.io/canary: maybe}", 1),
			[]string{`Ingress shop/web: annotation canary "maybe": want true or false`}},
		"a cookie": {mainIngress + "---" + canaryIngress(", nginx.ingress.kubernetes.io/canary-by-cookie: c"),
			[]string{`Ingress shop/web-canary: annotation canary-by-cookie "c": it is not supported`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).apply(tc.routes)
			bothServices(w)
			if d := cmp.Diff(tc.want, Build(w.Objects, nil).Problems()); d != "" {
				t.Errorf("problems differ (-want +got):\n%s", d)
			}
		})
	}
}

func TestAppliedNamesBothIngresses(t *testing.T) {
	w := newWorld(t).apply(mainIngress + "---" + canaryIngress(byWeight("0")))
	bothServices(w)
	want := []Applied{
		{Kind: "Ingress", Namespace: "shop", Name: "web", ResourceVersion: "100"},
		{Kind: "Ingress", Namespace: "shop", Name: "web-canary", ResourceVersion: "101"},
		{Kind: "Service", Namespace: "shop", Name: "web-stable", ResourceVersion: "7"},
	}
	if d := cmp.Diff(want, Build(w.Objects, nil).Applied("web.example")); d != "" {
		t.Errorf("applied differs (-want +got):\n%s", d)
	}
}
