package rollout

import (
	"cmp"
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// goal is what should hold at the persisted position: which revision stands behind
// which role, with what share and how many pods. It is the only idea between facts and
// actions. Abort, promotion, superseding and rollback are decided here and nowhere else.
type goal struct {
	// weight is the canary role's share.
	weight int32
	// extras are an experiment's destinations.
	extras []traffic.Destination
	// headers and mirrors are the managed routes.
	headers []v1alpha1.SetHeaderRoute
	mirrors []v1alpha1.SetMirrorRoute
	// canary and stable are the hashes that the roles should point at; "" means leave.
	canary, stable string
	// pods is the wanted count of the current revision, stablePods that of stable, both
	// before the floor that their live traffic sets.
	pods, stablePods int32
}

func decideGoal(v *view) goal {
	switch v.mode {
	case first, done:
		return settledGoal(v)
	case aborted:
		return abortGoal(v)
	case stepping:
		return stepGoal(v)
	}
	// The position is not known to be valid: hold everything for this one pass.
	g := goal{weight: v.Traffic.Written.Weight(traffic.Canary)}
	if v.current != nil {
		g.pods = v.current.Desired
	}
	return g
}

// settledGoal is a rollout whose stable revision is the wanted one. With a stable that
// shrank for a canary the way back has steps too.
func settledGoal(v *view) goal {
	g := goal{canary: v.unloaded(v.hash), stable: v.hash, pods: v.n, stablePods: v.n}
	if left := v.revision(v.canaryHash()); v.dynamic && left != nil && left != v.current && v.Traffic.Largest(traffic.Canary) > 0 {
		g.weight = v.backWeight(v.current, left)
		g.pods = v.floorPods(v.need(v.total - g.weight))
	}
	if v.canary.PingPong != nil && v.mode == done {
		g.canary = "" // the idle Service keeps its revision until the next update
	}
	return g
}

// abortGoal sends everything back to stable. The canary's pods stay for the abort
// delay (capacity.go); its Service follows once no request can arrive over it, so that
// pods which still drain stay selected (rivals.md no. 8). A preview stays.
func abortGoal(v *view) goal {
	g := goal{stable: v.stable.Hash, stablePods: v.n}
	if v.blue == nil {
		g.canary = v.unloaded(v.stable.Hash)
	}
	if v.dynamic && !v.overdue() {
		g.weight = v.backWeight(v.stable, v.current)
		// What stable has already, or is getting, it will need.
		g.stablePods = max(v.floorPods(v.need(v.total-g.weight)), min(v.stable.Desired, v.n))
	}
	return g
}

// backWeight is the share of the canary on the way back of a stable that shrank: the
// highest step that needs fewer pods than stable lacks or the canary has, so that pods
// and weight go back step by step and not all at once (core.md §5.4).
func (v *view) backWeight(stable, canary *Revision) int32 {
	lacks := v.n - available(stable)
	if lacks <= 0 {
		return 0
	}
	// Pods beyond what the written weight takes, such as a minimum, do not count.
	have := max(lacks, min(available(canary), v.need(v.Traffic.Written.Weight(traffic.Canary))))
	if v.mode == aborted && v.rules.abortSet && v.rules.abortAfter > 0 {
		have = lacks // the canary keeps its pods, so they say nothing
	}
	for _, s := range slices.Backward(v.steps) {
		if s.kind == weightStep && v.need(s.weight) < have {
			return min(s.weight, v.Traffic.Written.Weight(traffic.Canary))
		}
	}
	return 0
}

func (v *view) canaryHash() string {
	d, _ := v.Traffic.Written.Of(traffic.Canary)
	return d.Hash
}

// unloaded is the hash once no traffic can arrive over the canary role, "" before.
func (v *view) unloaded(hash string) string {
	if v.Routed && v.Traffic.Largest(traffic.Canary) > 0 {
		return ""
	}
	return hash
}

func stepGoal(v *view) goal {
	g := goal{canary: v.hash, stable: v.stable.Hash, stablePods: v.n}
	written := v.Traffic.Written.Weight(traffic.Canary)
	switch s, ok := v.at(); {
	case v.blue != nil:
		v.blueGoal(&g, s, ok)
	case v.express == expressFull:
		// The share stays: promotion moves it in one go once n pods are available.
		g.weight, g.pods = written, v.n
	case !ok:
		g.weight, g.pods = v.total, v.n
	default:
		g.weight, g.pods = s.weight, v.stepPods(s)
		g.headers, g.mirrors = s.headers, s.mirrors
		g.extras = v.extras(s)
		if g.pods == 0 && len(g.headers)+len(g.mirrors) > 0 {
			g.pods = v.floorPods(1) // somebody has to answer those that are sent there
		}
	}
	if v.dynamic && !v.fixedPods() && !v.parks(g) {
		g.stablePods = v.floorPods(v.need(v.total - g.weight))
	}
	if v.Spec.Paused {
		v.hold(&g, written)
	}
	return g
}

// blueGoal is a step of blue-green. The cutover waits until it is on record that
// everything before it is through (L4): a preview of few pods grows only then.
func (v *view) blueGoal(g *goal, s step, more bool) {
	g.pods = v.n
	if more {
		g.pods = s.pods
	}
	if undecided(v.Status.PauseConditions) {
		g.canary = "" // the preview stays what was judged (core.md §6.1)
	}
	switch {
	case s.kind == cutoverStep && v.express == "" && !v.Status.BlueGreen.ScaleUpPreviewCheckPoint:
		g.pods = v.steps[0].pods
	case !more || s.serves:
		g.stable = v.hash
	}
}

// hold is a user's pause: nothing starts, and what runs keeps its size and share.
func (v *view) hold(g *goal, written int32) {
	if v.Routed {
		g.weight = min(g.weight, written)
	}
	if v.blue != nil {
		g.stable, g.canary = "", ""
	}
	if v.dynamic {
		g.stablePods = max(g.stablePods, v.floorPods(v.need(v.total-g.weight)))
	}
	if v.current == nil || v.current.Desired == 0 {
		g.weight, g.pods = 0, 0
	}
}

// stepPods is the canary's pod count at a step: the override, or what the weight takes.
func (v *view) stepPods(s step) int32 {
	switch {
	case s.scale != nil && s.scale.Replicas != nil:
		return max(*s.scale.Replicas, 0)
	case s.scale != nil && s.scale.Weight != nil:
		return v.floorPods(v.need(*s.scale.Weight))
	}
	return v.floorPods(v.need(s.weight))
}

// fixedPods: at a step with a fixed canary count stable keeps all its pods (core.md §5.6).
func (v *view) fixedPods() bool {
	s, ok := v.at()
	return ok && s.scale != nil && s.scale.Replicas != nil
}

// floorPods raises a count that is not zero to minPodsPerReplicaSet, at most n.
func (v *view) floorPods(count int32) int32 {
	if m := v.canary.MinPodsPerReplicaSet; m != nil && v.Routed && count > 0 {
		return max(count, min(*m, v.n))
	}
	return count
}

// reachable: proxies have had time to learn of a Service that is new, or has just got its
// pods, before the first request is sent over it. One that has a share keeps it.
func (v *view) reachable(o ExperimentTemplate) bool {
	has := slices.ContainsFunc(v.Traffic.Written.Extras(), func(d traffic.Destination) bool { return d.Service == o.Service && d.Weight > 0 })
	return has || !v.Now.Before(o.Since.Add(traffic.ServiceSettle))
}

// extras are the destinations of the experiment that runs at a step: those with a weight
// whose pods can carry it. One is written only after the status has named it, because the
// Experiment keeps its pods by that entry (L4).
func (v *view) extras(s step) (list []traffic.Destination) {
	x := v.trialOf(s)
	if x == nil || x.Phase != v1alpha1.AnalysisPhaseRunning || x.Terminating || x.Deleting {
		return nil
	}
	room := v.total - s.weight
	for _, t := range s.experiment.Templates {
		i := slices.IndexFunc(x.Templates, func(o ExperimentTemplate) bool { return o.Name == t.Name })
		if t.Weight == nil || *t.Weight <= 0 || i < 0 {
			continue
		}
		o := x.Templates[i]
		if o.Service == "" || o.Hash == "" || *t.Weight > room || o.Available < max(v.trialPods(t, *t.Weight), 1) || !v.reachable(o) {
			continue
		}
		room -= *t.Weight
		list = append(list, traffic.Destination{Role: traffic.Extra, Service: o.Service, Hash: o.Hash, Weight: *t.Weight})
	}
	slices.SortFunc(list, func(a, b traffic.Destination) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Hash, b.Hash))
	})
	return list
}

// trialPods is what an experiment's template must have available for its weight: what
// the weight takes, or all that the user gave it, if that is less.
func (v *view) trialPods(t v1alpha1.RolloutExperimentTemplate, weight int32) int32 {
	given := v1alpha1.DefaultExperimentReplicas
	if t.Replicas != nil {
		given = *t.Replicas
	}
	return min(v.need(weight), given)
}
