package kube

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
)

// Durations are the published series about how long updates took, each in seconds and by
// how the update ended (surfaces.md §4.6).
type Durations struct {
	total, progression, manual *prometheus.HistogramVec
}

// NewDurations registers the series.
func NewDurations(r prometheus.Registerer) (*Durations, error) {
	series := func(name, help string, buckets ...float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"status"})
	}
	d := &Durations{
		total: series("rollout_duration_seconds", "Time from the beginning of an update to its end.",
			30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800),
		progression: series("rollout_progression_duration_seconds", "The same without the time that people held it up.",
			30, 60, 120, 300, 600, 1200, 1800, 3600),
		manual: series("rollout_manual_pause_duration_seconds", "Time that people held an update up.",
			0, 30, 60, 300, 600, 1800, 3600, 7200, 14400, 28800),
	}
	return d, errors.Join(loop.Keep(r, &d.total), loop.Keep(r, &d.progression), loop.Keep(r, &d.manual))
}

func (d *Durations) observe(e rollout.Ended) {
	status := string(e.Status)
	d.total.WithLabelValues(status).Observe(e.Total.Seconds())
	d.progression.WithLabelValues(status).Observe((e.Total - e.Manual).Seconds())
	d.manual.WithLabelValues(status).Observe(e.Manual.Seconds())
}

// persisted is what follows once the status is written: what was counted by it is dropped,
// and what has ended by it is told (core.md §8).
func (r *Rollouts) persisted(s *Seen, p *rollout.Plan) func() {
	var then []func()
	if n := len(s.Snapshot.Answers); n > 0 {
		key, attempt := client.ObjectKeyFromObject(s.Rollout), attemptOf(s.Rollout)
		then = append(then, func() { r.Plugins.drop(key, attempt, n) })
	}
	if e, ended := rollout.Ends(&s.Rollout.Status, &p.Status); ended && r.Durations != nil {
		then = append(then, func() { r.Durations.observe(e) })
	}
	if then == nil {
		return nil
	}
	return func() {
		for _, f := range then {
			f()
		}
	}
}
