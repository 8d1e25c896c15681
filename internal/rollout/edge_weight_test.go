package rollout_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// TestWhichWeight has the published numbers of the routing spec: what is written next, "" for
// nothing.
func TestWhichWeight(t *testing.T) {
	size := func(n int32) mod { return func(s *snapshot) { s.Spec.Replicas = ptr(n) } }
	dynamic := canary(func(c *v1alpha1.CanaryStrategy) { c.DynamicStableScale = true })
	abort := func(s *snapshot) { s.Status.Abort = true }
	full := func(s *snapshot) { s.Status.PromoteFull = true }
	threshold := func(percent int32) mod {
		return canary(func(c *v1alpha1.CanaryStrategy) {
			c.ReplicaProgressThreshold = &v1alpha1.ReplicaProgressThreshold{Type: v1alpha1.ProgressTypePercentage, Value: percent}
		})
	}
	const million = 1_000_000
	fine := func(s *snapshot) { // a router that counts in parts of a hundred million
		routed(0, "v2")(s)
		canary(func(c *v1alpha1.CanaryStrategy) { c.TrafficRouting.MaxTrafficWeight = ptr(int32(100 * million)) })(s)
		w := traffic.Two(100*million, 0, traffic.Destination{Service: "stable", Hash: "v1"}, traffic.Destination{Service: "canary", Hash: "v2"})
		s.Traffic = traffic.State{Written: w, Live: []traffic.Split{w}, Known: true}
		persist(s)
	}
	for name, c := range map[string]struct {
		mods []mod
		want string // the canary's next weight, "" for no change
	}{
		// Covers: traffic edge 138.
		"not all pods of the next step": {[]mod{size(10), steps(weight(10), weight(20), pause()), routed(10, "v2"), updating(2, 1), pods("v1", 10, 10), at(1)}, ""},
		// Covers: traffic edge 138.
		"all pods of the next step": {[]mod{size(10), steps(weight(10), weight(20), pause()), routed(10, "v2"), updating(2, 2), pods("v1", 10, 10), at(1)}, "Canary v2 20"},
		// Covers: traffic edge 139.
		"no pod of the canary is left": {[]mod{size(10), steps(weight(10), pause()), routed(10, "v2"), updating(1, 0), pods("v1", 10, 10), at(1)}, "Canary v2 0"},
		// Covers: traffic edge 140.
		"a full promotion in which pods come up": {[]mod{size(10), steps(weight(5), pause()), routed(5, "v2"), updating(10, 5), pods("v1", 10, 10), full}, ""},
		// Covers: traffic edge 142.
		"all steps are done": {[]mod{steps(weight(25)), routed(25, "v2"), updating(4, 4), at(1)}, "Canary v2 100"},
		// Covers: traffic edge 143.
		"an abort at weight 0 with a stable that lacks a pod": {[]mod{size(5), dynamic, steps(weight(50), pause()), routed(0, "v2"), updating(5, 5), pods("v1", 5, 4), abort}, ""},
		// Covers: traffic edge 144.
		"an abort at full weight with one stable pod": {[]mod{size(5), dynamic, steps(pause()), routed(100, "v2"), updating(5, 5), pods("v1", 5, 1), abort}, "Canary v2 80"},
		// Covers: traffic edge 145.
		"an abort at full weight with half of stable": {[]mod{size(5), dynamic, steps(weight(50), pause()), routed(100, "v2"), updating(4, 4), pods("v1", 5, 3), abort}, "Canary v2 50"},
		// Covers: traffic edge 149.
		"the progress threshold is reached": {[]mod{size(5), threshold(80), steps(weight(100)), routed(0, "v2"), updating(5, 4), pods("v1", 5, 5)}, "Canary v2 100"},
		// Covers: traffic edge 149.
		"the progress threshold is not reached": {[]mod{size(5), threshold(80), steps(weight(100)), routed(0, "v2"), updating(5, 3), pods("v1", 5, 5)}, ""},
		// Covers: traffic edge 149.
		"without a threshold all pods count": {[]mod{size(5), steps(weight(100)), routed(0, "v2"), updating(5, 4), pods("v1", 5, 5)}, ""},
		// Covers: traffic edge 150.
		"half of a hundred million, with pods for it": {[]mod{size(50), steps(weight(50*million), pause()), fine, updating(25, 25), pods("v1", 50, 50)}, "Canary v2 50000000"},
		// Covers: traffic edge 150.
		"half of a hundred million, with too few pods": {[]mod{size(50), steps(weight(50*million), pause()), fine, updating(25, 24), pods("v1", 50, 50)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(c.mods...))
			i := slices.IndexFunc(p.Actions, func(a rollout.Action) bool { _, is := a.(rollout.SetSplit); return is })
			switch {
			case i < 0 && c.want != "":
				t.Errorf("no split is written, want %s; waiting %v", c.want, waits(p))
			case i >= 0 && (c.want == "" || !strings.HasSuffix(p.Actions[i].String(), c.want)):
				t.Errorf("%s, want %q", p.Actions[i], c.want)
			}
		})
	}
}

