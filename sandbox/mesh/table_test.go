package mesh

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// send asks a table n times and counts "service subset pod" or "status reason".
func send(table *Table, n int, method, url string, header ...string) map[string]int {
	got := map[string]int{}
	for range n {
		r := httptest.NewRequest(method, url, nil)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		got[decide(table, r)]++
	}
	return got
}

func decide(table *Table, r *http.Request) string {
	to, _ := table.find(newRequest(r))
	if to == nil {
		return "404 no_route"
	}
	if to.status != 0 {
		return fmt.Sprintf("%d %s", to.status, to.reason)
	}
	d := to.pick()
	if d.status != 0 {
		return fmt.Sprintf("%d %s", d.status, d.reason)
	}
	return strings.TrimSpace(d.service+" "+d.subset) + " " + d.ready[d.cursor.next(len(d.ready))].pod
}

const hostLevel = `
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - name: primary
    route:
    - {destination: {host: web-stable}, weight: 95}
    - {destination: {host: web-canary.shop.svc.cluster.local, port: {number: 80}}, weight: 5.0}
`

const subsetLevel = `
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web.example]
  http:
  - route:
    - {destination: {host: web, subset: stable}, weight: 80}
    - {destination: {host: web, subset: canary}, weight: 20}
---
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets:
  - {name: stable, labels: {app: web, rollouts-pod-template-hash: aaa}}
  - {name: canary, labels: {rollouts-pod-template-hash: bbb}}
`

func httpRoute(rules string) string {
	return `
kind: HTTPRoute
metadata: {name: web, generation: 3}
spec:
  parentRefs: [{name: gw}]
  hostnames: [web.example]
  rules:` + strings.ReplaceAll(rules, "\n", "\n  ")
}

func istioHTTPRoutes(http string) string {
	return `
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web.example]
  http:` + strings.ReplaceAll(http, "\n", "\n  ")
}

func bothServices(w *world) {
	w.service("web-stable", pod{name: "s1", hash: "aaa"}, pod{name: "s2", hash: "aaa"})
	w.service("web-canary", pod{name: "c1", hash: "bbb"})
}

func oneService(w *world) {
	w.service("web", pod{name: "s1", hash: "aaa"}, pod{name: "c1", hash: "bbb"}, pod{name: "c2", hash: "bbb", notReady: true})
}

const stable, canary = "shop/web-stable s1", "shop/web-canary c1"

type routing struct {
	routes   string
	services func(*world)
	n        int // 0 means 1
	method   string
	url      string
	header   []string
	want     map[string]int
}

