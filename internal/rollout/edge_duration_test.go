package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/sim"
)

// timed is a simulated rollout with a router; pods take 5 s.
func timed(list ...step) *sim.World {
	s := given(steps(list...), canary(func(c *v1alpha1.CanaryStrategy) {
		c.StableService, c.CanaryService = "stable", "canary"
		c.TrafficRouting = &v1alpha1.RolloutTrafficRouting{Istio: &v1alpha1.IstioTrafficRouting{}}
	}))
	r := v1alpha1.Rollout{Spec: s.Spec}
	r.Spec.Template.Spec.Containers = container("demo:v1")
	return sim.New(r, sim.Options{})
}

// duration is status.duration as "began, ended, status, seconds of pause by a person", in
// whole seconds since the world began; "-" for what is not set.
func duration(w *sim.World) string {
	d := w.Rollout.Status.Duration
	if d == nil {
		return "none"
	}
	ended, status := "-", "-"
	if d.FinishedAt != nil {
		ended = fmt.Sprint(d.FinishedAt.Sub(sim.Start).Seconds())
	}
	if d.CompletionStatus != "" {
		status = string(d.CompletionStatus)
	}
	return fmt.Sprintf("%v, %s, %s, %d", d.RolloutStartedAt.Sub(sim.Start).Seconds(), ended, status, d.TotalManualPauseDurationSeconds)
}

func TestDuration(t *testing.T) {
	until := func(w *sim.World, at time.Duration) { w.Wait(at - w.Now.Sub(sim.Start)) }
	expect := func(t *testing.T, w *sim.World, when, want string) {
		t.Helper()
		if got := duration(w); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	first := func(t *testing.T, list ...step) *sim.World {
		w := timed(list...)
		until(w, time.Minute)
		expect(t, w, "the first deployment", "0, 5, Promoted, 0")
		return w
	}
	paused := step{Pause: &v1alpha1.RolloutPause{Duration: ptr(intstr.FromString("1m"))}}

	// Covers: edge 155.
	t.Run("an update that another one overtakes is begun anew", func(t *testing.T) {
		w := first(t, weight(25), pause())
		w.SetImage("demo:v2")
		until(w, 2*time.Minute)
		expect(t, w, "in the pause", "60, -, -, 0")
		w.SetImage("demo:v3")
		w.Instant()
		expect(t, w, "overtaken", "120, -, -, 0")
	})
	// Covers: edge 155.
	t.Run("back to stable is the same attempt", func(t *testing.T) {
		w := first(t, weight(25), pause())
		w.SetImage("demo:v2")
		until(w, 2*time.Minute)
		w.SetImage("demo:v1")
		until(w, 3*time.Minute)
		expect(t, w, "at the end", "60, 120, FastRolledBack, 51")
	})
	// Covers: edge 155.
	t.Run("back to an older one outside the window is the same attempt", func(t *testing.T) {
		w := first(t, weight(25), paused)
		w.SetImage("demo:v2")
		w.Until(time.Hour, (*sim.World).AtRest)
		until(w, time.Hour)
		w.SetImage("demo:v3")
		until(w, time.Hour+30*time.Second)
		w.SetImage("demo:v1")
		w.Until(time.Hour, (*sim.World).AtRest)
		d := w.Rollout.Status.Duration
		if d.CompletionStatus != v1alpha1.CompletionRolledBack || d.RolloutStartedAt.Sub(sim.Start) != time.Hour {
			t.Errorf("%s", duration(w))
		}
	})
	// Covers: edge 156.
	t.Run("a timed pause is nobody's", func(t *testing.T) {
		w := first(t, weight(25), paused)
		w.SetImage("demo:v2")
		w.Until(time.Hour, (*sim.World).AtRest)
		expect(t, w, "at the end", "60, 136, Promoted, 0")
	})
	// Covers: edge 156.
	t.Run("an endless pause and one by the spec are a person's", func(t *testing.T) {
		w := first(t, weight(25), pause())
		w.SetImage("demo:v2")
		until(w, 69*time.Second+100*time.Second)
		w.SetPaused(true)
		until(w, 69*time.Second+300*time.Second)
		w.SetPaused(false)
		w.Promote()
		w.Until(time.Hour, (*sim.World).AtRest)
		if got := w.Rollout.Status.Duration.TotalManualPauseDurationSeconds; got != 300 {
			t.Errorf("%d seconds of pause, want 300", got)
		}
	})
	// Covers: edge 157.
	t.Run("an abort ends the attempt, and a retry begins one", func(t *testing.T) {
		w := first(t, weight(25), pause())
		w.SetImage("demo:v2")
		until(w, 2*time.Minute)
		w.Abort()
		until(w, 3*time.Minute)
		expect(t, w, "aborted", "60, 120, Aborted, 51")
		w.Retry()
		until(w, 4*time.Minute)
		expect(t, w, "retried", "180, -, -, 0")
	})
	// Covers: edge 157.
	t.Run("scaling begins none", func(t *testing.T) {
		w := first(t, weight(25), pause())
		w.SetReplicas(8)
		until(w, 2*time.Minute)
		expect(t, w, "scaled", "0, 5, Promoted, 0")
	})
	t.Run("a full promotion is a fast one", func(t *testing.T) {
		w := first(t, weight(25), pause())
		w.SetImage("demo:v2")
		until(w, 2*time.Minute)
		w.PromoteFull()
		w.Until(time.Hour, (*sim.World).AtRest)
		if got := w.Rollout.Status.Duration.CompletionStatus; got != v1alpha1.CompletionFastPromoted {
			t.Errorf("%s", got)
		}
	})
}
