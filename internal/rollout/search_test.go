package rollout

import (
	"flag"
	"strings"
	"testing"
)

// more surprises in every world: for `make long`.
var more = flag.Int("more", 0, "how many surprises more than usual each world of the search has")

// TestSearchFindsNoBrokenLaw visits every state that the worlds can reach, with every
// order and every loss of actions, and holds each step against the safety laws. Then it
// looks for states that no longer lead to the good end.
// Covers: outage 1, outage 2, outage 5, outage 6, outage 22.
func TestSearchFindsNoBrokenLaw(t *testing.T) {
	var edges, states int
	for name, w := range worlds {
		q := &search{arena: w.arena, plan: Decide, may: w.may}
		init := q.quiet(w.n)
		init.Surprises = w.surprises + int8(*more)
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

// TestSearchCatchesMutants keeps the search honest: if it lets one of these pass, it is wrong.
func TestSearchCatchesMutants(t *testing.T) {
	if len(mutants) < 25 {
		t.Errorf("only %d mutants", len(mutants))
	}
	for name, m := range mutants {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			w := worlds[m.world]
			q := &search{arena: w.arena, plan: m.plan, may: w.may, first: !m.deadEnd}
			init := q.quiet(w.n)
			init.Surprises = w.surprises + 1
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