var routings = map[string]routing{
	"host level weights are exact, and endpoints take turns": {routes: hostLevel, services: bothServices, n: 200, url: "http://web/",
		want: map[string]int{stable: 95, "shop/web-stable s2": 95, canary: 10}},
	"a service host has all the names of the service": {routes: hostLevel, services: bothServices, n: 20, url: "http://WEB.shop.svc.cluster.local:80/",
		want: map[string]int{stable: 10, "shop/web-stable s2": 9, canary: 1}},
	"subsets choose pods by label, and only ready ones": {routes: subsetLevel, services: oneService, n: 10, url: "http://web.example/",
		want: map[string]int{"shop/web stable s1": 8, "shop/web canary c1": 2}},
	"a missing subset": {routes: strings.Replace(subsetLevel, "name: canary", "name: other", 1), services: oneService, n: 10, url: "http://web.example/",
		want: map[string]int{"shop/web stable s1": 8, "503 no_subset": 2}},
	"a subset without ready pods": {routes: strings.Replace(subsetLevel, "bbb", "ccc", 1), services: oneService, n: 10, url: "http://web.example/",
		want: map[string]int{"shop/web stable s1": 8, "503 no_endpoints": 2}},
	"a missing service": {routes: hostLevel, services: func(w *world) { w.service("web-stable", pod{name: "s1"}) }, n: 20, url: "http://web/",
		want: map[string]int{stable: 19, "503 no_service": 1}},
	"a missing port": {routes: strings.Replace(hostLevel, "number: 80", "number: 81", 1), services: bothServices, n: 20, url: "http://web/",
		want: map[string]int{stable: 10, "shop/web-stable s2": 9, "503 no_port": 1}},
	"a service whose only pod is not ready": {routes: hostLevel, services: func(w *world) {
		w.service("web-stable", pod{name: "s1"})
		w.service("web-canary", pod{name: "c1", notReady: true})
	}, n: 20, url: "http://web/", want: map[string]int{stable: 19, "503 no_endpoints": 1}},
	"weight 0 gets nothing": {routes: strings.NewReplacer("95", "100", "5.0", "0").Replace(hostLevel), services: bothServices, n: 100, url: "http://web/",
		want: map[string]int{stable: 50, "shop/web-stable s2": 50}},
	"several destinations and no weight": {routes: strings.NewReplacer("95", "0", "5.0", "0").Replace(hostLevel), services: bothServices, url: "http://web/",
		want: map[string]int{"503 zero_weight": 1}},
	"the only destination needs no weight": {services: bothServices, url: "http://web.example/", n: 3,
		routes: istioHTTPRoutes("\n- route: [{destination: {host: web-canary}}]"), want: map[string]int{canary: 3}},
	"an unknown host": {routes: hostLevel, services: bothServices, url: "http://other/", want: map[string]int{"404 no_route": 1}},
	"a service without routes is reached by name": {services: bothServices, url: "http://web-canary.shop/", want: map[string]int{canary: 1}},
	"a wildcard host": {routes: strings.Replace(hostLevel, "[web]", `["*.example"]`, 1), services: bothServices, url: "http://a.b.example/",
		want: map[string]int{stable: 1}},
	"a wildcard host is not the bare domain": {routes: strings.Replace(hostLevel, "[web]", `["*.example"]`, 1), services: bothServices, url: "http://.example/",
		want: map[string]int{"404 no_route": 1}},
	"a service name goes before a wildcard": {routes: strings.Replace(hostLevel, "[web]", `["*"]`, 1), services: bothServices, n: 2, url: "http://web-canary/",
		want: map[string]int{canary: 2}},
	"a header route goes before the weights": {routes: headerRoute, services: bothServices, n: 5, url: "http://web.example/", header: []string{"X-User", "qa-1"},
		want: map[string]int{canary: 5}},
	"matches of a route are alternatives": {routes: headerRoute, services: bothServices, n: 5, url: "http://web.example/", header: []string{"X-Canary", "always"},
		want: map[string]int{canary: 5}},
	"conditions of one match must all hold": {routes: headerRoute, services: bothServices, method: "POST", url: "http://web.example/", header: []string{"X-User", "qa-1"},
		want: map[string]int{stable: 1}},
	"a regex must match the whole value": {routes: headerRoute, services: bothServices, url: "http://web.example/", header: []string{"X-User", "qa-1x"},
		want: map[string]int{stable: 1}},
	"a prefix of the path": {routes: istioHTTPRoutes("\n- match: [{uri: {prefix: /api}, ignoreUriCase: true, queryParams: {a: {exact: b}}}]\n  route: [{destination: {host: web-canary}}]"),
		services: bothServices, url: "http://web.example/API/x?a=b", want: map[string]int{canary: 1}},
	"a query parameter that differs": {routes: istioHTTPRoutes("\n- match: [{uri: {prefix: /api}, queryParams: {a: {exact: b}}}]\n  route: [{destination: {host: web-canary}}]"),
		services: bothServices, url: "http://web.example/api?a=c", want: map[string]int{"404 no_route": 1}},
	"a header that must be absent": {routes: istioHTTPRoutes("\n- match: [{withoutHeaders: {x-bot: {}}}]\n  route: [{destination: {host: web-canary}}]"),
		services: bothServices, url: "http://web.example/", header: []string{"X-Bot", "1"}, want: map[string]int{"404 no_route": 1}},
	"a match on source workloads never holds": {routes: istioHTTPRoutes("\n- match: [{sourceLabels: {app: x}}]\n  route: [{destination: {host: web-canary}}]"),
		services: bothServices, url: "http://web.example/", want: map[string]int{"404 no_route": 1}},
	"a regex that does not compile never holds": {routes: istioHTTPRoutes("\n- match: [{uri: {regex: '('}}]\n  route: [{destination: {host: web-canary}}]"),
		services: bothServices, url: "http://web.example/(", want: map[string]int{"404 no_route": 1}},
	"a redirect is refused, not ignored": {routes: istioHTTPRoutes("\n- redirect: {uri: /x}"), services: bothServices, url: "http://web.example/",
		want: map[string]int{"500 unsupported": 1}},

	"HTTPRoute weights": {routes: httpRoute("\n- backendRefs: [{name: web-stable, port: 80, weight: 9}, {name: web-canary, port: 80}]"), services: bothServices, n: 20,
		url: "http://web.example/", want: map[string]int{stable: 9, "shop/web-stable s2": 9, canary: 2}},
	"HTTPRoute weights of sum 0": {routes: httpRoute("\n- backendRefs: [{name: web-stable, port: 80, weight: 0}]"), services: bothServices,
		url: "http://web.example/", want: map[string]int{"500 zero_weight": 1}},
	"HTTPRoute without backends": {routes: httpRoute("\n- {}"), services: bothServices, url: "http://web.example/", want: map[string]int{"500 zero_weight": 1}},
	"HTTPRoute with a missing backend fails its share": {routes: httpRoute("\n- backendRefs: [{name: web-stable, port: 80}, {name: gone, port: 80}]"), services: bothServices, n: 4,
		url: "http://web.example/", want: map[string]int{stable: 1, "shop/web-stable s2": 1, "500 no_service": 2}},
	"HTTPRoute with a backend elsewhere": {routes: httpRoute("\n- backendRefs: [{name: web-stable, namespace: other, port: 80}]"), services: bothServices,
		url: "http://web.example/", want: map[string]int{"500 not_permitted": 1}},
	"HTTPRoute with a filter that redirects": {routes: httpRoute("\n- filters: [{type: RequestRedirect, requestRedirect: {}}]\n  backendRefs: [{name: web-stable, port: 80}]"), services: bothServices,
		url: "http://web.example/", want: map[string]int{"500 unsupported": 1}},
	"HTTPRoute: more headers go first, whatever the order": {routes: precedence, services: bothServices, url: "http://web.example/cart", header: []string{"X-Canary", "yes"},
		want: map[string]int{canary: 1}},
	"HTTPRoute: without the header the weights decide": {routes: precedence, services: bothServices, url: "http://web.example/cart", want: map[string]int{stable: 1}},
	"HTTPRoute: a longer prefix goes before a header":  {routes: precedence, services: bothServices, url: "http://web.example/cart/old/1", header: []string{"X-Canary", "yes"}, want: map[string]int{stable: 1}},
	"HTTPRoute: an exact path goes before all":         {routes: precedence, services: bothServices, url: "http://web.example/cart/old/x", want: map[string]int{canary: 1}},
	"HTTPRoute: a prefix is whole segments":            {routes: precedence, services: bothServices, url: "http://web.example/carton", want: map[string]int{"404 no_route": 1}},
	"HTTPRoute: methods and parameters":                {routes: precedence, services: bothServices, method: "PUT", url: "http://web.example/other?v=2", want: map[string]int{canary: 1}},
	"HTTPRoute: a parameter that differs":              {routes: precedence, services: bothServices, method: "PUT", url: "http://web.example/other?v=3", want: map[string]int{"404 no_route": 1}},
	"HTTPRoute for a Service as parent": {routes: "kind: HTTPRoute\nmetadata: {name: x}\nspec: {parentRefs: [{kind: Service, group: '', name: web-stable}], rules: [{backendRefs: [{name: web-canary, port: 80}]}]}",
		services: bothServices, url: "http://web-stable.shop.svc/", want: map[string]int{canary: 1}},
	"HTTPRoute without hosts takes every other host": {routes: "kind: HTTPRoute\nmetadata: {name: x}\nspec: {rules: [{backendRefs: [{name: web-canary, port: 80}]}]}",
		services: bothServices, url: "http://anything/", want: map[string]int{canary: 1}},
}

