package sim

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// maxPasses bounds the passes at one instant: a planner that never comes to rest is broken.
const maxPasses = 200

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Instant lets everything happen that happens at this instant.
func (w *World) Instant() {
	fresh := !w.faulty || !w.catchUp.IsZero() && !w.Now.Before(w.catchUp)
	for i := 0; ; i++ {
		w.tickPlane()
		w.tickGone()
		moved := w.tickRuns()
		moved = w.tickTrials() || moved
		w.refresh(fresh)
		if !w.control() && !moved {
			if fresh || w.dawdle() {
				break
			}
			fresh = true
			continue
		}
		fresh = !w.faulty
		if i > maxPasses {
			w.broke("the controller does not come to rest")
			w.stuck = true
			break
		}
	}
	w.checkServed()
	w.checkExtras()
	if w.Tick != nil {
		w.Tick()
	}
}

// dawdle leaves the caches behind for up to three seconds, in a world with faults.
func (w *World) dawdle() bool {
	if !w.faulty || w.rng.IntN(2) == 0 {
		return false
	}
	w.catchUp = w.Now.Add(time.Duration(1+w.rng.IntN(3000)) * time.Millisecond)
	return true
}

// control is one pass of the controller. It reports whether it wrote anything.
func (w *World) control() (wrote bool) {
	w.Passes++
	seen := w.snapshot()
	p := w.plan(seen)
	w.wake = p.Wake
	version := w.intent()
	crashed := false
	for _, i := range w.order(len(p.Actions)) {
		if crashed = w.chance(40); crashed {
			w.log("  (crash)")
			break
		}
		if w.chance(30) {
			w.log("  (lost) %s", w.name(p.Actions[i].String()))
			continue
		}
		w.do(&seen, p.Actions[i])
		wrote = true
	}
	if crashed {
		w.forget()
		return true
	}
	if w.persist(&seen, p, version) {
		wrote = true
	}
	return wrote || len(p.Actions) > 0
}

// intent is the part of the Rollout that people write; the status write of a pass that
// did not know it is refused by the API server.
func (w *World) intent() string {
	st := &w.Rollout.Status
	idx := int32(-1)
	if st.CurrentStepIndex != nil {
		idx = *st.CurrentStepIndex
	}
	return strings.Join([]string{boolWord(st.Abort), boolWord(st.PromoteFull), boolWord(st.ControllerPause),
		string(rune('0' + len(st.PauseConditions))), string(rune(idx + 1000)), string(rune(w.Rollout.Generation + 1000))}, ",")
}

func boolWord(b bool) string {
	if b {
		return "y"
	}
	return "n"
}

// persist writes the status if it differs from what the pass saw.
func (w *World) persist(seen *rollout.Snapshot, p rollout.Plan, version string) bool {
	if reflect.DeepEqual(p.Status, w.Rollout.Status) {
		return false
	}
	stale := !reflect.DeepEqual(seen.Status, w.Rollout.Status) || seen.Generation != w.Rollout.Generation
	if stale || version != w.intent() || w.chance(30) {
		return true // a conflict, or a lost write: another pass will come
	}
	before := w.Rollout.Status
	w.Rollout.Status = *p.Status.DeepCopy()
	w.wrote[cacheRollout] = true
	w.Writes++
	w.tell(&before, p)
	return true
}

// order is the sequence in which the actions of a plan are carried out.
func (w *World) order(n int) []int {
	if w.faulty {
		return w.rng.Perm(n)
	}
	seq := make([]int, n)
	for i := range seq {
		seq[i] = i
	}
	return seq
}

// chance is true once in n, in a world with faults.
func (w *World) chance(n int) bool { return w.faulty && w.rng.IntN(n) == 0 }

// forget is a restart of the controller: what it held in memory is gone.
func (w *World) forget() { w.history.Seen, w.history.Old, w.history.Known = time.Time{}, nil, false }

// next is the moment of the next event.
func (w *World) next() (at time.Time) {
	later := func(t time.Time) {
		if t.After(w.Now) {
			at = sooner(at, t)
		}
	}
	later(w.wake)
	later(w.catchUp)
	later(w.plane.at)
	for _, x := range w.services {
		later(x.at)
	}
	if r := w.nextRun(); !r.IsZero() {
		if !r.After(w.Now) {
			r = w.Now.Add(time.Second)
		}
		later(r)
	}
	revs := slices.Clone(w.revs)
	for _, x := range w.trials {
		later(x.wake)
		for _, s := range x.sets {
			later(s.retireAt)
			revs = append(revs, &s.replicaSet)
		}
	}
	for _, r := range revs {
		later(r.goneAt)
		for _, p := range r.pods {
			if !p.readyAt.IsZero() {
				later(p.readyAt)
				later(p.readyAt.Add(time.Duration(r.minReady) * time.Second))
			}
		}
	}
	return at
}

// Until lets time pass until the condition holds; it reports false when limit passed first.
func (w *World) Until(limit time.Duration, done func(*World) bool) bool {
	end := w.Now.Add(limit)
	for {
		w.Instant()
		if done(w) {
			return true
		}
		if w.stuck {
			return false // it would only take time to say so again
		}
		at := w.next()
		if at.IsZero() || at.After(end) {
			w.Now = end
			w.Instant()
			return done(w)
		}
		w.Now = at
	}
}

// Wait lets a span of time pass.
func (w *World) Wait(d time.Duration) { w.Until(d, func(*World) bool { return false }) }

// Phase is status.phase.
func (w *World) Phase() v1alpha1.RolloutPhase { return w.Rollout.Status.Phase }
