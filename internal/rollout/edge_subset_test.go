package rollout_test

import (
	"strings"
	"testing"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// Where subsets alone tell the revisions, the canary's follows the new one once a pod of it can
// answer; nothing waits for pods that are not wanted, and an abort for none of the canary's.
//
// Covers: traffic edge 170.
func TestWhichRevisionTheCanarySubsetLeadsTo(t *testing.T) {
	alone := func(s *snapshot) {
		s.Services = nil
		canary(func(c *v1alpha1.CanaryStrategy) { c.StableService, c.CanaryService = "", "" })(s)
		pinned(s)
	}
	abort := func(s *snapshot) { s.Status.Abort = true }
	for name, c := range map[string]struct {
		mods []mod
		want string
	}{
		"not while its pod is not available": {[]mod{routed(0, "v1"), updating(1, 0), alone}, ""},
		"once a pod is available":            {[]mod{routed(0, "v1"), updating(1, 1), alone}, "set split Stable v1 100 + Canary v2 0"},
		"not before it has pods":             {[]mod{steps(weight(0), pause()), routed(0, "v1"), updating(0, 0), alone}, ""},
		"an abort while its pod is lost":     {[]mod{routed(25, "v2"), updating(1, 0), alone, abort}, "set split Stable v1 100 + Canary v2 0"},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(c.mods...))
			if got := split(p); got != c.want {
				t.Errorf("%q, want %q; it does %v and waits for %v", got, c.want, lines(p), waits(p))
			}
		})
	}
}

// split is the split that a plan writes.
func split(p rollout.Plan) string {
	for _, a := range p.Actions {
		if _, is := a.(rollout.SetSplit); is {
			return a.String()
		}
	}
	return ""
}

// While stable has a tenth of its pods it gets back only what these can carry, and the
// canary's Service stays where its share is served.
func TestTheShareStaysWhereThePodsAre(t *testing.T) {
	size := func(s *snapshot) { s.Spec.Replicas = ptr(int32(10)) }
	shrink := canary(func(c *v1alpha1.CanaryStrategy) { c.DynamicStableScale = true })
	back := func(s *snapshot) { // the template is stable's again
		for i := range s.Revisions {
			s.Revisions[i].Current = s.Revisions[i].Hash == "v1"
		}
		s.TemplateHash, s.Status.CurrentPodHash = "v1", "v1"
	}
	third := func(s *snapshot) {
		back(s)
		s.Revisions[0].Current, s.Revisions[1].Current = false, false
		r := revision("v3", 3, 0, 0)
		r.Current = true
		s.Revisions = append([]rollout.Revision{r}, s.Revisions...)
		s.TemplateHash, s.Status.CurrentPodHash, s.Number, s.Generation = "v3", "v3", 3, 3
	}
	under := []mod{size, shrink, steps(weight(90), pause()), routed(90, "v2"), updating(9, 9), pods("v1", 1, 1), at(1)}
	for name, c := range map[string]struct {
		mod  mod
		want string // an action that belongs to it
	}{
		"a rollback to stable":     {back, "scale v1 from 1 to 10"},  // Covers: traffic edge 146.
		"another revision instead": {third, "scale v1 from 1 to 10"}, // Covers: traffic edge 147.
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(append(append([]mod{}, under...), c.mod)...))
			text := strings.Join(lines(p), "\n")
			if !strings.Contains(text, c.want) || strings.Contains(text, "split") || strings.Contains(text, "point service") {
				t.Errorf("it does %s\nand waits for %v", text, waits(p))
			}
		})
	}
}
