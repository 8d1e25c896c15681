package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// goingBack is a rollout of three revisions, made an hour after each other, whose stable
// is v3 and whose template is that of the hash now; no pass has seen that yet.
func goingBack(hash string, desired int32) mod {
	return func(s *snapshot) {
		s.Revisions = []rollout.Revision{revision("v3", 3, 4, 4), revision("v2", 2, 0, 0), revision("v1", 1, 0, 0)}
		s.Status.StableRS, s.Status.CurrentPodHash, s.Number = "v3", "v3", 3
		s.TemplateHash, s.Generation = hash, 2
		of(hash, func(r *rollout.Revision) {
			r.Current = true
			r.Desired, r.Actual, r.Ready, r.Available = desired, desired, desired, desired
		})(s)
	}
}

func window(n int32) mod {
	return func(s *snapshot) { s.Spec.RollbackWindow = &v1alpha1.RollbackWindowSpec{Revisions: n} }
}

const skips = "Rollback to active ReplicaSets within RollbackWindow"

func TestRollbackWindow(t *testing.T) {
	sameSecond := func(s *snapshot) {
		for i := range s.Revisions {
			s.Revisions[i].Created = noon.Add(-time.Hour)
		}
	}
	forward := func(s *snapshot) { // v4 was made after stable
		s.Revisions = append([]rollout.Revision{revision("v4", 4, 4, 4)}, s.Revisions...)
		s.Revisions[0].Current = true
		s.TemplateHash = "v4"
	}
	for name, c := range map[string]struct {
		mods []mod
		then int32  // index of the first pass
		told string // by it
		why  string // of the promotion in the second, once the pods are up
	}{
		"one revision back is inside":                {[]mod{goingBack("v2", 4), window(1)}, 2, skips, "Rollback within window"}, // Covers: edge 151, edge 154.
		"two revisions back are outside":             {[]mod{goingBack("v1", 4), window(1)}, 0, "", ""},                          // Covers: edge 151, edge 154.
		"two revisions back are inside of two":       {[]mod{goingBack("v1", 4), window(2)}, 2, skips, "Rollback within window"}, // Covers: edge 151.
		"without a window nothing is inside":         {[]mod{goingBack("v2", 4)}, 0, "", ""},                                     // Covers: edge 154.
		"a window of 0 is none":                      {[]mod{goingBack("v2", 4), window(0)}, 0, "", ""},
		"forward is never inside":                    {[]mod{goingBack("v9", 4), forward, window(9)}, 0, "", ""},                             // Covers: edge 153.
		"one that lost its pods is not told to skip": {[]mod{goingBack("v2", 0), window(1)}, 0, "", "Rollback within window"},                // Covers: edge 57.
		"numbers order revisions of one second":      {[]mod{goingBack("v1", 4), sameSecond, window(1)}, 0, "", ""},                          // Covers: defect 32.
		"and find the one before":                    {[]mod{goingBack("v2", 4), sameSecond, window(1)}, 2, skips, "Rollback within window"}, // Covers: defect 32.
	} {
		t.Run(name, func(t *testing.T) {
			s := given(c.mods...)
			first := rollout.Decide(s)
			if got := strings.Join(told(first, "SkipSteps"), "; "); index(first) != c.then || got != c.told {
				t.Errorf("index %d, told %q; want %d, %q", index(first), got, c.then, c.told)
			}
			s.Status = first.Status
			pods(s.TemplateHash, 4, 4)(&s)
			pods("v3", 0, 0)(&s)
			second := rollout.Decide(s)
			want := ""
			if c.why != "" {
				want = c.why
			}
			got := ""
			if list := told(second, "RolloutCompleted"); len(list) > 0 {
				_, got, _ = strings.Cut(list[0], "): ")
			}
			if got != want {
				t.Errorf("promoted because of %q, want %q; waiting: %v", got, want, waits(second))
			}
		})
	}
}

// Covers: outage 1.
func TestARollbackWithinTheWindowMovesOnlyWhatPodsCarry(t *testing.T) {
	s := given(goingBack("v2", 4), window(1), routed(0, "v3"), func(s *snapshot) {
		s.Services[0].Hash, s.Services[1].Hash = "v3", "v2"
		for i := range s.Traffic.Written.Destinations {
			s.Traffic.Written.Destinations[i].Hash = s.Services[i].Hash
		}
		s.Traffic.Live[0] = s.Traffic.Written
	}, seen)
	for available := int32(0); available < 4; available++ {
		pods("v2", 4, available)(&s)
		p := rollout.Decide(s)
		if got := strings.Join(lines(p), "; "); strings.Contains(got, "set split") || strings.Contains(got, "demo-stable") || p.Status.StableRS != "v3" {
			t.Errorf("with %d of 4 pods: %s, stable %s", available, got, p.Status.StableRS)
		}
	}
	pods("v2", 4, 4)(&s)
	does(t, rollout.Decide(s), "renumber v2 to revision 4", "set split Stable v3 0 + Canary v2 100")
}

// Covers: edge 154, outage 69, analysis edge 127.
func TestNothingIsMeasuredWithinTheWindow(t *testing.T) {
	measured := []mod{steps(inline("errors"), pause()), canary(func(c *v1alpha1.CanaryStrategy) {
		c.Analysis = &v1alpha1.RolloutAnalysisBackground{RolloutAnalysis: *inline("errors").Analysis}
	})}
	for name, c := range map[string]struct {
		hash   string
		starts int
	}{"inside": {"v2", 0}, "outside": {"v1", 2}} {
		s := given(append(measured, goingBack(c.hash, 1), window(1), seen)...)
		starts := 0
		for _, a := range rollout.Decide(s).Actions {
			if _, ok := a.(rollout.StartRun); ok {
				starts++
			}
		}
		if starts != c.starts {
			t.Errorf("%s: %d runs start, want %d", name, starts, c.starts)
		}
	}
}
