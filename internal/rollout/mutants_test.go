package rollout

import (
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// mutant is a planner with one law taken out, named after the outage that it would cause.
type mutant struct {
	world string
	plan  planner
	// deadEnd: the mutant is safe but never arrives.
	deadEnd bool
}

// before makes a planner that sees another Snapshot, after one that plans something else.
func before(change func(*Snapshot)) planner {
	return func(s Snapshot) Plan {
		s.Revisions, s.Runs, s.Experiments = slices.Clone(s.Revisions), slices.Clone(s.Runs), slices.Clone(s.Experiments)
		change(&s)
		return Decide(s)
	}
}

func after(change func(*Snapshot, *Plan)) planner {
	return func(s Snapshot) Plan {
		p := Decide(s)
		p.Actions = slices.Clone(p.Actions)
		change(&s, &p)
		return p
	}
}

func drop[A Action](p *Plan) {
	p.Actions = slices.DeleteFunc(p.Actions, func(a Action) bool { _, is := a.(A); return is })
}

func sees(s *Snapshot, stable bool, pods int32) {
	for i := range s.Revisions {
		if (s.Revisions[i].Hash == s.Status.StableRS) == stable {
			s.Revisions[i].Available = pods
		}
	}
}

func takes(p *Plan, r Revision) {
	p.Actions = append(p.Actions, Scale{Hash: r.Hash, From: r.Desired})
}

// The worlds that the mutants run in.
const (
	canaryOne   = "weights and a pause, one pod: abort, full promotion"
	canaryTwo   = "weights and a pause, two pods: abort, supersede, back"
	canaryDrift = "weights and a pause, two pods: pods die, restart, drift"
	canaryHPA   = "weights and a pause: an autoscaler changes the count"
	canaryTest  = "weights and an analysis that may fail, two pods"
	canaryTrial = "an experiment with weight, two pods"
	canaryShare = "stable shrinks with the weight, two pods"
	canaryPlace = "roles that change places, two pods"
	blueOnce    = "blue-green at once, two pods"
	blueHand    = "blue-green by hand with a small preview"
	blueBefore  = "blue-green with an analysis before"
	blueLead    = "blue-green, another leader, pods die"
	blueAfter   = "blue-green with an analysis after"
)

func followed(s *Snapshot) {
	s.Traffic.Live, s.Traffic.Known = []traffic.Split{s.Traffic.Written}, true
}

func untouched(s *Snapshot) {
	for i := range s.Runs {
		s.Runs[i].Terminating = false
	}
}

func passing(s *Snapshot) {
	for i := range s.Runs {
		s.Runs[i].Phase, s.Runs[i].Terminating = v1alpha1.AnalysisPhaseSuccessful, false
	}
}

var mutants = map[string]mutant{
	// Covers: outage 2, outage 3, outage 4.
	"503 because old pods go while proxies still send to them": {world: canaryTwo, plan: before(followed)},
	"503 because pods go in the pass that moves their traffic": {world: canaryTwo, plan: after(func(s *Snapshot, p *Plan) {
		for _, a := range p.Actions {
			if x, ok := a.(SetSplit); ok {
				s.Traffic.Written, s.Traffic.Live = x.Split, []traffic.Split{x.Split}
				p.Actions = append(p.Actions, Decide(*s).Actions...)
			}
		}
	})},
	// Covers: outage 1.
	"everything goes to the one pod that is ready": {world: canaryTwo, plan: before(func(s *Snapshot) {
		for i := range s.Revisions {
			s.Revisions[i].Available = s.Revisions[i].Desired + 1
		}
	})},
	"no release ever ends, because one pod too many is asked for": {world: canaryOne, deadEnd: true, plan: before(func(s *Snapshot) {
		for i := range s.Revisions {
			if r := &s.Revisions[i]; r.Current && r.Hash != s.Status.StableRS {
				r.Available = max(r.Available-1, 0)
			}
		}
	})},
	"pods go for a promotion that a crash then loses": {world: canaryOne, plan: after(func(s *Snapshot, p *Plan) {
		for _, r := range s.Revisions {
			if p.Status.StableRS != "" && r.Hash != p.Status.StableRS {
				takes(p, r)
			}
		}
	})},
	"an abort is not heard": {world: canaryOne, plan: func(s Snapshot) Plan {
		s.Status.Abort = false
		p := Decide(s)
		p.Status.Abort = false
		return p
	}},
	// Covers: outage 6, defect 17.
	"503 because an overtaken canary loses its pods at once": {world: canaryTwo, plan: after(func(s *Snapshot, p *Plan) {
		for _, r := range s.Revisions {
			if !r.Current && r.Hash != s.Status.StableRS && r.Desired > 0 {
				takes(p, r)
			}
		}
	})},
	// Covers: outage 5.
	"503 because the canary role points at a version that is not up": {world: canaryTwo, plan: after(func(s *Snapshot, p *Plan) {
		if s.Status.CurrentPodHash == s.TemplateHash && len(s.Revisions) > 1 && s.Services[1].Hash != s.TemplateHash {
			p.Actions = append(p.Actions, SetSelector{Service: "canary", From: s.Services[1].Hash, Hash: s.TemplateHash})
		}
	})},
	"503 because the idle role is pointed at no pods while proxies still send there": {world: canaryPlace, plan: before(func(s *Snapshot) {
		s.Traffic.Known = true
	})},
	"503 after a restart that has forgotten what is live": {world: canaryDrift, plan: before(func(s *Snapshot) {
		if !s.Traffic.Known {
			followed(s)
		}
	})},
	// Covers: defect 2.
	"a bad version is promoted on an analysis that was stopped": {world: canaryTest, plan: before(untouched)},
	"a bad version is promoted on an analysis that still runs":  {world: canaryTest, plan: before(passing)},
	// Covers: outage 24.
	"an aborted canary comes back when the autoscaler scales": {world: canaryHPA, plan: func(s Snapshot) Plan {
		if grown := s.Spec.Replicas != nil && *s.Spec.Replicas > 1; grown && s.Status.AbortedAt != nil {
			s.Status.Abort, s.Status.AbortedAt = false, nil
		}
		return Decide(s)
	}},
	// Covers: outage 35.
	"an autoscaler drains stable in the middle of a canary": {world: canaryHPA, plan: after(func(s *Snapshot, p *Plan) {
		for _, r := range s.Revisions {
			if r.Hash == s.Status.StableRS && !r.Current && s.Spec.Replicas != nil && r.Desired > *s.Spec.Replicas {
				takes(p, r)
			}
		}
	})},
	// Covers: outage 29.
	"an abort with nothing to abort scales stable to 0": {world: canaryTwo, plan: after(func(s *Snapshot, p *Plan) {
		for _, r := range s.Revisions {
			if s.Status.Abort && r.Current && r.Hash == s.Status.StableRS {
				takes(p, r)
			}
		}
	})},
	// Covers: outage 21.
	"a change of the spec takes stable's pods first": {world: canaryTwo, plan: after(func(s *Snapshot, p *Plan) {
		for _, r := range s.Revisions {
			if s.Status.CurrentPodHash != s.TemplateHash && r.Hash == s.Status.StableRS {
				takes(p, r)
			}
		}
	})},
	"a revision is deleted with its pods": {world: canaryTwo, plan: after(func(s *Snapshot, p *Plan) {
		for _, r := range s.Revisions {
			if !r.Current && r.Hash != s.Status.StableRS && r.Desired > 0 {
				p.Actions = append(p.Actions, Delete{r.Hash})
			}
		}
	})},
	// Covers: outage 18.
	"a foreign write to the route stops the release for ever": {world: canaryDrift, deadEnd: true, plan: after(func(s *Snapshot, p *Plan) {
		if i := s.Status.CurrentStepIndex; i != nil && *i > 0 && s.Traffic.Written.Weight(traffic.Canary) == 0 {
			drop[SetSplit](p)
		}
	})},
	// Covers: outage 40.
	"two leaders: the last write of one meets the plan of the other": {world: blueLead, plan: before(func(s *Snapshot) { s.Traffic.Known = true })},
	// Covers: outage 4.
	"503 because stable shrinks before proxies have left it": {world: canaryShare, plan: before(followed)},
	// Covers: outage 23.
	"an abort waits for a stable that is not let grow": {world: canaryShare, deadEnd: true, plan: after(func(s *Snapshot, p *Plan) {
		for _, r := range s.Revisions {
			if s.Status.Abort && r.Hash == s.Status.StableRS && r.Available < 2 {
				drop[SetSplit](p)
				drop[Scale](p)
			}
		}
	})},
	// Covers: outage 12.
	"an experiment gets traffic before its pods are up": {world: canaryTrial, plan: before(func(s *Snapshot) {
		for i := range s.Experiments {
			s.Experiments[i].Templates = []ExperimentTemplate{{Name: "trial", Service: "trial", Hash: "trial", Available: 1}}
		}
	})},
	"an experiment's pods go while it still gets traffic": {world: canaryTrial, plan: after(func(s *Snapshot, p *Plan) {
		if w := p.Status.Canary.Weights; w != nil && len(s.Experiments) > 0 && s.Experiments[0].Phase.Completed() {
			w.Additional = nil
		}
	})},
	// Covers: outage 10.
	"production goes to a new version that is not up": {world: blueOnce, plan: after(func(s *Snapshot, p *Plan) {
		if s.Status.CurrentPodHash == s.TemplateHash && s.Services[0].Hash != s.TemplateHash && len(s.Revisions) > 1 {
			p.Actions = append(p.Actions, SetSelector{Service: "stable", From: s.Services[0].Hash, Hash: s.TemplateHash})
		}
	})},
	// Covers: defect 1.
	"an abort leaves production on the bad version": {world: blueOnce, deadEnd: true, plan: after(func(s *Snapshot, p *Plan) {
		if s.Status.Abort {
			drop[SetSelector](p)
		}
	})},
	// Covers: outage 2.
	"503 because old pods go as soon as the selector is written": {world: blueOnce, plan: before(followed)},
	"production goes to a preview of one pod": {world: blueHand, plan: before(func(s *Snapshot) {
		if s.Spec.Replicas != nil && s.Status.BlueGreen.ScaleUpPreviewCheckPoint {
			sees(s, false, *s.Spec.Replicas)
			for i := range s.Revisions {
				s.Revisions[i].Desired = *s.Spec.Replicas
			}
		}
	})},
	// Covers: defect 3.
	"somebody promotes and the pause begins anew": {world: blueHand, deadEnd: true, plan: before(func(s *Snapshot) {
		s.Status.ControllerPause, s.Status.BlueGreen.ScaleUpPreviewCheckPoint = false, false
	})},
	"production goes over before the analysis has judged": {world: blueBefore, plan: before(passing)},
	// Covers: defect 2.
	"a retry goes over on the verdict of the aborted attempt":   {world: blueBefore, plan: before(untouched)},
	"a bad version is kept before the last analysis has judged": {world: blueAfter, plan: before(passing)},
}
