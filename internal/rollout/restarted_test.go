package rollout_test

import (
	"testing"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// A controller that has just begun reads weight 0, while proxies may still send all of the
// traffic to what the Service led to a moment ago.
//
// Covers: outage 2, outage 5.
func TestAControllerThatHasJustBegunPointsNothingAtTooFewPods(t *testing.T) {
	pingPong := canary(func(c *v1alpha1.CanaryStrategy) {
		c.PingPong = &v1alpha1.PingPongSpec{PingService: "canary", PongService: "stable"}
	})
	supersede := func(available int32) mod {
		return func(s *snapshot) {
			s.Status.Canary.StablePingPong = v1alpha1.PPPong
			old("v2", 2, 4, 4)(s)
			updating(4, available)(s)
			of("v2", func(r *rollout.Revision) { r.Current = false })(s)
			s.Revisions[0].Hash, s.Revisions[0].Number, s.Revisions[0].Current = "v3", 3, true
			s.TemplateHash, s.Status.CurrentPodHash, s.Number = "v3", "v3", 3
		}
	}
	for name, c := range map[string]struct {
		mods  []mod
		known bool
		want  bool
	}{
		"ping-pong, no pod yet, unknown":       {[]mod{pingPong, supersede(0)}, false, false},
		"ping-pong, no pod yet, known":         {[]mod{pingPong, supersede(0)}, true, true},
		"ping-pong, all pods up, unknown":      {[]mod{pingPong, supersede(4)}, false, false},
		"roles that stay, one pod up, unknown": {[]mod{supersede(1)}, false, false},
		"roles that stay, one pod up, known":   {[]mod{supersede(1)}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := given(append([]mod{routed(0, "v2")}, c.mods...)...)
			s.Traffic = traffic.State{Written: s.Traffic.Written, Live: s.Traffic.Live, Known: c.known}
			p := rollout.Decide(s)
			if got := acts(p, rollout.SetSelector{Service: "canary", From: "v2", Hash: "v3"}); got != c.want {
				t.Errorf("pointed: %v, want %v; it does %v and waits for %v", got, c.want, lines(p), waits(p))
			}
		})
	}
}

// After a promotion the stable Service was pointed at the new revision a moment ago: to take
// the weight off the canary Service, which leads to the same pods, may wait.
//
// Covers: outage 2.
func TestAControllerThatHasJustBegunSendsNothingBackToStableBeforeItIsSettled(t *testing.T) {
	back := func(hash string, known bool) rollout.Plan {
		s := given(routed(100, hash), updating(4, 4), func(s *snapshot) { s.Status.Abort = hash != "v1" })
		s.Traffic = traffic.State{Written: s.Traffic.Written, Live: s.Traffic.Live, Known: known}
		return rollout.Decide(s)
	}
	zero := func(p rollout.Plan) bool {
		for _, a := range p.Actions {
			if x, ok := a.(rollout.SetSplit); ok && x.Split.Weight(traffic.Canary) == 0 {
				return true
			}
		}
		return false
	}
	if p := back("v1", false); zero(p) {
		t.Errorf("it does %v", lines(p))
	}
	if p := back("v1", true); !zero(p) {
		t.Errorf("it does %v and waits for %v", lines(p), waits(p))
	}
	if p := back("v2", false); !zero(p) {
		t.Errorf("an abort has to wait: it does %v and waits for %v", lines(p), waits(p))
	}
}

func acts(p rollout.Plan, a rollout.Action) bool {
	for _, x := range p.Actions {
		if x == a {
			return true
		}
	}
	return false
}
