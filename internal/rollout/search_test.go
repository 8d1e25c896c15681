package rollout

import (
	"strings"
	"testing"

	"github.com/penstock-io/penstock/internal/traffic"
)

// TestSearchFindsNoBrokenLaw visits every state that the worlds can reach, with every
// order and every loss of actions, and holds each step against the safety laws. Then it
// looks for states that no longer lead to the good end.
// Covers: outage 1, outage 2, outage 5, outage 6, outage 22.
func TestSearchFindsNoBrokenLaw(t *testing.T) {
	var edges, states int
	for name, w := range worlds {
		q := &search{arena: w.arena, plan: Decide, may: w.may}
		init := q.quiet(w.n)
		init.Surprises = w.surprises
		_, order, rev := q.run(init, 40_000_000)
		edges, states = edges+q.edges, states+len(order)
		t.Logf("%s: %d states, %d transitions, %d plans", name, len(order), q.edges, len(q.plans))
		for law, at := range q.broken {
			t.Errorf("%s: %s\n%s", name, law, at)
		}
		if end := q.deadEnd(order, rev); end != "" {
			t.Errorf("%s: no good end can be reached from %s", name, end)
		}
	}
	t.Logf("all worlds: %d states, %d transitions", states, edges)
	if edges < 1_000_000 {
		t.Errorf("the search is too small to mean anything: %d transitions", edges)
	}
}

// mutants are planners with one law taken out. If the search lets one pass, the search is wrong.
var mutants = map[string]struct {
	plan  planner
	world string
	// deadEnd: the mutant is safe but never arrives.
	deadEnd bool
}{
	// Covers: outage 2, outage 3.
	"forgets that the data plane lags": {world: "weights and a pause, two pods: abort, supersede, back",
		plan: func(s Snapshot) Plan {
			s.Traffic.Live, s.Traffic.Known = []traffic.Split{s.Traffic.Written}, true
			return Decide(s)
		}},
	"trusts that the weight write came first": {world: "weights and a pause, two pods: abort, supersede, back",
		plan: func(s Snapshot) Plan {
			p := Decide(s)
			for _, a := range p.Actions {
				if x, ok := a.(SetSplit); ok {
					s.Traffic.Written, s.Traffic.Live = x.Split, []traffic.Split{x.Split}
					p.Actions = append(p.Actions, Decide(s).Actions...)
				}
			}
			return p
		}},
	// Covers: outage 1.
	"moves weight without looking at pods": {world: "weights and a pause, two pods: abort, supersede, back",
		plan: func(s Snapshot) Plan {
			s.Revisions = append([]Revision(nil), s.Revisions...)
			for i := range s.Revisions {
				s.Revisions[i].Available = s.Revisions[i].Desired + 1
			}
			return Decide(s)
		}},
	"demands one pod too many": {world: "weights and a pause, one pod: abort, full promotion", deadEnd: true,
		plan: func(s Snapshot) Plan {
			s.Revisions = append([]Revision(nil), s.Revisions...)
			for i := range s.Revisions {
				if s.Revisions[i].Current && s.Revisions[i].Hash != s.Status.StableRS {
					s.Revisions[i].Available = max(s.Revisions[i].Available-1, 0)
				}
			}
			return Decide(s)
		}},
	"acts for the position it only now persists": {world: "weights and a pause, one pod: abort, full promotion",
		plan: func(s Snapshot) Plan {
			p := Decide(s)
			s.Status = p.Status
			for i := range s.Revisions {
				if p.Status.StableRS != "" && s.Revisions[i].Hash != p.Status.StableRS {
					p.Actions = append(p.Actions, Scale{Hash: s.Revisions[i].Hash, From: s.Revisions[i].Desired})
				}
			}
			return p
		}},
	"does not know an abort": {world: "weights and a pause, one pod: abort, full promotion",
		plan: func(s Snapshot) Plan {
			s.Status.Abort = false
			p := Decide(s)
			p.Status.Abort = false
			return p
		}},
	// Covers: outage 6, defect 17.
	"takes the pods of an overtaken canary at once": {world: "weights and a pause, two pods: abort, supersede, back",
		plan: func(s Snapshot) Plan {
			p := Decide(s)
			for _, r := range s.Revisions {
				if !r.Current && r.Hash != s.Status.StableRS && r.Desired > 0 {
					p.Actions = append(p.Actions, Scale{Hash: r.Hash, From: r.Desired})
				}
			}
			return p
		}},
	// Covers: outage 5.
	"points a role before its weight is parked": {world: "weights and a pause, two pods: abort, supersede, back",
		plan: func(s Snapshot) Plan {
			p := Decide(s)
			if s.Status.CurrentPodHash == s.TemplateHash && len(s.Revisions) > 1 && s.Services[1].Hash != s.TemplateHash {
				p.Actions = append(p.Actions, SetSelector{Service: "canary", From: s.Services[1].Hash, Hash: s.TemplateHash})
			}
			return p
		}},
	"thinks that a restart has forgotten nothing": {world: "weights and a pause, two pods: pods die, restart, drift",
		plan: func(s Snapshot) Plan {
			if !s.Traffic.Known {
				s.Traffic.Live, s.Traffic.Known = []traffic.Split{s.Traffic.Written}, true
			}
			return Decide(s)
		}},
	// Covers: defect 2, outage 66.
	"promotes on a stopped analysis": {world: "weights and an analysis that may fail, two pods",
		plan: func(s Snapshot) Plan {
			s.Runs = append([]Run(nil), s.Runs...)
			for i := range s.Runs {
				s.Runs[i].Terminating = false
			}
			return Decide(s)
		}},
}

func TestSearchCatchesMutants(t *testing.T) {
	for name, m := range mutants {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			w := worlds[m.world]
			q := &search{arena: w.arena, plan: m.plan, may: w.may, first: !m.deadEnd}
			init := q.quiet(w.n)
			init.Surprises = w.surprises
			_, order, rev := q.run(init, 40_000_000)
			if m.deadEnd {
				if q.deadEnd(order, rev) == "" {
					t.Error("the search did not see that this planner never arrives")
				}
				return
			}
			if len(q.broken) == 0 {
				t.Errorf("the search let this planner pass: %d states, %d transitions", len(order), q.edges)
			}
		})
	}
}