func TestRouting(t *testing.T) { follow(t, routings) }

// follow sends what each case says.
func follow(t *testing.T, routings map[string]routing) {
	t.Helper()
	for name, tc := range routings {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if tc.routes != "" {
				w.apply(tc.routes)
			}
			tc.services(w)
			got := send(Build(w.Objects, nil), max(tc.n, 1), tc.method, tc.url, tc.header...)
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("routing differs (-want +got):\n%s", d)
			}
		})
	}
}

var headerRoute = istioHTTPRoutes(`
- name: hdr
  match:
  - {headers: {x-user: {regex: "qa-[0-9]"}}, method: {exact: GET}}
  - {headers: {x-canary: {prefix: alw}}}
  route: [{destination: {host: web-canary}, weight: 100}]
- name: primary
  route:
  - {destination: {host: web-stable}, weight: 100}
  - {destination: {host: web-canary}, weight: 0}
`)

var precedence = httpRoute(`
- matches: [{path: {type: PathPrefix, value: /cart}}]
  backendRefs: [{name: web-stable, port: 80}]
- name: hdr
  matches: [{path: {type: PathPrefix, value: /cart}, headers: [{name: x-canary, type: RegularExpression, value: "y.*"}]}]
  backendRefs: [{name: web-canary, port: 80}]
- matches: [{path: {type: PathPrefix, value: /cart/old/}}]
  backendRefs: [{name: web-stable, port: 80}]
- matches: [{path: {type: Exact, value: /cart/old/x}}]
  backendRefs: [{name: web-canary, port: 80}]
- matches: [{path: {type: RegularExpression, value: "/oth.r"}, method: PUT, queryParams: [{name: v, value: "2"}]}]
  backendRefs: [{name: web-canary, port: 80}]
`)

