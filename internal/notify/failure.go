package notify

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Failure is the variable "failure" of templates: which metric decided against a revision. Its
// fields are empty where none did.
type Failure struct {
	// Run and Metric are names, Value is what was measured last, Bound the condition that it
	// breaks or does not meet.
	Run, Metric, Value, Bound string
	// Failed of Count measurements were bad.
	Failed, Count int32
	// Text is all of that in a sentence.
	Text string
}

// failureOf finds the metric that decided a run.
func failureOf(r *v1alpha1.AnalysisRun) Failure {
	f := Failure{Run: r.Name, Text: r.Status.Message}
	for _, phase := range []v1alpha1.AnalysisPhase{v1alpha1.AnalysisPhaseFailed, v1alpha1.AnalysisPhaseError, v1alpha1.AnalysisPhaseInconclusive} {
		for i := range r.Status.MetricResults {
			if m := &r.Status.MetricResults[i]; m.Phase == phase && !m.DryRun {
				return f.with(r, m)
			}
		}
	}
	return f
}

func (f Failure) with(r *v1alpha1.AnalysisRun, m *v1alpha1.MetricResult) Failure {
	f.Metric, f.Failed, f.Count = m.Name, m.Failed, m.Count
	said := ""
	for i := range m.Measurements {
		if x := &m.Measurements[i]; x.Phase == m.Phase {
			f.Value, said = x.Value, x.Message
		}
	}
	for i := range r.Spec.Metrics {
		if x := &r.Spec.Metrics[i]; x.Name == m.Name {
			f.Bound = boundOf(x, m.Phase)
		}
	}
	parts := []string{fmt.Sprintf("metric %s %s", m.Name, verb(m.Phase))}
	if f.Value != "" {
		parts[0] += ": measured " + f.Value
	}
	if f.Bound != "" && m.Phase != v1alpha1.AnalysisPhaseError {
		parts = append(parts, f.Bound)
	}
	if m.Phase == v1alpha1.AnalysisPhaseFailed && m.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d measurements failed", m.Failed, m.Count))
	}
	if why := strings.TrimSpace(said); why != "" {
		parts = append(parts, why)
	}
	f.Text = strings.Join(parts, ", ")
	return f
}

func verb(phase v1alpha1.AnalysisPhase) string {
	switch phase {
	case v1alpha1.AnalysisPhaseError:
		return "could not be measured"
	case v1alpha1.AnalysisPhaseInconclusive:
		return "decided nothing"
	}
	return "failed"
}

// boundOf is the condition that counted.
func boundOf(m *v1alpha1.Metric, phase v1alpha1.AnalysisPhase) string {
	switch {
	case phase == v1alpha1.AnalysisPhaseFailed && m.FailureCondition != "":
		return "fails if " + m.FailureCondition
	case m.SuccessCondition != "":
		return "wanted " + m.SuccessCondition
	}
	return ""
}

// linkPrefix begins the annotations that link an object to pages about it, as Argo CD has them.
const linkPrefix = "link.argocd.argoproj.io/"

// links is the variable "links" of templates: the pages that annotations name, by title.
func links(annotations map[string]string) (all []any) {
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		title, is := strings.CutPrefix(key, linkPrefix)
		if !is {
			continue
		}
		url := annotations[key]
		if t, u, titled := strings.Cut(url, "|"); titled {
			title, url = strings.TrimSpace(t), strings.TrimSpace(u)
		}
		if strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://") {
			all = append(all, map[string]any{"title": title, "url": url})
		}
	}
	return all
}
