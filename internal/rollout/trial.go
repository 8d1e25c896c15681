package rollout

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// trials finds the Experiment of the position, and starts, stops and deletes what is
// missing, over or too old (core.md §5.17).
func (v *view) trials(t *tests) (acts []Action) {
	if s, ok := v.at(); ok && s.kind == experimentStep && v.express == "" && v.current != nil && v.stable != nil && !v.retrying() {
		t.trial = v.trialOf(s)
		again := t.trial != nil && t.trial.Phase == v1alpha1.AnalysisPhaseInconclusive && resumed(&v.Status)
		if again || t.trial == nil && !undecided(v.Status.PauseConditions) && !v.Spec.Paused {
			t.trial, t.startTrial = nil, v.freeTrial(s)
			acts = append(acts, StartExperiment{Name: t.startTrial, Step: int32(v.index), Hash: v.current.Hash,
				Number: v.current.Number, Stable: v.stable.Hash})
		}
	}
	for i := range v.Experiments {
		x := &v.Experiments[i]
		if x == t.trial || x.Phase.Completed() || x.Terminating || x.Deleting {
			continue
		}
		acts = append(acts, StopExperiment{x.Name})
	}
	return append(acts, v.oldTrials(t)...)
}

// trialOf is the Experiment of the last experiment step at or before a step: the one that
// the status names, or one that was started while the status write got lost.
func (v *view) trialOf(s step) *Experiment {
	if s.experiment == nil || v.current == nil {
		return nil
	}
	var found *Experiment
	base := v.trialBase(s)
	for i := range v.Experiments {
		x := &v.Experiments[i]
		if !sameTrial(x.Name, base) || x.Deleting || x.Number != v.current.Number {
			continue
		}
		if x.Name == v.Status.Canary.CurrentExperiment {
			return x
		}
		if !x.Phase.Completed() && !x.Terminating && !v.former(x.Created) {
			found = x
		}
	}
	return found
}

// trialBase is <rollout>-<hash>-<revision>-<step>.
func (v *view) trialBase(s step) string {
	return named(v.Name, fmt.Sprintf("-%s-%d-%d", v.current.Hash, v.current.Number, s.trial))
}

// sameTrial reports whether a name is the base, or the base with -1, -2 … behind it.
func sameTrial(name, base string) bool {
	rest, ok := strings.CutPrefix(name, base)
	if !ok || rest == "" {
		return ok
	}
	n, err := strconv.Atoi(strings.TrimPrefix(rest, "-"))
	return err == nil && n > 0 && strings.HasPrefix(rest, "-")
}

func (v *view) freeTrial(s step) string {
	base := v.trialBase(s)
	name := base
	for i := 1; slices.ContainsFunc(v.Experiments, func(x Experiment) bool { return x.Name == name }); i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	return name
}

// oldTrials deletes finished Experiments beyond the history limits, and those whose
// revision is gone (core.md §3.10).
func (v *view) oldTrials(t *tests) (acts []Action) {
	good, bad := v.Spec.SuccessfulRunHistoryLimitOrDefault(), v.Spec.UnsuccessfulRunHistoryLimitOrDefault()
	var order []*Experiment
	for i := range v.Experiments {
		if x := &v.Experiments[i]; x.Phase.Completed() && x != t.trial && !x.Deleting && x.Name != v.Status.Canary.CurrentExperiment && !v.trialServes(x) {
			order = append(order, x)
		}
	}
	slices.SortStableFunc(order, func(a, b *Experiment) int { return b.Created.Compare(a.Created) })
	for _, x := range order {
		left := &bad
		if x.Phase == v1alpha1.AnalysisPhaseSuccessful {
			left = &good
		}
		if *left > 0 && v.revision(x.Hash) != nil {
			*left--
			continue
		}
		acts = append(acts, DeleteExperiment{x.Name})
	}
	return acts
}

// trialServes reports that an Experiment's pods are, or may still be, a destination: they
// would go with it.
func (v *view) trialServes(x *Experiment) bool {
	var hashes []string
	if w := v.Status.Canary.Weights; w != nil {
		for _, d := range w.Additional {
			hashes = append(hashes, d.PodTemplateHash)
		}
	}
	for _, s := range append([]traffic.Split{v.Traffic.Written}, v.Traffic.Live...) {
		for _, d := range s.Extras() {
			hashes = append(hashes, d.Hash)
		}
	}
	return slices.ContainsFunc(x.Templates, func(t ExperimentTemplate) bool {
		return t.Hash != "" && slices.Contains(hashes, t.Hash) || t.Available > 0
	})
}
