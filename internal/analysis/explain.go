package analysis

import (
	"fmt"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

// What an explanation shows of each part, in bytes.
const (
	maxValue     = 120
	maxBound     = 200
	maxShownText = 400
)

// explain is the sentence for a person on call that follows the published reason: what was
// measured against which bound, how often, since when, and what was asked.
func explain(r *v1alpha1.MetricResult, m *v1alpha1.Metric) string {
	last := lastOf(r)
	if last == nil {
		return ""
	}
	var parts []string
	if b := bound(m, last); b != "" {
		parts = append(parts, fmt.Sprintf("measured %s, %s", short(last.Value, maxValue), b))
	}
	if often := howOften(r); often != "" {
		parts = append(parts, often)
	}
	if q := asked(r, ""); q != "" {
		parts = append(parts, "asked "+short(q, maxShownText))
	}
	if q := asked(r, metric.Stable+"."); q != "" {
		parts = append(parts, "for stable "+short(q, maxShownText))
	}
	return strings.Join(parts, "; ")
}

// bound says how the value stands to the conditions. A measurement with a message has been
// judged by something else.
func bound(m *v1alpha1.Metric, last *v1alpha1.Measurement) string {
	success, failure := short(m.SuccessCondition, maxBound), short(m.FailureCondition, maxBound)
	switch {
	case last.Value == "" || last.Message != "":
		return ""
	case last.Phase == v1alpha1.AnalysisPhaseFailed && failure != "":
		return fmt.Sprintf("and failureCondition %q holds", failure)
	case last.Phase == v1alpha1.AnalysisPhaseFailed && success != "":
		return fmt.Sprintf("and successCondition %q does not hold", success)
	case last.Phase == v1alpha1.AnalysisPhaseInconclusive:
		return fmt.Sprintf("and neither successCondition %q nor failureCondition %q holds", success, failure)
	}
	return ""
}

// howOften counts what decided, and names the first of it that the status still has.
func howOften(r *v1alpha1.MetricResult) string {
	var count string
	switch {
	case r.Phase == v1alpha1.AnalysisPhaseFailed && r.Failed > 0:
		count = fmt.Sprintf("%d of %d measurements failed", r.Failed, r.Count)
	case r.Phase == v1alpha1.AnalysisPhaseInconclusive && r.Inconclusive > 0:
		count = fmt.Sprintf("%d of %d measurements undecided", r.Inconclusive, r.Count)
	case r.Phase == v1alpha1.AnalysisPhaseError && r.ConsecutiveError > 0:
		count = fmt.Sprintf("%d in a row could not be taken", r.ConsecutiveError)
	default:
		return ""
	}
	for i := range r.Measurements {
		if x := &r.Measurements[i]; x.Phase == r.Phase && x.StartedAt != nil {
			return count + " since " + x.StartedAt.UTC().Format(time.RFC3339)
		}
	}
	return count
}

// asked is the query with its args filled in, as the provider describes it: the published
// keys begin with Resolved, those of a baseline with stable before it.
func asked(r *v1alpha1.MetricResult, of string) string {
	for _, k := range sortedKeys(r.Metadata) {
		if strings.HasPrefix(k, of+"Resolved") {
			return strings.Join(strings.Fields(r.Metadata[k]), " ")
		}
	}
	return ""
}

// short cuts at the border of a character.
func short(s string, bytes int) string {
	if len(s) <= bytes {
		return s
	}
	return strings.ToValidUTF8(s[:bytes], "") + "…"
}
