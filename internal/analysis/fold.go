package analysis

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

const (
	// maxText bounds every text that a provider can put into the status, in bytes.
	maxText = 1 << 10
	// maxMetadata bounds the entries of a metadata map.
	maxMetadata = 16
	// tokenKey is where a measurement in flight keeps its token.
	tokenKey = "resume-token"
)

// publishedTokens are the keys that the published providers use for it, so that a run
// started by another controller is resumed.
var publishedTokens = []string{"job-name", "canaryExecutionId"}

// Outcome is what became of a Measure or a Stop.
type Outcome struct {
	// Name is the action's Metric; Metric is the metric as measured, secrets resolved.
	Name   string
	Metric v1alpha1.Metric
	// Secrets are redacted from every text.
	Secrets []string
	// Result is the answer, when Err is empty.
	Result metric.Result
	// Err is the reason why there is none.
	Err string
	// Stopped is true for the outcome of a Stop.
	Stopped bool
	// Started is when the measurement began.
	Started time.Time
	// Describe is the provider's description of the metric.
	Describe map[string]string
}

// Fold adds outcomes to a status: the measurements with their phases, and the
// counters. The phases of metrics and run are for Decide, on the status that Fold
// returns. Outcomes for a run or a metric that is over are dropped.
func Fold(status v1alpha1.AnalysisRunStatus, spec v1alpha1.AnalysisRunSpec, outcomes []Outcome, now time.Time) v1alpha1.AnalysisRunStatus {
	next := *status.DeepCopy()
	if next.Phase.Completed() {
		return next
	}
	for i := range outcomes {
		o := &outcomes[i]
		r := resultOf(&next, o.Name)
		if r == nil {
			if o.Stopped {
				continue
			}
			next.MetricResults = append(next.MetricResults, v1alpha1.MetricResult{
				Name: o.Name, Phase: v1alpha1.AnalysisPhaseRunning, DryRun: isDry(spec, o.Name),
				Metadata: tidy(o.Describe, o.Secrets),
			})
			r = &next.MetricResults[len(next.MetricResults)-1]
		}
		if !r.Phase.Completed() {
			add(r, o, now)
		}
	}
	return next
}

// isDry matches the rules with the one metric; Decide has checked them all.
func isDry(spec v1alpha1.AnalysisRunSpec, name string) bool {
	for _, rule := range spec.DryRun {
		if match(rule.MetricName, []v1alpha1.Metric{{Name: name}}, func(int) {}) {
			return true
		}
	}
	return false
}

// add appends the outcome's measurement, or overwrites the one in flight.
func add(r *v1alpha1.MetricResult, o *Outcome, now time.Time) {
	m := inFlight(r)
	if m == nil {
		if o.Stopped {
			return
		}
		started := o.Started
		if started.IsZero() {
			started = now
		}
		r.Measurements = append(r.Measurements, v1alpha1.Measurement{StartedAt: stamp(started)})
		m = &r.Measurements[len(r.Measurements)-1]
	}
	counted := fill(m, o, now)
	if m.FinishedAt == nil || !counted {
		return
	}
	switch m.Phase {
	case v1alpha1.AnalysisPhaseSuccessful:
		r.Successful++
		r.Count++
		r.ConsecutiveSuccess++
		r.ConsecutiveError = 0
	case v1alpha1.AnalysisPhaseError:
		r.Error++
		r.ConsecutiveError++
		r.ConsecutiveSuccess = 0
	default:
		if m.Phase == v1alpha1.AnalysisPhaseFailed {
			r.Failed++
		} else {
			r.Inconclusive++
		}
		r.Count++
		r.ConsecutiveError, r.ConsecutiveSuccess = 0, 0
	}
}

// fill writes the outcome into the measurement; counted is false for one that noData:
// Skip leaves out.
func fill(m *v1alpha1.Measurement, o *Outcome, now time.Time) (counted bool) {
	res, message := o.Result, o.Err
	counted = true
	switch {
	case o.Err != "":
		m.Phase = v1alpha1.AnalysisPhaseError
	case o.Stopped:
		m.Phase, message = v1alpha1.AnalysisPhaseInconclusive, "Metric Terminated"
	case res.Kind == metric.Pending:
		m.Phase = v1alpha1.AnalysisPhaseRunning
		at := metav1.NewTime(stamp(now).Add(max(res.After, minWait)))
		m.ResumeAt = &at
		message = res.Message
		if res.Display != "" {
			m.Value = text(res.Display, o.Secrets)
		}
	case res.Kind == metric.Verdict:
		m.Phase, message, m.Value = verdictOf(res), res.Message, text(res.Display, o.Secrets)
	default:
		j := judge(&o.Metric, res, now)
		m.Phase, message, counted = j.phase, j.message, !j.skip
		if j.phase != v1alpha1.AnalysisPhaseError {
			m.Value = text(res.Display, o.Secrets)
		}
	}
	m.Message = text(message, o.Secrets)
	if o.Err == "" {
		for k, v := range tidy(res.Metadata, o.Secrets) {
			m.Metadata = set(m.Metadata, k, v)
		}
	}
	if m.Phase == v1alpha1.AnalysisPhaseRunning {
		delete(m.Metadata, tokenKey)
		if tokenOf(m) != res.Token {
			m.Metadata = set(m.Metadata, tokenKey, res.Token)
		}
		return true
	}
	delete(m.Metadata, tokenKey)
	m.FinishedAt, m.ResumeAt = stamp(now), nil
	return counted
}

// verdictOf is what the source has judged; anything that is no verdict is no success.
func verdictOf(res metric.Result) v1alpha1.AnalysisPhase {
	if !res.Phase.Completed() {
		return v1alpha1.AnalysisPhaseError
	}
	return res.Phase
}

func tokenOf(m *v1alpha1.Measurement) string {
	if m == nil {
		return ""
	}
	token := m.Metadata[tokenKey]
	for _, k := range publishedTokens {
		token = cmp.Or(token, m.Metadata[k])
	}
	return token
}

// text is a provider's text made fit for the status.
func text(s string, secrets []string) string { return clip(metric.Redact(s, secrets)) }

// clip shortens to maxText bytes, at the border of a character, and says by how much.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxText {
		return s
	}
	cut := maxText - len("… (1000000000 bytes more)")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes more)", s[:cut], len(s)-cut)
}

func tidy(in map[string]string, secrets []string) map[string]string {
	var out map[string]string
	for _, k := range sortedKeys(in) {
		if len(out) == maxMetadata {
			return set(out, "dropped", fmt.Sprintf("%d more entries", len(in)-len(out)))
		}
		out = set(out, text(k, secrets), text(in[k], secrets))
	}
	return out
}

func set(m map[string]string, k, v string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[k] = v
	return m
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
