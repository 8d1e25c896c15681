package kube

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
)

// +kubebuilder:rbac:groups=argoproj.io,resources=analysisruns,verbs=get;list;watch;create;patch;delete

// observeRuns reads the AnalysisRuns of the Rollout, by name.
func (r *Rollouts) observeRuns(ctx context.Context, s *Seen) error {
	list := &v1alpha1.AnalysisRunList{}
	err := r.Reader.List(ctx, list, client.InNamespace(s.Rollout.Namespace), r.owner(string(s.Rollout.UID)))
	if err != nil {
		return fmt.Errorf("list analysisruns of rollout %s/%s: %w", s.Rollout.Namespace, s.Rollout.Name, err)
	}
	if err := r.addNamed(ctx, s.Rollout, list); err != nil {
		return err
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.AnalysisRun) int { return strings.Compare(a.Name, b.Name) })
	for i := range list.Items {
		if run := &list.Items[i]; ownedBy(run, s.Rollout) {
			s.Snapshot.Runs = append(s.Snapshot.Runs, runOf(run))
			s.Runs[run.Name] = run
		}
	}
	return nil
}

// addNamed reads the runs that the status waits for and the cache does not show from the
// API server, so that none is made twice (core.md §15 no. 101).
func (r *Rollouts) addNamed(ctx context.Context, ro *v1alpha1.Rollout, list *v1alpha1.AnalysisRunList) error {
	st := &ro.Status
	for _, ref := range []*v1alpha1.RolloutAnalysisRunStatus{
		st.Canary.CurrentStepAnalysisRunStatus, st.Canary.CurrentBackgroundAnalysisRunStatus,
		st.BlueGreen.PrePromotionAnalysisRunStatus, st.BlueGreen.PostPromotionAnalysisRunStatus,
	} {
		if ref == nil || ref.Name == "" || ref.Status.Completed() ||
			slices.ContainsFunc(list.Items, func(run v1alpha1.AnalysisRun) bool { return run.Name == ref.Name }) {
			continue
		}
		run := v1alpha1.AnalysisRun{}
		err := r.Live.Get(ctx, loop.Key{Namespace: ro.Namespace, Name: ref.Name}, &run)
		switch {
		case err == nil:
			list.Items = append(list.Items, run)
		case !apierrors.IsNotFound(err):
			return fmt.Errorf("get analysisrun %s/%s: %w", ro.Namespace, ref.Name, err)
		}
	}
	return nil
}

func runOf(ar *v1alpha1.AnalysisRun) rollout.Run {
	run := rollout.Run{
		Name: ar.Name, Kind: rollout.RunKind(ar.Labels[typeLabel]), Step: -1,
		Hash: ar.Labels[hashLabel], Number: number(ar.Annotations),
		Phase: ar.Status.Phase, Message: ar.Status.Message,
		Terminating: ar.Spec.Terminate, Deleting: ar.DeletionTimestamp != nil, Created: ar.CreationTimestamp.Time,
	}
	if n, err := strconv.ParseInt(ar.Labels[stepLabel], 10, 32); err == nil {
		run.Step = int32(n)
	}
	return run
}

// placed is one analysis section of a spec with its place.
type placed struct {
	analysis *v1alpha1.RolloutAnalysis
	path     string
	kind     string
	step     int32
}

// analyses lists the analysis sections of a spec.
func analyses(spec *v1alpha1.RolloutSpec) (all []placed) {
	if b := spec.Strategy.BlueGreen; b != nil {
		for _, p := range []placed{
			{b.PrePromotionAnalysis, "spec.strategy.blueGreen.prePromotionAnalysis.templates", "PrePromotion", -1},
			{b.PostPromotionAnalysis, "spec.strategy.blueGreen.postPromotionAnalysis.templates", "PostPromotion", -1},
		} {
			if p.analysis != nil {
				all = append(all, p)
			}
		}
	}
	c := spec.Strategy.Canary
	if c == nil {
		return all
	}
	for i := range c.Steps {
		if a := c.Steps[i].Analysis; a != nil {
			all = append(all, placed{a, fmt.Sprintf("spec.strategy.canary.steps[%d].analysis.templates", i), string(rollout.StepRun), int32(i)})
		}
	}
	if c.Analysis != nil {
		all = append(all, placed{&c.Analysis.RolloutAnalysis, "spec.strategy.canary.analysis.templates", string(rollout.Background), -1})
	}
	return all
}

// templates reads every template that the references name, directly or through others.
// One that is missing is left out.
func (r *Rollouts) templates(ctx context.Context, namespace string, refs []v1alpha1.AnalysisTemplateRef) (analysis.Templates, error) {
	t := analysis.Templates{Namespaced: map[string]v1alpha1.AnalysisTemplateSpec{}, Cluster: map[string]v1alpha1.AnalysisTemplateSpec{}}
	asked := map[string]bool{}
	for todo := slices.Clone(refs); len(todo) > 0; {
		ref := todo[0]
		todo = todo[1:]
		if asked[templateKey(ref)] {
			continue
		}
		asked[templateKey(ref)] = true
		spec, err := r.template(ctx, namespace, ref)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return t, fmt.Errorf("get analysis template %s: %w", ref.TemplateName, err)
		}
		if ref.ClusterScope {
			t.Cluster[ref.TemplateName] = spec
		} else {
			t.Namespaced[ref.TemplateName] = spec
		}
		todo = append(todo, spec.Templates...)
	}
	return t, nil
}

func (r *Rollouts) template(ctx context.Context, namespace string, ref v1alpha1.AnalysisTemplateRef) (v1alpha1.AnalysisTemplateSpec, error) {
	if ref.ClusterScope && r.Namespaced {
		return v1alpha1.AnalysisTemplateSpec{}, apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("clusteranalysistemplates").GroupResource(), ref.TemplateName)
	}
	if ref.ClusterScope {
		var t v1alpha1.ClusterAnalysisTemplate
		err := r.Reader.Get(ctx, loop.Key{Name: ref.TemplateName}, &t)
		return t.Spec, err
	}
	var t v1alpha1.AnalysisTemplate
	err := r.Reader.Get(ctx, loop.Key{Namespace: namespace, Name: ref.TemplateName}, &t)
	return t.Spec, err
}

func buildInput(ro *v1alpha1.Rollout, a v1alpha1.RolloutAnalysis, t analysis.Templates) analysis.BuildInput {
	return analysis.BuildInput{
		Rollout:  sync.OnceValue(func() map[string]any { return tree(ro) }),
		Analysis: a, Templates: t,
		Revision: number(ro.Annotations), InstanceID: ro.Labels[instanceLabel],
	}
}
