package loop

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the loop's own series. Labels are the controller, a part of a pass, a kind
// of action or a reason: closed lists, no object names.
type Metrics struct {
	parts   *prometheus.HistogramVec
	actions *prometheus.CounterVec
	waiting *prometheus.CounterVec
	panics  *prometheus.CounterVec
	lag     *prometheus.HistogramVec
	lost    *prometheus.CounterVec
}

// NewMetrics registers the series, or takes those that another instance in this process
// has registered.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		parts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "penstock_pass_seconds", Help: "Time that a pass, or a part of it, took, in seconds.",
			Buckets: []float64{.0001, .001, .01, .1, 1, 10}}, []string{"controller", "part"}),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "penstock_actions_total", Help: "Actions planned, by kind."}, []string{"controller", "kind"}),
		waiting: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "penstock_waiting_total", Help: "Passes that waited, by reason."}, []string{"controller", "reason"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "penstock_panics_total", Help: "Passes that panicked."}, []string{"controller"}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "penstock_own_write_lag_seconds", Help: "Time until the caches showed the own writes, in seconds.",
			Buckets: []float64{.001, .01, .1, 1, 10, 60}}, []string{"controller"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "penstock_events_lost_total", Help: "Events that nobody will see, by what was in their way."}, []string{"why"}),
	}
	err := errors.Join(Keep(r, &m.lost), Keep(r, &m.parts), Keep(r, &m.actions), Keep(r, &m.waiting), Keep(r, &m.panics), Keep(r, &m.lag))
	return m, err
}

// Keep registers a collector; where it is there already, the registered one takes its place.
func Keep[C prometheus.Collector](r prometheus.Registerer, c *C) error {
	err := r.Register(*c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		if old, ok := there.ExistingCollector.(C); ok {
			*c = old
			return nil
		}
	}
	return err
}

// Lag observes how long own writes took to be seen.
func (m *Metrics) Lag(controller string, d time.Duration) {
	if m != nil {
		m.lag.WithLabelValues(controller).Observe(d.Seconds())
	}
}

// Lost counts events that could not be sent.
func (m *Metrics) Lost(why string, n int) {
	if m != nil {
		m.lost.WithLabelValues(why).Add(float64(n))
	}
}

func (m *Metrics) panicked(controller string) {
	if m != nil {
		m.panics.WithLabelValues(controller).Inc()
	}
}

func (m *Metrics) pass(controller string, o *Outcome, observe, decide, apply, whole time.Duration) {
	if m == nil {
		return
	}
	for part, d := range map[string]time.Duration{"observe": observe, "decide": decide, "apply": apply, "whole": whole} {
		m.parts.WithLabelValues(controller, part).Observe(d.Seconds())
	}
	for _, k := range o.Actions {
		m.actions.WithLabelValues(controller, k).Inc()
	}
	for _, w := range o.Waiting {
		m.waiting.WithLabelValues(controller, w).Inc()
	}
}