func TestMirrorsAndTheirShares(t *testing.T) {
	for name, tc := range map[string]struct {
		routes string
		want   int // of 100 requests
	}{
		"mirror without percentage":         {istioHTTPRoutes("\n- route: [{destination: {host: web-stable}}]\n  mirror: {host: web-canary}"), 100},
		"mirrorPercentage":                  {istioHTTPRoutes("\n- route: [{destination: {host: web-stable}}]\n  mirror: {host: web-canary}\n  mirrorPercentage: {value: 12.5}"), 12},
		"the deprecated mirrorPercent":      {istioHTTPRoutes("\n- route: [{destination: {host: web-stable}}]\n  mirror: {host: web-canary}\n  mirrorPercent: 30"), 30},
		"several mirrors":                   {istioHTTPRoutes("\n- route: [{destination: {host: web-stable}}]\n  mirrors: [{destination: {host: web-canary}, percentage: {value: 10}}, {destination: {host: web-canary}, percentage: {value: 10}}]"), 20},
		"RequestMirror":                     {httpRoute("\n- filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web-canary, port: 80}}}]\n  backendRefs: [{name: web-stable, port: 80}]"), 100},
		"RequestMirror with a percent":      {httpRoute("\n- filters: [{type: RequestMirror, requestMirror: {percent: 7, backendRef: {name: web-canary, port: 80}}}]\n  backendRefs: [{name: web-stable, port: 80}]"), 7},
		"RequestMirror with a fraction":     {httpRoute("\n- filters: [{type: RequestMirror, requestMirror: {fraction: {numerator: 1, denominator: 4}, backendRef: {name: web-canary, port: 80}}}]\n  backendRefs: [{name: web-stable, port: 80}]"), 25},
		"percentages beyond 100 are capped": {istioHTTPRoutes("\n- route: [{destination: {host: web-stable}}]\n  mirror: {host: web-canary}\n  mirrorPercentage: {value: 250}"), 100},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).apply(tc.routes)
			bothServices(w)
			to, _ := Build(w.Objects, nil).find(newRequest(httptest.NewRequest("GET", "http://web.example/", nil)))
			got := 0
			for range 100 {
				for _, m := range to.mirrors {
					if m.service != "shop/web-canary" {
						t.Fatalf("mirror goes to %s", m.service)
					}
					if m.share.next() {
						got++
					}
				}
			}
			if got != tc.want {
				t.Errorf("%d of 100 requests mirrored, want %d", got, tc.want)
			}
		})
	}
}

