package analysis

import (
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	// errorRetry is the wait after a measurement that could not be taken.
	errorRetry = 10 * time.Second
	// minWait is the shortest wait between two measurements; `interval: 0s` means this.
	minWait = time.Second
	// defaultRetention is how many measurements a metric keeps in the status.
	defaultRetention = 10
	// maxMeasured bounds the measurements of all metrics of a run, in bytes; an object of
	// more than about 1.5 MB cannot be stored.
	maxMeasured = 512 << 10
	// droppedKey counts in a metric's metadata the measurements that the status has let go.
	droppedKey = "droppedMeasurements"
)

// Decide says what is next for one run. A run that is over is only ever deleted.
//
// A run ends as soon as one metric that is not dry has failed, is inconclusive or could
// not be measured, or when the spec asks for it: measurements in flight are stopped
// first, and the verdict is the worst of the metrics. A run that is ended before it
// measured anything is Successful with the message "Run Terminated"; who waits for a
// verdict must look at spec.terminate too.
func Decide(s Snapshot) Plan {
	p := Plan{Status: *s.Status.DeepCopy()}
	if s.Deleting {
		return p
	}
	if p.Status.Phase.Completed() {
		expire(s, &p)
		return p
	}
	if len(s.Spec.Malformed) > 0 {
		finish(&p, s, v1alpha1.AnalysisPhaseError, "Analysis spec invalid: "+s.Spec.Malformed[0].String())
		return p
	}
	metrics, err := Resolve(s.Spec, nil)
	if err != nil {
		finish(&p, s, v1alpha1.AnalysisPhaseError, "Unable to resolve metric arguments: "+err.Error())
		return p
	}
	r, err := rulesOf(s.Spec, metrics)
	if err != nil {
		finish(&p, s, v1alpha1.AnalysisPhaseError, "Analysis spec invalid: "+err.Error())
		return p
	}
	if s.SecretsErr != "" && !s.Spec.Terminate {
		finish(&p, s, v1alpha1.AnalysisPhaseError, "Unable to resolve metric arguments: "+s.SecretsErr)
		return p
	}
	if p.Status.StartedAt == nil {
		if why := refusal(s, metrics); why != "" {
			finish(&p, s, v1alpha1.AnalysisPhaseError, "Analysis spec invalid: "+why)
			return p
		}
		p.Status.StartedAt = stamp(s.Now)
	}
	plan(s, &p, metrics, r)
	return p
}

// refusal is why a run must not start. One that has started is never refused later.
func refusal(s Snapshot, metrics []v1alpha1.Metric) string {
	if err := problems(metrics); err != nil {
		return err.Error()
	}
	return s.Problem
}

// rules are what a valid spec says about each metric, by index.
type rules struct {
	dry  []bool
	keep []int
}

func rulesOf(spec v1alpha1.AnalysisRunSpec, metrics []v1alpha1.Metric) (r rules, err error) {
	if err = validate(metrics); err != nil {
		return r, err
	}
	if r.dry, err = dryRuns(spec.DryRun, metrics); err != nil {
		return r, err
	}
	r.keep, err = retentions(spec.MeasurementRetention, metrics)
	return r, err
}

// plan is Decide for a run that is valid and not over.
func plan(s Snapshot, p *Plan, metrics []v1alpha1.Metric, r rules) {
	results := make([]*v1alpha1.MetricResult, len(metrics))
	for i := range metrics {
		if results[i] = resultOf(&p.Status, metrics[i].Name); results[i] != nil {
			trim(results[i], r.keep[i], maxMeasured/len(results))
			assess(p, results[i], &metrics[i], false)
		}
	}
	ending := s.Spec.Terminate
	for i, res := range results {
		ending = ending || res != nil && !r.dry[i] && res.Phase.Completed() && res.Phase != v1alpha1.AnalysisPhaseSuccessful
	}
	if ending && stopAll(s, p, metrics, results) {
		ending = false // the verdict waits until nothing is in flight
	} else if !ending {
		for i := range metrics {
			schedule(s, p, i, &metrics[i], results[i])
		}
	}
	if ending {
		for i, res := range results {
			if res != nil {
				assess(p, res, &metrics[i], true)
			}
		}
	}
	p.Status.RunSummary, p.Status.DryRunSummary = summaries(results, r.dry)
	if phase, message, over := conclude(s.Spec, metrics, results, r.dry, ending); over {
		finish(p, s, phase, message)
		return
	}
	p.Status.Phase, p.Status.Message = v1alpha1.AnalysisPhaseRunning, ""
}

