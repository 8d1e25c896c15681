package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// calm is how long a world may take, after the last surprise, to come to its end.
const calm = 3 * time.Hour

// Chaos lets a random release with random trouble run to its end, and returns the laws
// that were broken. The world must have been made with a Seed.
func (w *World) Chaos() []string {
	w.Metric = func(Question) Reading {
		switch w.rng.IntN(30) {
		case 0:
			return Reading{Value: []float64{0}}
		case 1:
			return Reading{NoData: true}
		case 2:
			return Reading{Err: "connection refused"}
		}
		return Reading{Value: []float64{1}}
	}
	w.Until(5*time.Minute, (*World).AtRest)
	for i := 2; i < 2+w.rng.IntN(3); i++ {
		w.SetImage(fmt.Sprintf("demo:v%d", i))
		for range 1 + w.rng.IntN(6) {
			w.Wait(time.Duration(w.rng.IntN(90)) * time.Second)
			w.surprise()
		}
	}
	w.faulty = false // the storm is over: from here on it must come to a good end
	w.Metric = nil
	w.finish()
	return w.laws
}

// surprise is one thing that somebody does.
func (w *World) surprise() {
	switch w.rng.IntN(15) {
	case 0:
		w.Abort()
	case 1:
		w.Retry()
	case 2, 3:
		w.Promote()
	case 4:
		w.PromoteFull()
	case 5:
		w.SetReplicas(int32(1 + w.rng.IntN(8)))
	case 6:
		if w.routed() {
			w.Drift(0)
		}
	case 7:
		w.Restart()
	case 8:
		w.Kill(image(&w.Rollout.Spec), 1+w.rng.IntN(3))
	case 9:
		w.SetImage("demo:v1")
	case 10:
		w.SetPaused(!w.Rollout.Spec.Paused)
	case 11:
		w.RestartPods()
	case 12:
		w.deleteAny()
	case 13:
		w.pointAny()
	case 14:
		w.changeStrategy()
	}
}

// deleteAny is a person who deletes some ReplicaSet. A finalizer of somebody else may keep
// the object, and its pods, for a while.
func (w *World) deleteAny() {
	if len(w.revs) == 0 {
		return
	}
	r := w.revs[w.rng.IntN(len(w.revs))]
	w.deaths = w.Now
	if w.rng.IntN(2) == 0 {
		w.log("somebody deletes the ReplicaSet of %s", tag(r.image))
		w.remove(r.hash)
		return
	}
	r.goneAt = w.Now.Add(time.Duration(1+w.rng.IntN(60)) * time.Second)
	w.log("somebody deletes the ReplicaSet of %s, a finalizer holds it", tag(r.image))
}

// pointAny is a person who points one of the Services at some revision, or at none.
func (w *World) pointAny() {
	stable, canary := w.sides()
	name := []string{stable, canary}[w.rng.IntN(2)]
	if name == "" || w.pinned() || len(w.revs) == 0 {
		return
	}
	r := w.revs[w.rng.IntN(len(w.revs))]
	w.log("somebody points service %s at %s", name, tag(r.image))
	w.deaths = w.Now // who is served now is that person's doing
	w.svc(name).hash, w.unseen = r.hash, true
	w.follow()
}

// changeStrategy is a team that goes over from canary to blue-green in the middle of a
// release, or back.
func (w *World) changeStrategy() {
	s := &w.Rollout.Spec.Strategy
	if w.former == nil {
		w.former = &v1alpha1.RolloutStrategy{BlueGreen: &v1alpha1.BlueGreenStrategy{ActiveService: "active", PreviewService: "preview"}}
		if s.BlueGreen != nil {
			w.former = &v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{}}
		}
	}
	*s, *w.former = *w.former, *s
	w.Rollout.Generation++
	w.log("the strategy changes")
	w.route = route{problem: w.route.problem, extras: w.route.extras}
	w.plane = plane{extras: w.plane.extras, coming: w.plane.coming, at: w.plane.at}
	delete(w.services, "subset/stable")
	delete(w.services, "subset/canary")
	w.deaths = w.Now
	w.follow()
}

// unsteer is what the shell does, and not the planner, once it sees that the strategy has
// no routes any more.
func (w *World) unsteer() {
	if s := w.caches.rollout.Spec.Strategy; len(w.route.extras) > 0 && (s.Canary == nil || s.Canary.TrafficRouting == nil) {
		w.log("  clean up the former routes")
		w.route.extras = nil
		w.follow()
	}
}

// finish helps as a patient person would (unpause, promote, retry) and then holds the
// world against its good end. Who is not patient is a pause with a timeout: there the person
// comes at once.
func (w *World) finish() {
	w.Rollout.Spec.Paused = false
	w.Rollout.Generation++
	for range 40 {
		if w.stuck || w.Until(calm, func(w *World) bool { return w.AtRest() || w.hurries() }) && w.AtRest() {
			break
		}
		switch st := &w.Rollout.Status; {
		case st.Abort:
			w.Retry()
		case len(st.PauseConditions) > 0:
			w.Promote()
		}
	}
	w.checkEnd()
}

// hurries reports that the rollout is in a pause which does not wait for ever.
func (w *World) hurries() bool {
	st, c := &w.Rollout.Status, w.Rollout.Spec.Strategy.Canary
	if c == nil || st.CurrentStepIndex == nil || int(*st.CurrentStepIndex) >= len(c.Steps) || len(st.PauseConditions) == 0 {
		return false
	}
	p := c.Steps[*st.CurrentStepIndex].Pause
	return p != nil && p.Timeout != nil
}

// AtRest reports that the stable revision is the wanted one and serves everything.
func (w *World) AtRest() bool {
	st := &w.Rollout.Status
	return st.Phase == v1alpha1.RolloutPhaseHealthy && st.StableRS == st.CurrentPodHash
}

func (w *World) checkEnd() {
	if !w.AtRest() {
		w.broke(fmt.Sprintf("no good end: %s %q, %s, waiting: %v", w.Phase(), w.Rollout.Status.Message, w.Describe(), w.Waits()))
		return
	}
	w.Wait(calm) // old revisions retire
	if hash, share := w.stableSide(); w.routed() && (share != w.total() || hash != w.Rollout.Status.StableRS) {
		w.broke("at the end the data plane does not serve the stable revision only: " + w.Describe())
	}
	for _, r := range w.revs {
		want := int32(0)
		if r.hash == w.Rollout.Status.StableRS {
			want = w.replicas()
		}
		if r.desired != want {
			w.broke(fmt.Sprintf("at the end revision %s has %d pods, wanted %d", r.hash, r.desired, want))
		}
	}
	writes := w.Writes
	w.Wait(24 * time.Hour)
	if w.Writes != writes {
		w.broke(fmt.Sprintf("a quiet day cost %d writes", w.Writes-writes))
	}
}

// Waits is what the planner says that it waits for.
func (w *World) Waits() []string {
	var out []string
	for _, n := range w.plan(w.snapshot()).Notes {
		if line := string(n.Reason) + ": " + n.Message; !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}
