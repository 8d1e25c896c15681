package rollout

import (
	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// The weights of the small world belong to its two Services; whose role each Service has
// is told by the status where the roles change places with every promotion.

// newPingPongArena is the small world of a canary whose roles change places.
func newPingPongArena(steps []v1alpha1.CanaryStep) *arena {
	return newArena(steps, func(c *v1alpha1.CanaryStrategy) {
		c.PingPong = &v1alpha1.PingPongSpec{PingService: "canary", PongService: "stable"}
	})
}

func sideOf(ping bool) v1alpha1.PingPongType {
	if ping {
		return v1alpha1.PPPing
	}
	return v1alpha1.PPPong
}

// split is what the route gives the Services, in the words of the roles.
func (a *arena) split(s *small, weight, canary, stable int8, extra bool) traffic.Split {
	share := a.weights[weight]
	ca, st := traffic.Destination{Service: "canary", Hash: hashOf(canary)}, traffic.Destination{Service: "stable", Hash: hashOf(stable)}
	if s.Ping {
		share, ca, st = 100-share, st, ca
	}
	out := traffic.Two(100, share, st, ca)
	if extra {
		x := traffic.Destination{Role: traffic.Extra, Service: "trial", Hash: "trial", Weight: min(trialWeight, out.Destinations[0].Weight)}
		out.Destinations[0].Weight -= x.Weight
		out.Destinations = append(out.Destinations, x)
	}
	return out
}

// shareOf is what a split gives a Service.
func shareOf(s traffic.Split, service string) (w int32) {
	for _, d := range s.Destinations {
		if d.Service == service {
			w += d.Weight
		}
	}
	return w
}

// checkSeen holds a new split against the pods that the planner itself saw.
func (a *arena) checkSeen(s *small, to traffic.Split) string {
	w := a.weightIndex(shareOf(to, "canary"))
	for i := int8(0); i < revs; i++ {
		avail := s.Revs[i].Avail
		if !s.Ping && w > s.Weight && s.LiveCanary&(1<<i) != 0 && avail < pods(s.N, a.weights[w]) ||
			s.Ping && w < s.Weight && s.LiveStable&(1<<i) != 0 && avail < pods(s.N, 100-a.weights[w]) {
			return "weight moved to pods that are not available"
		}
	}
	return ""
}

// checkWeight holds a weight write against who would receive the traffic.
func (a *arena) checkWeight(s *small, n, w int8) string {
	for i := int8(0); i < revs; i++ {
		r := s.Revs[i]
		if w > s.Weight && s.LiveCanary&(1<<i) != 0 && a.short(s, r, pods(n, a.weights[w]), s.Ping, s.StableTo) {
			return "weight moved to a " + map[bool]string{false: "canary", true: "stable"}[s.Ping] + " that is not there"
		}
		if w < s.Weight && s.LiveStable&(1<<i) != 0 && a.short(s, r, pods(n, 100-a.weights[w]), !s.Ping, s.Canary) {
			return "weight moved to a " + map[bool]string{true: "canary", false: "stable"}[s.Ping] + " that is not there"
		}
	}
	return ""
}

// short reports that a revision is too small for a share. Stable may be, where nobody
// answers on the other side, and for an abort that has waited long enough.
func (a *arena) short(s *small, r smallRev, need int8, toStable bool, other int8) bool {
	if toStable && s.Dated == 2 {
		need = min(need, 1)
	}
	return r.Desired < need && (!toStable || s.Revs[max(other, 0)].Avail > 0)
}

// serves reports that all traffic goes to one revision, by the Service of stable.
func (a *arena) serves(s *small, rev int8) bool {
	if s.Ping {
		return s.LiveCanary == 1<<rev && s.LiveWeights == 1<<(len(a.weights)-1)
	}
	return s.LiveStable == 1<<rev && s.LiveWeights == 1
}
