package rollout_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// byALB gives the canary an AWS load balancer.
func byALB(s *snapshot) {
	canary(func(c *v1alpha1.CanaryStrategy) {
		c.TrafficRouting = &v1alpha1.RolloutTrafficRouting{ALB: &v1alpha1.ALBTrafficRouting{Ingress: "web"}}
	})(s)
}

// targets is what the load balancers are known to serve.
func targets(served bool) mod {
	return func(s *snapshot) { s.Targets = &rollout.Targets{Served: served, Why: "0/4 endpoints registered"} }
}

// cut is a blue-green whose active Service was switched to v2 in an update that is not over.
func cut(change func(*v1alpha1.BlueGreenStrategy)) mod {
	return func(s *snapshot) {
		for _, m := range []mod{blue("v1", "v2", change), updating(4, 4), seen} {
			m(s)
		}
		w := traffic.Two(traffic.DefaultTotal, 0, traffic.Destination{Service: "active", Hash: "v2"}, traffic.Destination{Service: "preview", Hash: "v2"})
		s.Traffic = traffic.State{Written: w, Live: []traffic.Split{w}, Known: true}
		s.Services = slices.Clone(s.Services)
		s.Services[0].Hash = "v2"
		s.Status.BlueGreen.ScaleUpPreviewCheckPoint = true
	}
}

func TestWhenTargetsMatter(t *testing.T) {
	aborted := func(s *snapshot) { s.Status.Abort = true }
	for name, c := range map[string]struct {
		mods          []mod
		service, hash string
	}{
		"blue-green, switched":                     {[]mod{cut(nil)}, "active", "v2"},
		"blue-green, not switched yet":             {[]mod{blue("v1", "v2", nil), updating(4, 4)}, "", ""},
		"blue-green, aborted":                      {[]mod{cut(nil), aborted}, "", ""},
		"blue-green, promoted":                     {[]mod{blue("v1", "v1", nil), old("v0", 0, 4, 4)}, "active", "v1"},
		"blue-green, nothing old has pods":         {[]mod{blue("v1", "v1", nil), old("v0", 0, 0, 0)}, "", ""},
		"a load balancer, promoted":                {[]mod{routed(0, "v1"), byALB, old("v0", 0, 4, 4)}, "stable", "v1"},
		"a load balancer, weight on the canary":    {[]mod{routed(100, "v1"), byALB}, "stable", "v1"},
		"a load balancer, nothing to wait for":     {[]mod{routed(0, "v1"), byALB}, "", ""},
		"a load balancer, in an update":            {[]mod{routed(25, "v2"), byALB, updating(1, 1)}, "", ""},
		"another router":                           {[]mod{routed(0, "v1"), old("v0", 0, 4, 4)}, "", ""},
		"no router":                                {[]mod{old("v0", 0, 4, 4)}, "", ""},
		"the stable Service leads elsewhere":       {[]mod{routed(0, "v1"), byALB, old("v0", 0, 4, 4), func(s *snapshot) { s.Traffic.Written.Destinations[0].Hash = "v0" }}, "", ""},
		"a Rollout that is being deleted":          {[]mod{blue("v1", "v1", nil), old("v0", 0, 4, 4), func(s *snapshot) { s.Deleting = true }}, "", ""},
		"one whose spec is invalid, and held back": {[]mod{blue("v1", "v1", nil), old("v0", 0, 4, 4), func(s *snapshot) { s.Invalid = "x" }}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			service, hash, due := rollout.TargetsDue(given(c.mods...))
			if service != c.service && due || due != (c.service != "") || due && hash != c.hash {
				t.Errorf("%v: %s %s", due, service, hash)
			}
		})
	}
}

// Covers: outage 2.
func TestNothingOldGoesBeforeTheLoadBalancersServeTheNew(t *testing.T) {
	deadline := of("v0", func(r *rollout.Revision) { r.RetireAt = noon.Add(-1) })
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		"blue-green: old pods get no deadline":           {[]mod{blue("v1", "v1", nil), old("v0", 0, 4, 4), targets(false)}, nil},
		"blue-green: nor go by the one they have":        {[]mod{blue("v1", "v1", nil), old("v0", 0, 4, 4), deadline, targets(false)}, nil},
		"blue-green: they do when all is served":         {[]mod{blue("v1", "v1", nil), old("v0", 0, 4, 4), deadline, targets(true)}, []string{"scale v0 from 4 to 0"}},
		"canary: old pods stay":                          {[]mod{routed(0, "v1"), byALB, old("v0", 0, 4, 4), deadline, targets(false)}, nil},
		"canary: they go when all is served":             {[]mod{routed(0, "v1"), byALB, old("v0", 0, 4, 4), deadline, targets(true)}, []string{"scale v0 from 4 to 0"}},
		"canary: the weight stays where targets are":     {[]mod{routed(100, "v1"), byALB, targets(false)}, nil},
		"canary: it goes back when stable's are served":  {[]mod{routed(100, "v1"), byALB, targets(true)}, []string{"set split Stable v1 100 + Canary v1 0"}},
		"canary: a shrinking stable waits too":           {[]mod{routed(0, "v1"), byALB, canary(func(c *v1alpha1.CanaryStrategy) { c.DynamicStableScale = true }), old("v0", 0, 4, 4), targets(false)}, nil},
		"the wanted revision may be scaled all the same": {[]mod{routed(0, "v1"), byALB, old("v0", 0, 4, 4), targets(false), func(s *snapshot) { s.Spec.Replicas = ptr(int32(2)) }}, []string{"scale v1 from 4 to 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(c.mods...))
			does(t, p, c.want...)
			waiting := strings.Contains(strings.Join(waits(p), "\n"), "TargetGroupUnverified: 0/4 endpoints registered")
			if held := c.want == nil || strings.HasPrefix(name, "the wanted"); waiting != held {
				t.Errorf("waits for %v", waits(p))
			}
		})
	}
}

func TestAPromotionWaitsForTheLoadBalancers(t *testing.T) {
	measured := func(b *v1alpha1.BlueGreenStrategy) { b.PostPromotionAnalysis = inline("smoke").Analysis }
	for name, c := range map[string]struct {
		mods   []mod
		stable string
		runs   bool
	}{
		"not served: no promotion":                   {[]mod{cut(nil), targets(false)}, "v1", false},
		"served: it is promoted":                     {[]mod{cut(nil), targets(true)}, "v2", false},
		"nothing to wait for":                        {[]mod{cut(nil)}, "v2", false},
		"not served: no analysis":                    {[]mod{cut(measured), targets(false)}, "v1", false},
		"served: the analysis begins":                {[]mod{cut(measured), targets(true)}, "v1", true},
		"not served any more: the analysis goes on":  {[]mod{cut(measured), targets(true), seen, targets(false)}, "v1", true},
		"a full promotion waits for the targets too": {[]mod{cut(nil), targets(false), func(s *snapshot) { s.Status.PromoteFull = true }}, "v1", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(c.mods...))
			started := strings.Contains(strings.Join(lines(p), "\n"), "start analysis") || p.Status.BlueGreen.PostPromotionAnalysisRunStatus != nil
			if p.Status.StableRS != c.stable || started != c.runs {
				t.Errorf("stable %s, actions %v, waits for %v", p.Status.StableRS, lines(p), waits(p))
			}
			if strings.Contains(strings.Join(lines(p), "\n"), "point service active at v1") {
				t.Error("it goes back")
			}
		})
	}
}
