package kube

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// Covers: edge 158.
func TestAnUpdatesDurationIsToldOnceItsEndIsWritten(t *testing.T) {
	registry := prometheus.NewRegistry()
	durations, err := NewDurations(registry)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewDurations(registry); err != nil {
		t.Errorf("a second controller of one process: %v", err)
	}
	r := &Rollouts{Durations: durations}
	at := func(seconds int) *metav1.Time {
		return &metav1.Time{Time: time.Date(2026, 1, 5, 12, 0, seconds, 0, time.UTC)}
	}
	running := v1alpha1.RolloutStatus{Duration: &v1alpha1.RolloutDuration{RolloutStartedAt: at(0), TotalManualPauseDurationSeconds: 20}}
	ended := running
	ended.Duration = &v1alpha1.RolloutDuration{RolloutStartedAt: at(0), FinishedAt: at(90), TotalManualPauseDurationSeconds: 20, CompletionStatus: v1alpha1.CompletionPromoted}
	next := v1alpha1.RolloutStatus{Duration: &v1alpha1.RolloutDuration{RolloutStartedAt: at(70)}}
	held := v1alpha1.RolloutStatus{Duration: &v1alpha1.RolloutDuration{RolloutStartedAt: at(0), ManualPauseStartedAt: at(40)}}

	pass := func(before, after v1alpha1.RolloutStatus) func() {
		return r.Explain(Seen{Rollout: &v1alpha1.Rollout{Status: before}}, rollout.Plan{Status: after}).Persisted
	}
	expect := func(when string, status string, count uint64, total, progression, manual float64) {
		t.Helper()
		for name, want := range map[string]float64{"rollout_duration_seconds": total, "rollout_progression_duration_seconds": progression, "rollout_manual_pause_duration_seconds": manual} {
			if n, sum := histogram(t, registry, name, status); n != count || sum != want {
				t.Errorf("%s: %s of %s has %d values, together %v, want %d and %v", when, name, status, n, sum, count, want)
			}
		}
	}
	written := pass(running, ended)
	expect("before the write", "Promoted", 0, 0, 0, 0)
	written()
	expect("after the write", "Promoted", 1, 90, 70, 20)
	if again := pass(ended, ended); again != nil {
		t.Error("it is told in every pass after the end")
	}
	if first := pass(v1alpha1.RolloutStatus{}, running); first != nil {
		t.Error("the beginning counts as an end")
	}
	pass(running, next)()
	expect("after another template", "Superseded", 1, 70, 50, 20)
	pass(held, next)()
	expect("after another template in a pause", "Superseded", 2, 140, 90, 50)
	(&Rollouts{}).persisted(&Seen{Rollout: &v1alpha1.Rollout{Status: running}}, &rollout.Plan{Status: ended}) // nobody counts
}

// histogram reads how many values a series has, and their sum.
func histogram(t *testing.T, g prometheus.Gatherer, name, status string) (n uint64, sum float64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && strings.Contains(m.String(), `"`+status+`"`) {
				n, sum = m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
			}
		}
	}
	return n, sum
}
