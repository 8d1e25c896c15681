package mesh

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func trafficSplit(version, backends string) string {
	return "apiVersion: split.smi-spec.io/" + version + "\nkind: TrafficSplit\nmetadata: {name: web}\nspec: {service: web, backends: [" + backends + "]}"
}

// withRoot adds a root Service in front of both, with a pod of its own.
func withRoot(w *world) {
	bothServices(w)
	w.service("web", pod{name: "r1"})
}

var trafficSplitRoutings = map[string]routing{
	"weights of v1alpha1 are quantities": {routes: trafficSplit("v1alpha1", "{service: web-canary, weight: 500m}, {service: web-stable, weight: '9.5'}"), services: withRoot, n: 200, url: "http://web/",
		want: map[string]int{stable: 95, "shop/web-stable s2": 95, canary: 10}},
	"weights of v1alpha2 are numbers": {routes: trafficSplit("v1alpha2", "{service: web-canary, weight: 5}, {service: web-stable, weight: 95}"), services: withRoot, n: 200, url: "http://web.shop.svc/",
		want: map[string]int{stable: 95, "shop/web-stable s2": 95, canary: 10}},
	"weights of v1alpha3 are numbers": {routes: trafficSplit("v1alpha3", "{service: web-canary, weight: 100}, {service: web-stable, weight: 0}"), services: withRoot, n: 2, url: "http://web.shop/",
		want: map[string]int{canary: 2}},
	"a root with its whole name": {routes: strings.Replace(trafficSplit("v1alpha2", "{service: web-canary, weight: 1}"), "service: web,", "service: web.shop.svc.cluster.local,", 1), services: withRoot, url: "http://web/",
		want: map[string]int{canary: 1}},
	"a backend that is the root means its pods": {routes: trafficSplit("v1alpha2", "{service: web-canary, weight: 1}, {service: web, weight: 1}"), services: withRoot, n: 4, url: "http://web/",
		want: map[string]int{canary: 2, "shop/web r1": 2}},
	"a backend asked for by its own name is not split": {routes: trafficSplit("v1alpha2", "{service: web-canary, weight: 1}"), services: withRoot, url: "http://web-stable/",
		want: map[string]int{stable: 1}},
	"a root that is no Service": {routes: trafficSplit("v1alpha2", "{service: web-canary, weight: 1}"), services: bothServices, url: "http://web/",
		want: map[string]int{canary: 1}},
	"a missing backend fails its share": {routes: trafficSplit("v1alpha2", "{service: gone, weight: 1}, {service: web-canary, weight: 1}"), services: withRoot, n: 4, url: "http://web/",
		want: map[string]int{canary: 2, "503 no_service": 2}},
	"no weight": {routes: trafficSplit("v1alpha2", "{service: web-stable, weight: 0}, {service: web-canary}"), services: withRoot, url: "http://web/",
		want: map[string]int{"503 zero_weight": 1}},
	"no backend": {routes: trafficSplit("v1alpha2", ""), services: withRoot, url: "http://web/", want: map[string]int{"503 zero_weight": 1}},
	"a weight below 0 counts as 0": {routes: trafficSplit("v1alpha2", "{service: web-stable, weight: -5}, {service: web-canary, weight: 1}"), services: withRoot, n: 2, url: "http://web/",
		want: map[string]int{canary: 2}},
	"a weight that is too large counts as 0": {routes: trafficSplit("v1alpha1", "{service: web-stable, weight: 1E}, {service: web-canary, weight: '1'}"), services: withRoot, n: 2, url: "http://web/",
		want: map[string]int{canary: 2}},
	"matches are refused, not ignored": {routes: strings.Replace(trafficSplit("v1alpha3", "{service: web-canary, weight: 1}"), "service: web,", "service: web, matches: [{kind: HTTPRouteGroup, name: g}],", 1), services: withRoot, url: "http://web/",
		want: map[string]int{"500 unsupported": 1}},
	"of two splits of a root the older one counts": {services: withRoot, url: "http://web/", n: 2,
		routes: strings.Replace(trafficSplit("v1alpha2", "{service: web-stable, weight: 1}"), "{name: web}", "{name: young, creationTimestamp: '2026-02-01T00:00:00Z'}", 1) + "\n---\n" +
			strings.Replace(trafficSplit("v1alpha2", "{service: web-canary, weight: 1}"), "{name: web}", "{name: old, creationTimestamp: '2026-01-01T00:00:00Z'}", 1),
		want: map[string]int{canary: 2}},
}

func TestTrafficSplitRouting(t *testing.T) { follow(t, trafficSplitRoutings) }

func TestProblemsOfTrafficSplits(t *testing.T) {
	good := trafficSplit("v1alpha2", "{service: web-canary, weight: 1}")
	for name, tc := range map[string]struct {
		routes string
		want   []string
	}{
		"a good split": {routes: good},
		"no root":      {strings.Replace(good, "service: web,", "", 1), []string{"TrafficSplit shop/web: it names no Service"}},
		"two splits of a root": {good + "\n---\n" + strings.Replace(good, "name: web}", "name: web2}", 1),
			[]string{"TrafficSplit shop/web2: TrafficSplit shop/web is older and splits Service shop/web"}},
		"a weight out of range": {trafficSplit("v1alpha1", "{service: web-canary, weight: '-1'}"),
			[]string{"TrafficSplit shop/web: weight -1 of Service web-canary is outside 0 to 2147483647"}},
		"matches": {strings.Replace(good, "service: web,", "service: web, matches: [{}],", 1), []string{"TrafficSplit shop/web: matches is not supported"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).apply(tc.routes)
			withRoot(w)
			if d := cmp.Diff(tc.want, Build(w.Objects, nil).Problems()); d != "" {
				t.Errorf("problems differ (-want +got):\n%s", d)
			}
		})
	}
}