func TestCountersSurviveNewTables(t *testing.T) {
	w := newWorld(t).apply(hostLevel)
	bothServices(w)
	var table *Table
	got := map[string]int{}
	for range 200 { // a new table for each request
		table = Build(w.Objects, table)
		for k := range send(table, 1, "GET", "http://web/") {
			got[k]++
		}
	}
	if d := cmp.Diff(map[string]int{"shop/web-stable s1": 95, "shop/web-stable s2": 95, "shop/web-canary c1": 10}, got); d != "" {
		t.Errorf("split differs (-want +got):\n%s", d)
	}
}

func TestEveryWindowIsFair(t *testing.T) {
	for _, weights := range [][]int64{{95, 5}, {1, 99}, {50, 50}, {333333, 666667}} {
		p := newPicker(weights)
		seen := []int{0} // picks of the first among the first i
		for range 2000 {
			n := seen[len(seen)-1]
			if p.next() == 0 {
				n++
			}
			seen = append(seen, n)
		}
		share := float64(weights[0]) / float64(weights[0]+weights[1])
		for _, window := range []int{10, 100, 500} {
			for i := 0; i+window < len(seen); i++ {
				if diff := float64(seen[i+window]-seen[i]) - share*float64(window); diff > 1.01 || diff < -1.01 {
					t.Fatalf("weights %v: picks %d to %d are off by %v", weights, i, i+window, diff)
				}
			}
		}
	}
}

func TestBareNamesOfTwoNamespacesDoNotMix(t *testing.T) {
	w := newWorld(t).serviceIn("a", "web", pod{name: "a1"}).serviceIn("b", "web", pod{name: "b1"})
	table := Build(w.Objects, nil)
	for url, want := range map[string]string{"http://web/": "404 no_route", "http://web.a/": "a/web a1", "http://web.b/": "b/web b1"} {
		if got := send(table, 1, "GET", url); got[want] != 1 {
			t.Errorf("%s goes to %v, want %s", url, got, want)
		}
	}
	route := "kind: VirtualService\nmetadata: {name: web, namespace: NS, creationTimestamp: 'TIME'}\nspec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}"
	w.apply(strings.NewReplacer("NS", "a", "TIME", "2026-02-01T00:00:00Z").Replace(route))
	w.apply(strings.NewReplacer("NS", "b", "TIME", "2026-01-01T00:00:00Z").Replace(route))
	table = Build(w.Objects, nil)
	if got := send(table, 1, "GET", "http://web/"); got["b/web b1"] != 1 {
		t.Errorf("the bare name goes to %v, want the older claim, b", got)
	}
	if got := send(table, 1, "GET", "http://web.a/"); got["a/web a1"] != 1 {
		t.Errorf("web.a goes to %v", got)
	}
	if d := cmp.Diff([]string{`host "web" of namespace a is taken by namespace b`}, table.Problems()); d != "" {
		t.Error(d)
	}
}

