package experiment

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// analyses decides about every analysis, and stops the runs that none of them counts on:
// those of an attempt before a retry, and of analyses that were taken out.
func (v *view) analyses() {
	old := v.Status.AnalysisRuns
	v.plan.Status.AnalysisRuns = nil
	counted := map[string]bool{}
	for i := range v.Spec.Analyses {
		a := &v.Spec.Analyses[i]
		if analysisStatus(v.plan.Status.AnalysisRuns, a.Name) != nil {
			continue
		}
		was := analysisStatus(old, a.Name)
		next := v.analysis(a, was)
		if next == nil {
			continue
		}
		counted[next.AnalysisRun] = true
		v.tellAnalysis(was, next)
		v.plan.Status.AnalysisRuns = append(v.plan.Status.AnalysisRuns, *next)
	}
	for i := range v.Runs {
		if r := &v.Runs[i]; !counted[r.Name] {
			v.stop(r, r.Name)
		}
	}
}

// analysis gives the next status of one analysis, nil for none yet. was is its status as
// persisted, nil for none.
func (v *view) analysis(a *v1alpha1.ExperimentAnalysisTemplateRef, was *v1alpha1.ExperimentAnalysisRunStatus) *v1alpha1.ExperimentAnalysisRunStatus {
	next := v1alpha1.ExperimentAnalysisRunStatus{Name: a.Name}
	if was != nil {
		next = *was
	}
	run := v.run(next.AnalysisRun)
	if next.Phase.Completed() {
		if run != nil && v.ending {
			v.stop(run, a.Name) // it was made after all
		}
		return &next
	}
	if run == nil && next.AnalysisRun == "" {
		run = v.unnoticed(a.Name)
	}
	switch {
	case run != nil:
		next.AnalysisRun, next.Phase, next.Message = run.Name, run.Phase, run.Message
		if run.Phase == "" {
			next.Phase = v1alpha1.AnalysisPhasePending
		}
		if v.ending {
			v.stop(run, a.Name)
		} else if !run.Phase.Completed() {
			v.wait(AnalysisRunning, fmt.Sprintf("analysis %s (%s) has no verdict yet", a.Name, run.Name))
		}
	case next.Phase == v1alpha1.AnalysisPhaseRunning:
		next.Phase, next.Message = v1alpha1.AnalysisPhaseError, fmt.Sprintf("AnalysisRun '%s' not found", next.AnalysisRun)
	case v.ending:
		return nil // it was never started
	case v.Status.AvailableAt != nil:
		v.start(a, &next)
	case v.Missing[a.Name] != "":
		kind := "AnalysisTemplate"
		if a.ClusterScope {
			kind = "ClusterAnalysisTemplate"
		}
		next.Phase = v1alpha1.AnalysisPhaseError
		next.Message = fmt.Sprintf("%s verification failed for analysis '%s': %s", kind, a.Name, v.Missing[a.Name])
	default:
		return nil
	}
	return &next
}

// start creates the run. It is asked for again until it is seen, always under the same
// name, unless that turns out to be taken.
func (v *view) start(a *v1alpha1.ExperimentAnalysisTemplateRef, next *v1alpha1.ExperimentAnalysisRunStatus) {
	fail := func(why string) {
		next.Phase = v1alpha1.AnalysisPhaseError
		next.Message = fmt.Sprintf("Failed to create AnalysisRun for analysis '%s': %s", a.Name, why)
	}
	args, err := v.arguments(a.Args)
	if err != nil {
		fail(err.Error())
		return
	}
	name := next.AnalysisRun
	if name == "" || v.Refused[StartRun{Name: name}.String()].Taken {
		name = v.freeRun(a.Name)
	}
	action := StartRun{Analysis: a.Name, Name: name, Args: args}
	next.AnalysisRun, next.Phase = name, v1alpha1.AnalysisPhasePending
	if r, refused := v.Refused[action.String()]; refused {
		fail(r.Text)
		return
	}
	v.do(action)
}

// freeRun is <experiment>-<analysis>, or the first of .1, .2 … behind it that is free.
func (v *view) freeRun(analysis string) string {
	base := v.Name + "-" + analysis
	name := base
	for i := 1; v.run(name) != nil || v.Refused[StartRun{Name: name}.String()].Taken; i++ {
		name = fmt.Sprintf("%s.%d", base, i)
	}
	return name
}

// unnoticed is a run of the analysis that the status does not name because a status
// write got lost: it is used, not doubled. While nothing may be measured yet there is none.
func (v *view) unnoticed(analysis string) *Run {
	if v.Status.AvailableAt == nil {
		return nil
	}
	for i := len(v.Runs) - 1; i >= 0; i-- {
		if r := &v.Runs[i]; v.names(r.Name, analysis) && !r.Phase.Completed() && !r.Terminating && !r.Deleting {
			return r
		}
	}
	return nil
}

// names reports whether a run's name is one that freeRun gives for the analysis, and no
// other analysis goes by it.
func (v *view) names(run, analysis string) bool {
	base := v.Name + "-" + analysis
	rest, ok := strings.CutPrefix(run, base)
	if !ok || rest == "" {
		return ok
	}
	n, err := strconv.Atoi(strings.TrimPrefix(rest, "."))
	return err == nil && n > 0 && strings.HasPrefix(rest, ".") && !slices.ContainsFunc(v.Spec.Analyses,
		func(o v1alpha1.ExperimentAnalysisTemplateRef) bool { return v.Name+"-"+o.Name == run })
}

func (v *view) run(name string) *Run {
	for i := range v.Runs {
		if v.Runs[i].Name == name {
			return &v.Runs[i]
		}
	}
	return nil
}

func (v *view) stop(r *Run, analysis string) {
	if !r.Terminating && !r.Deleting && !r.Phase.Completed() {
		v.do(StopRun{Analysis: analysis, Name: r.Name})
	}
}

func (v *view) tellAnalysis(was, next *v1alpha1.ExperimentAnalysisRunStatus) {
	var before v1alpha1.AnalysisPhase
	if was != nil {
		before = was.Phase
	}
	if before == next.Phase {
		return
	}
	n := Note{Kind: Event, Reason: AnalysisRunPrefix + Reason(next.Phase), Owner: true,
		Message: fmt.Sprintf("AnalysisRun '%s' transitioned from %s -> %s", next.Name, before, next.Phase) + suffix(next.Message)}
	if unsuccessful(next.Phase) {
		n.Kind = Warning
	}
	v.plan.Notes = append(v.plan.Notes, n)
}

func unsuccessful(p v1alpha1.AnalysisPhase) bool {
	return p.Completed() && p != v1alpha1.AnalysisPhaseSuccessful
}
