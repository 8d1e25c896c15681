package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// do carries out one action on the truth. Before it does, the laws hold it against what
// is true now and what the planner saw (laws.go).
func (w *World) do(seen *rollout.Snapshot, a rollout.Action) {
	w.checkAction(seen, a)
	w.Writes++
	w.wrote[cacheOf(a)] = true
	w.log("  %s", w.name(described(a)))
	if n, ok := rollout.Did(w.Rollout.Name, a); ok {
		w.Events = append(w.Events, string(n.Reason))
	}
	switch x := a.(type) {
	case rollout.EnsureRevision:
		w.ensure(seen, x)
	case rollout.Renumber:
		if r := w.rev(x.Hash); r != nil {
			r.number, r.minReady = x.Number, x.MinReadySeconds
			if r.born == 0 {
				r.born = x.Number
			}
		}
	case rollout.SetNumber:
		w.Number = x.Number
	case rollout.DefaultReplicas:
		one := int32(1)
		w.Rollout.Spec.Replicas = &one
		w.Rollout.Generation++
	case rollout.Scale:
		if r := w.rev(x.Hash); r != nil && r.desired == x.From && r.goneAt.IsZero() { // resourceVersion precondition
			w.scale(r, x.To)
			if x.To == 0 {
				r.retireAt = time.Time{}
			}
		}
	case rollout.Retire:
		if r := w.rev(x.Hash); r != nil {
			r.retireAt = x.At
		}
	case rollout.Delete:
		w.remove(x.Hash)
	case rollout.SetMetadata:
		if r := w.rev(x.Hash); r != nil {
			r.meta = *x.Metadata.DeepCopy()
		}
	case rollout.SetSelector:
		w.svc(x.Service).hash, w.svc(x.Service).managed = x.Hash, x.Hash != ""
		w.follow()
	case rollout.SetSplit:
		w.setSplit(x.Split)
	case rollout.Restart:
		w.evict(x)
	case rollout.StartRun:
		w.startRun(x)
	case rollout.StopRun:
		if r := w.run(x.Name); r != nil {
			r.spec.Terminate = true
			r.wake = w.Now
		}
	case rollout.DeleteRun:
		w.deleteRun(x.Name)
	case rollout.StartExperiment:
		w.startTrial(x)
	case rollout.StopExperiment:
		if t := w.trial(x.Name); t != nil {
			t.spec.Terminate, t.wake = true, w.Now
		}
	case rollout.DeleteExperiment:
		w.deleteTrial(x.Name)
	}
}

func (w *World) ensure(seen *rollout.Snapshot, x rollout.EnsureRevision) {
	if w.rev(x.Hash) != nil {
		return
	}
	w.revs = append(w.revs, &replicaSet{hash: x.Hash, number: x.Number, born: x.Number, created: w.Now, meta: *x.Metadata.DeepCopy(),
		minReady: seen.Spec.MinReadySeconds, image: image(&seen.Spec), readyAfter: w.readyAfter(image(&seen.Spec))})
}

func image(s *v1alpha1.RolloutSpec) string {
	if c := s.Template.Spec.Containers; len(c) > 0 {
		return c[0].Image
	}
	return ""
}

// evict replaces one pod by a new one that has yet to come up.
func (w *World) evict(x rollout.Restart) {
	r := w.rev(x.Hash)
	if r == nil {
		return
	}
	if r.desired <= 1 {
		w.deaths = w.Now // the only pod of a revision: that person wants it so
	}
	for i := range r.pods {
		if fmt.Sprintf("%s-%d", r.hash, i) != x.Pod || !r.pods[i].created.Before(w.Rollout.Spec.RestartAt.Time) {
			continue
		}
		r.pods[i] = pod{created: w.Now}
		if r.readyAfter >= 0 {
			r.pods[i].readyAt = w.Now.Add(r.readyAfter)
		}
	}
}

func (w *World) remove(hash string) {
	for i, r := range w.revs {
		if r.hash == hash {
			w.revs = append(w.revs[:i:i], w.revs[i+1:]...)
			return
		}
	}
}

func (w *World) setSplit(s traffic.Split) {
	w.route.weight = s.Weight(traffic.Canary)
	if w.flipped(&w.Rollout.Status) {
		w.route.weight = s.Total - w.route.weight
	}
	w.route.extras, w.route.headers, w.route.mirrors = s.Extras(), s.Headers, s.Mirrors
	if w.pinned() {
		st, _ := s.Of(traffic.Stable)
		ca, _ := s.Of(traffic.Canary)
		w.route.stable, w.route.canary = st.Hash, ca.Hash
	}
	w.follow()
}

