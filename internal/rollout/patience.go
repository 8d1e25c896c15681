package rollout

import (
	"fmt"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// patience is how long the present pause waits for a person.
type patience struct {
	end    time.Time
	within time.Duration
	then   v1alpha1.PauseTimeoutAction
	step   string // "step 2/5"
}

// patience of a step's pause that has a timeout and has begun; ok is false for all else. What
// a person holds, or has held until now, by spec.paused is not unseen.
func (v *view) patience() (p patience, ok bool) {
	s, at := v.at()
	if !at || s.kind != pauseStep || s.patience <= 0 || v.held() || resumed(&v.Status) {
		return p, false
	}
	for _, c := range v.Status.PauseConditions {
		if c.Reason == s.pause {
			within := time.Duration(s.patience) * time.Second
			return patience{c.StartTime.Add(within), within, s.onTimeout, fmt.Sprintf("step %d/%d", v.index+1, len(v.steps))}, true
		}
	}
	return p, false
}

// held reports that spec.paused is true, or was at the last pass.
func (v *view) held() bool { return v.Spec.Paused || v.Status.Message == manuallyPaused }

// impatient reports a pause that nobody has ended in time, where that leads to something.
func (v *view) impatient(then v1alpha1.PauseTimeoutAction) (p patience, is bool) {
	p, ok := v.patience()
	return p, ok && p.then == then && v.Now.After(p.end)
}

func (p patience) missed() string {
	return fmt.Sprintf("nobody promoted %s within its timeout of %s", p.step, round(p.within))
}

// round is a duration without the units that are 0: 4h.
func round(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// announced is what is to come, for somebody who could still decide.
func (p patience) announced() string {
	what := map[v1alpha1.PauseTimeoutAction]string{
		v1alpha1.PauseTimeoutAbort: "the update is taken back", v1alpha1.PauseTimeoutPromote: "it goes on by itself", v1alpha1.PauseTimeoutHold: "its owner is told",
	}
	return fmt.Sprintf("%s at %s", what[p.then], p.end.UTC().Format(time.RFC3339))
}
