package bench

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRatiosAreOursByTheirs(t *testing.T) {
	ours := Result{Workload: "W1", Controller: "penstock", Rollouts: 100, Writes: 16, Events: 2, Reads: 1, CPU: 15, Seconds: 8, RSS: 60}
	other := Result{Workload: "W1", Controller: "other", Rollouts: 100, Writes: 24, Events: 0, Reads: 4, CPU: 60, Seconds: 40, RSS: 180}
	want := Ratio{Workload: "W1", Rollouts: 100, Ours: "penstock", Other: "other", Writes: .667, Events: 0, Reads: .25, CPU: .25, Seconds: .2, RSS: .333}
	if d := cmp.Diff(want, compare(ours, other)); d != "" {
		t.Error(d)
	}
}

func TestFiguresArePerRollout(t *testing.T) {
	r := Result{Workload: "W1", Controller: "penstock", Rollouts: 3}
	r.take(tally{writes: 50, events: 7, gets: 3, lists: 1, watches: 2, names: map[string]int{"patch replicasets": 43, "create events": 7}, agents: map[string]int{"c/v1": 56}})
	if r.Writes != 16.67 || r.Events != 2.33 || r.Reads != 2 || r.Gets != 3 || r.Lists != 1 || r.Watches != 2 {
		t.Errorf("the result is %+v", r)
	}
	var out bytes.Buffer
	r.table(&out)
	text := out.String()
	if a, b := strings.Index(text, "14.33  patch replicasets"), strings.Index(text, "2.33  create events"); a < 0 || b < a || !strings.Contains(text, "18.67  c/v1") {
		t.Errorf("the table is\n%s", text)
	}
}

func TestSizes(t *testing.T) {
	want := []Size{{20, 4}, {100, 4}, {101, 2}, {500, 2}}
	if d := cmp.Diff(want, Sizes(20, 100, 101, 500)); d != "" {
		t.Error(d)
	}
}

func TestWhoIsHealthy(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*state)
		want   bool
	}{
		"one that runs what it is to run":          {func(*state) {}, true},
		"not one that has not looked at its spec":  {func(s *state) { s.Metadata.Generation = 3 }, false},
		"not one on its way":                       {func(s *state) { s.Status.Phase = "Progressing" }, false},
		"not one whose stable revision is another": {func(s *state) { s.Status.StableRS = "a" }, false},
		"not one that has not said which it runs":  {func(s *state) { s.Status.CurrentPodHash, s.Status.StableRS = "", "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			var s state
			s.Metadata.Name, s.Metadata.Generation = "web", 2
			s.Status.Phase, s.Status.ObservedGeneration, s.Status.CurrentPodHash, s.Status.StableRS = "Healthy", "2", "b", "b"
			c.change(&s)
			if s.healthy() != c.want {
				t.Errorf("it is not: %+v", s)
			}
			p := &progress{ended: state.healthy, states: map[string]state{}, arrived: map[string]string{}, former: map[string]string{"web": "a"}}
			p.see(s)
			if (len(p.arrived) == 1) != c.want {
				t.Errorf("arrived are %v", p.arrived)
			}
			// Healthy on the old revision has not arrived.
			p.former["web"] = s.Status.CurrentPodHash
			if p.see(s); len(p.arrived) > 0 {
				t.Error("it has arrived where it was")
			}
		})
	}
}
