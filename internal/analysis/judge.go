package analysis

import (
	"fmt"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

// judgement is what a measurement means.
type judgement struct {
	phase   v1alpha1.AnalysisPhase
	message string
	skip    bool
}

// judge evaluates the conditions. Without conditions, data is a success.
func judge(m *v1alpha1.Metric, res metric.Result, now time.Time) judgement {
	switch form := missing(res.Value); {
	case res.Kind == metric.NoData && form == hasData:
		return policy(m, res.Why, form)
	case form != hasData:
		if m.NoData == "" {
			if j, decided := judgeMissing(m, res.Value, now); decided {
				return j
			}
		}
		if res.Why == "" {
			res.Why = reasonOf(form)
		}
		return policy(m, res.Why, form)
	}
	var ok [2]bool
	for i, c := range conditionsOf(m) {
		var err error
		if c.text == "" {
			continue
		}
		if why := absent(c.text, res.Value); why != "" {
			return policy(m, why, hasData)
		}
		if ok[i], err = evaluate(c.text, res.Value, now); err != nil {
			if why := beyond(c.text, res); why != "" {
				return policy(m, why, hasData)
			}
			return judgement{phase: v1alpha1.AnalysisPhaseError, message: fmt.Sprintf("could not evaluate %s \"%s\": %s", c.name, c.text, err)}
		}
	}
	return judgement{phase: combine(m, ok[0], ok[1])}
}

type namedCondition struct{ name, text string }

func conditionsOf(m *v1alpha1.Metric) [2]namedCondition {
	return [2]namedCondition{{"successCondition", m.SuccessCondition}, {"failureCondition", m.FailureCondition}}
}

// combine is the table of the two conditions; when both hold, failure wins.
func combine(m *v1alpha1.Metric, success, failure bool) v1alpha1.AnalysisPhase {
	switch {
	case m.FailureCondition != "" && failure:
		return v1alpha1.AnalysisPhaseFailed
	case m.SuccessCondition == "" || success:
		return v1alpha1.AnalysisPhaseSuccessful
	case m.FailureCondition == "":
		return v1alpha1.AnalysisPhaseFailed
	}
	return v1alpha1.AnalysisPhaseInconclusive
}

// judgeMissing lets the conditions decide about missing data, if all of them test for it.
func judgeMissing(m *v1alpha1.Metric, value any, now time.Time) (j judgement, decided bool) {
	var ok [2]bool
	for i, c := range conditionsOf(m) {
		if c.text == "" {
			continue
		}
		if ok[i], decided = evaluateMissing(c.text, value, now); !decided {
			return j, false
		}
	}
	return judgement{phase: combine(m, ok[0], ok[1])}, decided
}

func reasonOf(f form) string {
	switch f {
	case emptyForm:
		return "the result is an empty list"
	case nanForm:
		return "the result is NaN"
	}
	return "the result is null"
}

func knownPolicy(p v1alpha1.NoDataPolicy) bool {
	switch p {
	case "", v1alpha1.NoDataSuccess, v1alpha1.NoDataFail, v1alpha1.NoDataError, v1alpha1.NoDataInconclusive, v1alpha1.NoDataSkip:
		return true
	}
	return false
}

// publishedEmpty is what the published controller says when a condition cannot be evaluated
// because there is nothing.
const publishedEmpty = "metric result is nil or empty: no data returned from the metric provider"

// policy judges a measurement without data as the metric's noData says.
func policy(m *v1alpha1.Metric, why string, form form) judgement {
	p := m.NoData
	j := judgement{phase: v1alpha1.AnalysisPhaseInconclusive}
	switch p {
	case v1alpha1.NoDataSuccess:
		j.phase = v1alpha1.AnalysisPhaseSuccessful
	case v1alpha1.NoDataFail:
		j.phase = v1alpha1.AnalysisPhaseFailed
	case v1alpha1.NoDataError:
		j.phase = v1alpha1.AnalysisPhaseError
	case v1alpha1.NoDataSkip:
		j.skip = true
	default:
		p = v1alpha1.NoDataInconclusive
	}
	j.message = fmt.Sprintf("no data: %s (noData: %s)", why, p)
	if p == v1alpha1.NoDataError && form&(nilForm|emptyForm) != 0 {
		j.message += ": " + publishedEmpty
	}
	return j
}