func TestAppliedNamesTheVersionsThatAreFollowed(t *testing.T) {
	w := newWorld(t).apply(subsetLevel)
	oneService(w)
	want := []Applied{
		{Kind: "VirtualService", Namespace: "shop", Name: "web", ResourceVersion: "100"},
		{Kind: "Service", Namespace: "shop", Name: "web", ResourceVersion: "7"},
		{Kind: "DestinationRule", Namespace: "shop", Name: "web", ResourceVersion: "101"},
	}
	table := Build(w.Objects, nil)
	if d := cmp.Diff(want, table.Applied("web.example")); d != "" {
		t.Errorf("applied differs (-want +got):\n%s", d)
	}
	if got := table.Applied("nowhere.example"); got != nil {
		t.Errorf("an unknown host follows %v", got)
	}
}

func TestReadyMeansWhatTheAPISays(t *testing.T) {
	w := newWorld(t).service("web", pod{name: "p1"}, pod{name: "p2"})
	w.EndpointSlices[0].Endpoints[0].Conditions.Ready = nil          // unknown counts as ready
	w.EndpointSlices = append(w.EndpointSlices, w.EndpointSlices[0]) // the same pods in a second slice
	got := send(Build(w.Objects, nil), 4, "GET", "http://web/")
	if d := cmp.Diff(map[string]int{"shop/web p1": 2, "shop/web p2": 2}, got); d != "" {
		t.Error(d)
	}
}

func TestUnreadObjectsAreProblems(t *testing.T) {
	table := Build(Objects{Unread: []string{"decode x"}}, nil)
	if d := cmp.Diff([]string{"decode x"}, table.Problems()); d != "" {
		t.Error(d)
	}
}

func TestMalformedObjectsDoNotStopTheGateway(t *testing.T) {
	kinds := map[string]func(*Objects, *unstructured.Unstructured) error{
		"VirtualService":  func(o *Objects, u *unstructured.Unstructured) error { return into(&o.VirtualServices, u) },
		"DestinationRule": func(o *Objects, u *unstructured.Unstructured) error { return into(&o.DestinationRules, u) },
		"HTTPRoute":       func(o *Objects, u *unstructured.Unstructured) error { return into(&o.HTTPRoutes, u) },
		"Ingress":         func(o *Objects, u *unstructured.Unstructured) error { return into(&o.Ingresses, u) },
		"TrafficSplit":    func(o *Objects, u *unstructured.Unstructured) error { return into(&o.TrafficSplits, u) },
		"IngressRoute":    func(o *Objects, u *unstructured.Unstructured) error { return into(&o.IngressRoutes, u) },
		"TraefikService":  func(o *Objects, u *unstructured.Unstructured) error { return into(&o.TraefikServices, u) },
	}
	for kind, add := range kinds {
		for spec, readable := range map[string]bool{
			`null`: true, `{}`: true, `{"http":[{}],"hosts":[""],"rules":[{}],"routes":[{}],"backends":[{}],"service":"","weighted":{},"ingressClassName":"nginx","defaultBackend":{}}`: true,
			`{"http":[{"route":[{}],"mirrors":[{}]}],"hosts":["a.example"],"rules":[{"http":{"paths":[{}]}}],"routes":[{"services":[{}]}],"service":"web","mirroring":{"mirrors":[{}]},"ingressClassName":"nginx"}`: true,
			`"text"`: false, `[1]`: false, `7`: false,
		} {
			u := custom(t, `{"kind":"`+kind+`","metadata":{"name":"web","namespace":"shop"},"spec":`+spec+`}`)
			var o Objects
			if err := add(&o, u); (err == nil) != readable {
				t.Errorf("%s with spec %s: %v, want readable %v", kind, spec, err, readable)
			} else if err == nil {
				send(Build(o, nil), 3, "GET", "http://a.example/")
			}
		}
	}
}