// lag is how long the data plane takes this time.
func (w *World) lag() time.Duration {
	if !w.faulty {
		return w.Lag
	}
	return time.Duration(w.rng.Int64N(int64(w.Lag) + 1))
}

// pointers are the hashes that the objects give the two sides now.
func (w *World) pointers() (stable, canary string) {
	if w.pinned() {
		return w.route.stable, w.route.canary
	}
	s, c := w.sides()
	return w.svc(s).hash, w.svc(c).hash
}

// follow makes the data plane start towards what the objects say.
func (w *World) follow() {
	if p := &w.plane; p.pending != w.route.weight || !slices.Equal(p.coming, w.route.extras) {
		p.pending, p.coming, p.at = w.route.weight, w.route.extras, w.Now.Add(w.lag())
	}
	s, c := w.sides()
	st, ca := w.pointers()
	for _, o := range []struct{ name, hash string }{{s, st}, {c, ca}} {
		if x := w.svc(o.name); x.pending != o.hash {
			x.pending, x.at = o.hash, w.Now.Add(w.lag())
		}
	}
}

// tickGone lets ReplicaSets go whose deletion was only held up.
func (w *World) tickGone() {
	w.revs = slices.DeleteFunc(w.revs, func(r *replicaSet) bool { return !r.goneAt.IsZero() && !w.Now.Before(r.goneAt) })
}

// tickPlane lets every part that is due arrive.
func (w *World) tickPlane() {
	if p := &w.plane; !w.Now.Before(p.at) {
		p.weight, p.extras = p.pending, p.coming
	}
	for _, x := range w.services {
		if !w.Now.Before(x.at) {
			x.live = x.pending
		}
	}
}

// live are the revisions that proxies reach over the two sides.
func (w *World) live() (stable, canary string) {
	s, c := w.sides()
	return w.svc(s).live, w.svc(c).live
}

func (w *World) planeFollows() bool {
	ws, wc := w.pointers()
	ls, lc := w.live()
	return w.plane.weight == w.route.weight && slices.Equal(w.plane.extras, w.route.extras) && ls == ws && lc == wc
}

func (w *World) run(name string) *run {
	for _, r := range w.runs {
		if r.name == name {
			return r
		}
	}
	return nil
}

func (w *World) deleteRun(name string) {
	for i, r := range w.runs {
		if r.name == name {
			w.runs = append(w.runs[:i:i], w.runs[i+1:]...)
			return
		}
	}
}

// startRun builds the AnalysisRun from the templates, as the shell does.
func (w *World) startRun(x rollout.StartRun) {
	if w.run(x.Name) != nil {
		return
	}
	a := w.section(x)
	if a == nil {
		return // the steps were changed under the plan; the next pass knows
	}
	built, err := analysis.Build(analysis.BuildInput{Rollout: func() map[string]any { return asMap(&w.Rollout) }, Analysis: *a, Templates: w.Templates,
		Latest: x.Hash, Stable: x.Stable, Type: string(x.Kind), Step: x.Step, Revision: x.Number})
	if err != nil {
		w.broke("analysis run could not be built: " + err.Error())
		return
	}
	w.runs = append(w.runs, &run{name: x.Name, kind: string(x.Kind), step: x.Step, hash: x.Hash, number: x.Number,
		created: w.Now, spec: built.Spec, wake: w.Now})
}

// section is the part of the spec that a run is made of; nil when it has none.
func (w *World) section(x rollout.StartRun) *v1alpha1.RolloutAnalysis {
	c, b := w.canary(), w.Rollout.Spec.Strategy.BlueGreen
	switch {
	case x.Kind == rollout.Background && c.Analysis != nil:
		return &c.Analysis.RolloutAnalysis
	case x.Kind == rollout.StepRun && int(x.Step) < len(c.Steps):
		return c.Steps[x.Step].Analysis
	case x.Kind == rollout.PrePromotion && b != nil:
		return b.PrePromotionAnalysis
	case x.Kind == rollout.PostPromotion && b != nil:
		return b.PostPromotionAnalysis
	}
	return nil
}
