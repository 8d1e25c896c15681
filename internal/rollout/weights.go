package rollout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// tellWeights tells that the written weights have changed (core.md §5.6).
func (p *progress) tellWeights() {
	before, after := p.Status.Canary.Weights, p.st.Canary.Weights
	if after == nil {
		return
	}
	var text []string
	switch {
	case before == nil:
		text = append(text, fmt.Sprintf("to %d", after.Canary.Weight))
	case before.Canary.Weight != after.Canary.Weight:
		text = append(text, fmt.Sprintf("from %d to %d", before.Canary.Weight, after.Canary.Weight))
	}
	if before != nil && !slices.Equal(carrying(before.Additional), carrying(after.Additional)) {
		text = append(text, fmt.Sprintf("additional: %v", carrying(after.Additional)))
	}
	if len(text) > 0 {
		p.event(TrafficWeightUpdated, "Traffic weight updated %s", strings.Join(text, ", "))
	}
}

// carrying leaves out the destinations without weight: those that are still to come, or
// may still linger in the data plane.
func carrying(list []v1alpha1.WeightDestination) []v1alpha1.WeightDestination {
	return without(list, func(d v1alpha1.WeightDestination) bool { return d.Weight == 0 })
}

// weights records the written split for people and tools (core.md §1.6); the names are
// always those of the spec.
func weights(v *view, g goal) *v1alpha1.TrafficWeights {
	w := v.Traffic.Written
	switch {
	case !v.Routed || v.blue != nil:
		return leftover(v)
	case w.IsZero(): // the routes could not be read
		return v.Status.Canary.Weights.DeepCopy()
	}
	ca, _ := w.Of(traffic.Canary)
	st, _ := w.Of(traffic.Stable)
	out := &v1alpha1.TrafficWeights{
		Canary: v1alpha1.WeightDestination{Weight: ca.Weight, ServiceName: v.canary.CanaryService, PodTemplateHash: ca.Hash},
		Stable: v1alpha1.WeightDestination{Weight: st.Weight, ServiceName: v.canary.StableService, PodTemplateHash: st.Hash},
	}
	out.Additional = additional(v, g)
	if v.Verifies {
		ok := v.Traffic.Confirmed()
		if old := v.Status.Canary.Weights; !v.Traffic.Known && old != nil && old.Verified != nil {
			ok = *old.Verified // a controller that has just begun knows no better
		}
		out.Verified = &ok
	}
	return out
}

// leftover is what stays listed after the strategy has given up its routes: the experiments
// that these led to, until nobody can be sent there any more.
func leftover(v *view) *v1alpha1.TrafficWeights {
	out := v.Status.Canary.Weights.DeepCopy()
	if out == nil || len(out.Additional) == 0 {
		return nil
	}
	if out.Additional = additional(v, goal{}); len(out.Additional) == 0 {
		return nil
	}
	return out
}

// additional lists every extra destination that is written, wanted next, or may still be
// live. An Experiment keeps the pods of those that stand here, so an entry comes before
// its weight and goes after it.
func additional(v *view, g goal) (list []v1alpha1.WeightDestination) {
	add := func(d traffic.Destination, weight int32) {
		same := func(o v1alpha1.WeightDestination) bool {
			return o.PodTemplateHash == d.Hash && o.ServiceName == d.Service
		}
		difference := d.Service == "" && d.Hash == "" // what a router has read, and nobody gets
		if !difference && !slices.ContainsFunc(list, same) {
			list = append(list, v1alpha1.WeightDestination{Weight: weight, ServiceName: d.Service, PodTemplateHash: d.Hash})
		}
	}
	for _, d := range v.Traffic.Written.Extras() {
		add(d, d.Weight)
	}
	for _, d := range g.extras {
		add(d, 0)
	}
	for _, live := range v.Traffic.Live {
		for _, d := range live.Extras() {
			add(d, 0)
		}
	}
	if old := v.Status.Canary.Weights; old != nil && !v.Traffic.Known {
		for _, d := range old.Additional {
			add(traffic.Destination{Service: d.ServiceName, Hash: d.PodTemplateHash}, 0)
		}
	}
	return list
}
