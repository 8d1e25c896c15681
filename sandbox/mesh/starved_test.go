package mesh

import (
	"strings"
	"testing"
)

func TestStarved(t *testing.T) {
	ready, gone := []pod{{name: "p1"}}, []pod{{name: "p1", notReady: true}}
	for name, c := range map[string]struct {
		stable, canary []pod
		route          string
		want           []string // in the lines
	}{
		"both have pods":                      {ready, ready, hostLevel, nil},
		"the canary has weight and no pod":    {ready, gone, hostLevel, []string{"web-canary"}},
		"the canary has no pod and no weight": {ready, gone, strings.Replace(hostLevel, "5.0", "0", 1), nil},
		"neither has a pod":                   {gone, gone, hostLevel, []string{"web-stable", "web-canary"}},
		"no weight at all":                    {ready, ready, strings.NewReplacer("95", "0", "5.0", "0").Replace(hostLevel), []string{"zero_weight"}},
		"a host that nothing names":           {ready, ready, strings.Replace(hostLevel, "[web]", "[other]", 1), []string{"no_route"}},
		"a Service that no route sends to":    {ready, ready, strings.Replace(hostLevel, "web-stable", "web-gone", 1), []string{"no_service"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).service("web-stable", c.stable...).service("web-canary", c.canary...).apply(c.route)
			got := Build(w.Objects, nil).Starved("web")
			if len(got) != len(c.want) {
				t.Fatalf("starved: %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("starved: %q, want %q", got[i], want)
				}
			}
		})
	}
}
