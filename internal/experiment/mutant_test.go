package experiment

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// filter plans without some actions.
func filter(keep func(Snapshot, Action) bool) func(Snapshot) Plan {
	return func(s Snapshot) Plan {
		p := Decide(s)
		p.Actions = slices.DeleteFunc(p.Actions, func(a Action) bool { return !keep(s, a) })
		return p
	}
}

// unlisted is a snapshot in which the Rollout lists nothing.
func unlisted(s Snapshot) Snapshot {
	s.Sets, s.Services = slices.Clone(s.Sets), slices.Clone(s.Services)
	for i := range s.Sets {
		s.Sets[i].Routed = false
	}
	for i := range s.Services {
		s.Services[i].Routed = false
	}
	return s
}

// sets decides with changed facts about ReplicaSets.
func sets(change func(*Snapshot, *Set)) func(Snapshot) Plan {
	return func(s Snapshot) Plan {
		s.Sets = slices.Clone(s.Sets)
		for i := range s.Sets {
			change(&s, &s.Sets[i])
		}
		return Decide(s)
	}
}

// TestSearchCatchesMutants keeps the search honest: each of these is an outage.
//
// Covers: outage 71, defect 28.
func TestSearchCatchesMutants(t *testing.T) {
	over := func(s *Snapshot) bool { return s.Spec.Terminate || s.Status.Phase.Completed() }
	for name, c := range map[string]struct {
		decide func(Snapshot) Plan
		want   string // part of the law that it must break
	}{
		"does not look at the rollout": {func(s Snapshot) Plan { return Decide(unlisted(s)) }, "takes pods that get traffic"},
		"acts for an end that is not written yet": {func(s Snapshot) Plan {
			p := Decide(s)
			if s.Status = *p.Status.DeepCopy(); s.Status.Phase.Completed() {
				p.Actions = Decide(s).Actions
			}
			return p
		}, "takes pods that get traffic"},
		"has no delay": {func(s Snapshot) Plan { s.Spec.ScaleDownDelaySeconds = ptr(int32(0)); return Decide(s) }, "before the delay is over"},
		"lets the delay run while traffic flows": {func(s Snapshot) Plan {
			p := Decide(s)
			for _, set := range s.Sets {
				if over(&s) && set.Routed && set.Desired > 0 && set.RetireAt.IsZero() {
					p.Actions = append(p.Actions, Retire{Set: set.Name, At: s.Now.Add(30 * time.Second)})
				}
			}
			p.Actions = slices.DeleteFunc(p.Actions, func(a Action) bool { r, is := a.(Retire); return is && r.At.IsZero() && over(&s) })
			return p
		}, "before the delay is over"},
		"keeps the deadline of the attempt before": {sets(func(s *Snapshot, set *Set) {
			if !over(s) {
				set.RetireAt = time.Time{}
			}
		}), "before the delay is over"},
		"deletes services at once": {func(s Snapshot) Plan {
			p := Decide(s)
			for _, svc := range s.Services {
				if over(&s) {
					p.Actions = append(p.Actions, DeleteService{Name: svc.Name})
				}
			}
			return p
		}, "delete service"},
		"moves a service that gets traffic": {func(s Snapshot) Plan {
			if !over(&s) {
				s = unlisted(s)
			}
			return Decide(s)
		}, "behind the rollout's back"},
		"takes stale counters for true":     {sets(func(_ *Snapshot, s *Set) { s.Observed = true }), "Running without its pods"},
		"uses any set of the template":      {sets(func(_ *Snapshot, s *Set) { s.Current = true }), "Running without its pods"},
		"uses a set of the name":            {sets(func(_ *Snapshot, s *Set) { s.Current = s.Current || s.Name == "exp-a" }), "Running without its pods"},
		"makes pods for what is over":       {func(s Snapshot) Plan { s.Spec.Terminate = false; return Decide(s) }, "of an experiment that is over"},
		"cannot leave a name that is taken": {func(s Snapshot) Plan { s.Refused = nil; return Decide(s) }, "does not come up"},
		"forgets which run it has started":  {func(s Snapshot) Plan { s.Runs = nil; return Decide(s) }, ""},
		"doubles a run after a lost write":  {func(s Snapshot) Plan { return doubling(s) }, "times at once"},
		"lets runs go on":                   {filter(func(_ Snapshot, a Action) bool { _, stop := a.(StopRun); return !stop }), "goes on"},
		"never lets pods go":                {filter(func(_ Snapshot, a Action) bool { x, is := a.(Scale); return !is || x.To > 0 }), "keeps its pods"},
		"leaves services behind":            {filter(func(_ Snapshot, a Action) bool { _, is := a.(DeleteService); return !is }), "services are left"},
		"does not end by itself":            {func(s Snapshot) Plan { p := Decide(s); p.Status.Phase = s.Status.Phase; return p }, "does not come up"},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range int64(600) {
				if law := live(t, seed, c.decide); law != "" && strings.Contains(law, c.want) {
					return
				}
			}
			t.Error("it breaks no law")
		})
	}
}

// doubling starts a run whenever the status names none, whatever there is.
func doubling(s Snapshot) Plan {
	p := Decide(s)
	for _, as := range s.Spec.Analyses {
		if analysisStatus(s.Status.AnalysisRuns, as.Name) == nil && s.Status.AvailableAt != nil && !s.Spec.Terminate && !s.Status.Phase.Completed() {
			p.Actions = append(p.Actions, StartRun{Analysis: as.Name, Name: fmt.Sprintf("exp-%s.%d", as.Name, len(s.Runs)+1)})
		}
	}
	return p
}
