package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// restartRetry is when to try again what a disruption budget has refused: no event tells
// that it has room now (core.md §3.9).
const restartRetry = 30 * time.Second

// RestartDue reports that a restart was asked for, that its time has come, and that it is
// not through.
func RestartDue(spec *v1alpha1.RolloutSpec, status *v1alpha1.RolloutStatus, now time.Time) bool {
	at := spec.RestartAt
	return at != nil && !now.Before(at.Time) && (status.RestartedAt == nil || !at.Equal(status.RestartedAt))
}

// restarts evicts the pods from before spec.restartAt, as many at a time as may be missing
// (core.md §3.9). It is done when every pod is newer and what the revisions want is
// available again (§16 no. 30). With a new template there is nothing left to restart.
func restarts(v *view) (acts []Action, notes []Note, done bool, wake time.Time) {
	at := v.Spec.RestartAt
	waiting := func(format string, args ...any) { notes = []Note{{Waiting, Restarting, fmt.Sprintf(format, args...)}} }
	switch {
	case at == nil || v.mode == changed:
		return nil, nil, false, time.Time{}
	case v.Now.Before(at.Time):
		return nil, nil, false, at.Time
	case !RestartDue(&v.Spec, &v.Status, v.Now):
		return nil, nil, false, time.Time{}
	case v.Pods == nil:
		waiting("the pods to restart could not be read")
		return nil, notes, false, v.Now.Add(restartRetry)
	}
	old := v.podsBefore(at.Time)
	there, wanted := v.podsThere()
	if len(old) == 0 {
		if there < wanted {
			waiting("restart: %d of %d pods are available again", there, wanted)
			return nil, notes, false, time.Time{}
		}
		return nil, nil, true, time.Time{}
	}
	waiting("restart: %d pods are older than %s", len(old), at.UTC().Format(time.RFC3339))
	return v.evict(old, there-(wanted-max(v.tolerance(), 1))), notes, false, v.Now.Add(restartRetry)
}

// podsThere counts the available pods, and how many there should be: surplus pods of a
// canary raise the number (core.md §15 no. 130).
func (v *view) podsThere() (there, wanted int32) {
	for _, p := range v.Pods {
		if p.Available && !p.Deleting {
			there++
		}
	}
	for i := range v.Revisions {
		wanted += v.Revisions[i].Desired
	}
	return there, max(wanted, v.n)
}

// podsBefore lists the pods made before a moment in the order of their going: those of
// stable, of the wanted revision, of the others from the oldest on; old pods first.
func (v *view) podsBefore(at time.Time) (old []Pod) {
	rank := map[string]int{}
	for i, r := range slices.Backward(v.others) { // newest first
		rank[r.Hash] = len(v.others) - i + 1
	}
	if v.current != nil {
		rank[v.current.Hash] = 1
	}
	if v.stable != nil {
		rank[v.stable.Hash] = 0
	}
	for _, p := range v.Pods {
		if p.Created.Before(at) {
			old = append(old, p)
		}
	}
	slices.SortFunc(old, func(a, b Pod) int {
		return cmp.Or(cmp.Compare(rank[a.Hash], rank[b.Hash]), a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	return old
}

// evict lets up to so many pods go. A revision that traffic reaches keeps one available
// pod, unless it wants no more than one.
func (v *view) evict(old []Pod, can int32) (acts []Action) {
	left := map[string]int32{}
	for _, p := range v.Pods {
		if p.Available && !p.Deleting {
			left[p.Hash]++
		}
	}
	for _, p := range old {
		if can <= 0 {
			break
		}
		last := p.Available && left[p.Hash] <= 1
		if p.Deleting || p.Refused || last && v.mayNotEmpty(p.Hash) {
			continue
		}
		if p.Available {
			left[p.Hash]--
		}
		acts = append(acts, Restart{Pod: p.Name, Hash: p.Hash})
		can--
	}
	return acts
}

func (v *view) mayNotEmpty(hash string) bool {
	r := v.revision(hash)
	return v.Routed && r != nil && r.Desired > 1 && v.exposure(r) > 0
}