// A canary that receives traffic while another revision is wanted gives its share back first,
// and only then the Service leads elsewhere.
//
// Covers: traffic edge 148.
func TestTheShareGoesBeforeTheRevisionChanges(t *testing.T) {
	next := func(s *snapshot) {
		for i := range s.Revisions {
			s.Revisions[i].Current = false
		}
		r := revision("v3", 3, 1, 1)
		r.Current = true
		s.Revisions = append([]rollout.Revision{r}, s.Revisions...)
		s.TemplateHash, s.Status.CurrentPodHash, s.Number, s.Generation = "v3", "v3", 3, 3
		persist(s)
		at(0)(s)
	}
	s := given(steps(weight(5), pause()), routed(5, "v2"), updating(1, 1), next)
	does(t, rollout.Decide(s), "set split Stable v1 100 + Canary v2 0")
	w := traffic.Two(100, 0, traffic.Destination{Service: "stable", Hash: "v1"}, traffic.Destination{Service: "canary", Hash: "v2"})
	s.Traffic = traffic.State{Written: w, Live: []traffic.Split{w}, Known: true}
	if got := strings.Join(lines(rollout.Decide(s)), "\n"); !strings.Contains(got, "point service canary at v3") || strings.Contains(got, "set split") {
		t.Errorf("then %s", got)
	}
}

// What stable has already, or is getting, it will need: an abort takes none of it away.
func TestAnAbortTakesNoPodsFromStable(t *testing.T) {
	dynamic := canary(func(c *v1alpha1.CanaryStrategy) { c.DynamicStableScale = true })
	for available := range int32(6) {
		for desired := available; desired <= 5; desired++ {
			p := rollout.Decide(given(func(s *snapshot) { s.Spec.Replicas = ptr(int32(5)) }, dynamic, steps(weight(50), pause()), routed(50, "v2"),
				updating(5, 5), pods("v1", desired, available), at(1), func(s *snapshot) { s.Status.Abort = true }))
			for _, a := range p.Actions {
				if x, ok := a.(rollout.Scale); ok && x.Hash == "v1" && x.To < x.From {
					t.Errorf("with %d of %d pods available it does %v", available, desired, lines(p))
				}
			}
		}
	}
}

// An operator who looks at a weight that does not move is told what it waits for.
//
// Covers: traffic defect 25.
func TestAWeightThatWaitsSaysForWhat(t *testing.T) {
	dynamic := canary(func(c *v1alpha1.CanaryStrategy) { c.DynamicStableScale = true })
	size := func(s *snapshot) { s.Spec.Replicas = ptr(int32(10)) }
	for want, mods := range map[string][]mod{
		"PodsNotAvailable: weight 20 waits for pods of revision v2: 1 available of 2":                             {size, steps(weight(20), pause()), routed(10, "v2"), updating(2, 1), pods("v1", 10, 10)},
		"StableNotAvailable: canary traffic stays: stable has no available pod":                                   {size, steps(weight(20), pause()), routed(20, "v2"), updating(2, 2), pods("v1", 10, 0), func(s *snapshot) { s.Status.Abort = true }},
		"StableNotAvailable: canary weight goes to 90, not yet to 0: stable has 1 available pods of 10":           {size, dynamic, steps(pause()), routed(100, "v2"), updating(10, 10), pods("v1", 10, 1), func(s *snapshot) { s.Status.Abort = true }},
		"TrafficNotConfirmed: the controller has just begun: it waits until what the one before it wrote is seen": {size, steps(weight(20), pause()), routed(10, "v2"), updating(2, 2), pods("v1", 10, 10), func(s *snapshot) { s.Traffic.Known = false }},
		"RouterProblem: VirtualService shop/web has no route \"primary\"":                                         {size, steps(weight(20), pause()), routed(10, "v2"), updating(2, 2), func(s *snapshot) { s.Traffic.Problem = "VirtualService shop/web has no route \"primary\"" }},
	} {
		p := rollout.Decide(given(mods...))
		if !slices.Contains(waits(p), want) {
			t.Errorf("it waits for %v, want %q", waits(p), want)
		}
		if p.Status.Phase == v1alpha1.RolloutPhaseHealthy {
			t.Errorf("%s, and it is Healthy", want)
		}
	}
}