// assess moves a metric to the phase that its counters call for.
func assess(p *Plan, r *v1alpha1.MetricResult, m *v1alpha1.Metric, ending bool) {
	phase := metricPhase(r, m, ending)
	if phase == r.Phase {
		return
	}
	r.Phase = phase
	if last := lastOf(r); last != nil {
		r.Message = last.Message
	}
	if !phase.Completed() {
		return
	}
	if reason := why(r, m); r.DryRun && reason != "" {
		r.Message = clip("Metric " + reason)
	}
	p.Notes = append(p.Notes, Note{
		Warning: isBad(phase), Reason: "Metric" + string(phase),
		Message: fmt.Sprintf("Metric '%s' Completed. Result: %s", m.Name, phase),
	})
}

// schedule asks for the metric's next measurement if it is due, and for a wake-up
// otherwise.
func schedule(s Snapshot, p *Plan, i int, m *v1alpha1.Metric, r *v1alpha1.MetricResult) {
	if r != nil && r.Phase.Completed() || s.Busy[m.Name] {
		return
	}
	at, ok := due(p.Status.StartedAt.Time, m, r)
	if !ok {
		return
	}
	if at.After(s.Now) {
		p.wake(at)
		return
	}
	p.Actions = append(p.Actions, Measure{Index: i, Metric: m.Name, Token: tokenOf(inFlight(r))})
}

// due is when the metric wants to be measured next; ok is false for never.
func due(started time.Time, m *v1alpha1.Metric, r *v1alpha1.MetricResult) (at time.Time, ok bool) {
	last := lastOf(r)
	switch {
	case last == nil:
		return started.Add(duration(m.InitialDelay)), true
	case last.FinishedAt == nil && last.ResumeAt != nil:
		return last.ResumeAt.Time, true
	case last.FinishedAt == nil:
		return started, true
	}
	if count, limited := effectiveCount(m); limited && int(r.Count) >= count {
		return time.Time{}, false
	}
	if last.Phase == v1alpha1.AnalysisPhaseError || m.Interval == "" {
		return last.FinishedAt.Add(errorWait(r, m)), true
	}
	return nextBeat(last, max(duration(m.Interval), minWait)), true
}

// errorWait is the wait after errors in a row: the published one for as many as the default
// limit allows, then twice as long each time, up to the interval. A source that is down for
// long is asked less, and a higher limit lasts longer.
func errorWait(r *v1alpha1.MetricResult, m *v1alpha1.Metric) time.Duration {
	wait, longest := errorRetry, max(errorRetry, duration(m.Interval))
	for n := int32(defaultConsecutiveErrors); n < r.ConsecutiveError && wait < longest; n++ {
		wait *= 2
	}
	return min(wait, longest)
}

// nextBeat is the first moment after a measurement that is a whole number of intervals
// from its beginning, so that the windows of queries follow each other without gaps.
func nextBeat(last *v1alpha1.Measurement, interval time.Duration) time.Time {
	if last.StartedAt == nil || last.StartedAt.After(last.FinishedAt.Time) {
		return last.FinishedAt.Add(interval)
	}
	took := last.FinishedAt.Sub(last.StartedAt.Time)
	return last.StartedAt.Add((took/interval + 1) * interval)
}

// stopAll stops what is in flight, and reports whether anything is.
func stopAll(s Snapshot, p *Plan, metrics []v1alpha1.Metric, results []*v1alpha1.MetricResult) (waiting bool) {
	for i, r := range results {
		if m := inFlight(r); m != nil {
			waiting = true
			if !s.Busy[metrics[i].Name] {
				p.Actions = append(p.Actions, Stop{Index: i, Metric: metrics[i].Name, Token: tokenOf(m)})
			}
		}
	}
	return waiting
}

