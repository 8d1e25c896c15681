package rollout_test

import (
	"testing"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// pinned makes the router one that pins revisions itself, by subsets of an Istio
// DestinationRule; the Services are as they are.
func pinned(s *snapshot) {
	s.Pinned = true
	for i := range s.Traffic.Written.Destinations {
		s.Traffic.Written.Destinations[i].Service = ""
	}
	s.Traffic.Live = []traffic.Split{s.Traffic.Written}
}

// The Services carry no weights where subsets do, but a test of the canary reaches it by
// its Service, and no old pod is held for a Service that was left behind.
//
// Covers: edge 88.
func TestServicesFollowBesideSubsets(t *testing.T) {
	update := []mod{routed(25, "v2"), updating(1, 1), pinned}
	service := func(name, hash string) mod {
		return func(s *snapshot) {
			for i := range s.Services {
				if s.Services[i].Name == name {
					s.Services[i].Hash = hash
				}
			}
		}
	}
	for name, c := range map[string]struct {
		mods []mod
		want []rollout.Action
	}{
		"they are where they belong":               {update, nil},
		"the canary's goes to the new revision":    {append(update, service("canary", "v1")), []rollout.Action{rollout.SetSelector{Service: "canary", From: "v1", Hash: "v2"}}},
		"not before it has a pod":                  {append(update, service("canary", "v1"), pods("v2", 1, 0)), nil},
		"stable's comes back":                      {append(update, service("stable", "v2")), []rollout.Action{rollout.SetSelector{Service: "stable", From: "v2", Hash: "v1"}}},
		"one that is not there is not waited for":  {append(update, func(s *snapshot) { s.Services = nil }), nil},
		"after the promotion both are at the same": {[]mod{routed(0, "v1"), pinned, service("canary", "v0")}, []rollout.Action{rollout.SetSelector{Service: "canary", From: "v0", Hash: "v1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(c.mods...))
			got := 0
			for _, a := range p.Actions {
				if _, is := a.(rollout.SetSelector); is {
					got++
				}
			}
			if got != len(c.want) {
				t.Errorf("it does %v, want %v", lines(p), c.want)
			}
			for _, a := range c.want {
				if !acts(p, a) {
					t.Errorf("it does %v, want %v", lines(p), c.want)
				}
			}
		})
	}
}

// Somebody pointed the stable Service at the canary, and all proxies have followed. The
// way back must find its pods, although nobody is sent to them yet.
//
// Covers: outage 4, outage 18.
func TestPodsStayForTheRevisionThatAServiceGoesBackTo(t *testing.T) {
	shrink := canary(func(c *v1alpha1.CanaryStrategy) { c.DynamicStableScale = true })
	s := given(routed(25, "v2"), steps(weight(25), weight(100)), updating(4, 1), at(1), shrink, func(s *snapshot) {
		s.Services[0].Hash = "v2"
		s.Traffic.Written.Destinations[0].Hash = "v2"
		s.Traffic.Live = []traffic.Split{s.Traffic.Written}
	})
	p := rollout.Decide(s)
	if !acts(p, rollout.SetSelector{Service: "stable", From: "v2", Hash: "v1"}) {
		t.Fatalf("it does %v and waits for %v", lines(p), waits(p))
	}
	for _, a := range p.Actions {
		if x, ok := a.(rollout.Scale); ok && x.Hash == "v1" && x.To < 3 {
			t.Errorf("it does %v", lines(p))
		}
	}
}