// conclude gives the run's verdict: the worst metric that is not dry.
func conclude(spec v1alpha1.AnalysisRunSpec, metrics []v1alpha1.Metric, results []*v1alpha1.MetricResult, dry []bool, ending bool) (worst v1alpha1.AnalysisPhase, message string, over bool) {
	over = true
	worst = v1alpha1.AnalysisPhaseSuccessful
	if spec.Terminate {
		message = "Run Terminated"
	}
	for i, r := range results {
		switch {
		case r == nil || !r.Phase.Completed():
			over = ending
		case !dry[i] && worse(r.Phase, worst):
			worst = r.Phase
			if reason := why(r, &metrics[i]); reason != "" {
				message = fmt.Sprintf("Metric \"%s\" %s", metrics[i].Name, reason)
			}
		}
		if !over {
			return "", "", false
		}
	}
	return worst, message, true
}

func summaries(results []*v1alpha1.MetricResult, dry []bool) (v1alpha1.RunSummary, *v1alpha1.RunSummary) {
	real, dryRun := tally(results, dry)
	return real, &dryRun
}

// finish ends the run.
func finish(p *Plan, s Snapshot, phase v1alpha1.AnalysisPhase, message string) {
	p.Actions, p.Wake = nil, time.Time{}
	p.Status.Phase, p.Status.Message = phase, clip(message)
	p.Status.CompletedAt = stamp(s.Now)
	p.Notes = append(p.Notes, Note{
		Warning: isBad(phase), Reason: "AnalysisRun" + string(phase),
		Message: fmt.Sprintf("Analysis Completed. Result: %s", phase),
	})
	expire(s, p)
}

// expire deletes a run whose time to live is over, and else wakes when it will be.
func expire(s Snapshot, p *Plan) {
	ttl := lifetime(s.Spec.TTLStrategy, p.Status.Phase)
	if ttl == nil || p.Status.CompletedAt == nil {
		return
	}
	end := p.Status.CompletedAt.Add(time.Duration(*ttl) * time.Second)
	if end.After(s.Now) {
		p.wake(end)
		return
	}
	if s.Status.Phase.Completed() { // a verdict is persisted before its run goes away
		p.Actions = append(p.Actions, Delete{})
	} else {
		p.wake(s.Now)
	}
}

func lifetime(t *v1alpha1.TTLStrategy, phase v1alpha1.AnalysisPhase) *int32 {
	switch {
	case t == nil:
		return nil
	case phase == v1alpha1.AnalysisPhaseSuccessful && t.SecondsAfterSuccess != nil:
		return t.SecondsAfterSuccess
	case phase == v1alpha1.AnalysisPhaseFailed && t.SecondsAfterFailure != nil:
		return t.SecondsAfterFailure
	}
	return t.SecondsAfterCompletion
}

// trim lets the oldest measurements go that are more than keep, or than so many bytes hold,
// and counts them in the metric's metadata.
func trim(r *v1alpha1.MetricResult, keep, bytes int) {
	over := max(0, len(r.Measurements)-keep)
	for i := len(r.Measurements) - 1; i >= over; i-- {
		if bytes -= sizeOf(&r.Measurements[i]); bytes < 0 {
			over = min(i+1, len(r.Measurements)-1) // the newest stays
		}
	}
	if over == 0 {
		return
	}
	r.Measurements = append([]v1alpha1.Measurement(nil), r.Measurements[over:]...)
	before, err := strconv.Atoi(r.Metadata[droppedKey])
	if err != nil {
		before = 0
	}
	r.Metadata = set(r.Metadata, droppedKey, strconv.Itoa(before+over))
}

// sizeOf is about how many bytes a measurement takes in the object.
func sizeOf(m *v1alpha1.Measurement) int {
	n := 200 + len(m.Value) + len(m.Message) // the names of fields, and the times
	for k, v := range m.Metadata {
		n += len(k) + len(v) + 8
	}
	return n
}

func (p *Plan) wake(at time.Time) {
	if p.Wake.IsZero() || at.Before(p.Wake) {
		p.Wake = at
	}
}

func isBad(phase v1alpha1.AnalysisPhase) bool {
	return phase == v1alpha1.AnalysisPhaseError || phase == v1alpha1.AnalysisPhaseFailed
}

// duration reads a duration that validate has accepted.
func duration(d v1alpha1.DurationString) time.Duration {
	v, err := time.ParseDuration(string(d))
	if err != nil {
		return 0
	}
	return v
}

// stamp is a time as the API stores it, in whole seconds.
func stamp(t time.Time) *metav1.Time {
	m := metav1.NewTime(t.Truncate(time.Second))
	return &m
}
