package sim

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/experiment"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// trial is one Experiment of the Rollout, driven by the real engine.
type trial struct {
	name, hash string
	number     int64
	created    time.Time
	spec       v1alpha1.ExperimentSpec
	status     v1alpha1.ExperimentStatus
	sets       []*trialSet
	services   []experiment.Service
	runs       []*run
	wake       time.Time
}

// trialSet is the ReplicaSet of one template.
type trialSet struct {
	replicaSet
	template, name string
}

func (w *World) trial(name string) *trial {
	i := slices.IndexFunc(w.trials, func(x *trial) bool { return x.name == name })
	if i < 0 {
		return nil
	}
	return w.trials[i]
}

// startTrial makes the Experiment of a step, as the shell does.
func (w *World) startTrial(a rollout.StartExperiment) {
	steps := w.canary().Steps
	if w.trial(a.Name) != nil || int(a.Step) >= len(steps) || steps[a.Step].Experiment == nil {
		return // the steps were changed under the plan; the next pass knows
	}
	e := steps[a.Step].Experiment
	x := &trial{name: a.Name, hash: a.Hash, number: a.Number, created: w.Now, wake: w.Now}
	x.spec = v1alpha1.ExperimentSpec{Duration: e.Duration, ScaleDownDelaySeconds: e.ScaleDownDelaySeconds,
		ProgressDeadlineSeconds: w.Rollout.Spec.ProgressDeadlineSeconds, DryRun: e.DryRun}
	for _, t := range e.Templates {
		of := a.Hash
		if t.SpecRef == v1alpha1.StableSpecRef {
			of = a.Stable
		}
		x.spec.Templates = append(x.spec.Templates, w.trialTemplate(t, of))
	}
	for _, an := range e.Analyses {
		x.spec.Analyses = append(x.spec.Analyses, v1alpha1.ExperimentAnalysisTemplateRef{Name: an.Name,
			TemplateName: an.TemplateName, ClusterScope: an.ClusterScope, RequiredForCompletion: an.RequiredForCompletion})
	}
	w.trials = append(w.trials, x)
}

func (w *World) trialTemplate(t v1alpha1.RolloutExperimentTemplate, hash string) v1alpha1.TemplateSpec {
	labels := map[string]string{"experiment": t.Name}
	out := v1alpha1.TemplateSpec{Name: t.Name, Replicas: t.Replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}}
	out.Template.Labels = labels
	out.Template.Spec.Containers = []corev1.Container{{Name: "demo", Image: w.imageOf(hash), Ports: []corev1.ContainerPort{{ContainerPort: 80}}}}
	if t.Weight != nil || t.Service != nil {
		out.Service = &v1alpha1.TemplateService{}
		if t.Service != nil {
			out.Service.Name = t.Service.Name
		}
	}
	return out
}

// tickTrials gives every Experiment a pass of the real engine.
func (w *World) tickTrials() (changed bool) {
	for _, x := range w.trials {
		for i := 0; w.passTrial(x); i++ {
			if changed = true; i > maxPasses {
				w.broke("the experiment does not come to rest")
				w.stuck = true
				break
			}
		}
	}
	return changed
}

func (w *World) passTrial(x *trial) (again bool) {
	p := experiment.Decide(w.seenTrial(x))
	for _, a := range p.Actions {
		w.doTrial(x, a)
	}
	before := x.status
	x.status, x.wake = p.Status, p.Wake
	if before.Phase != x.status.Phase {
		w.log("  experiment %s is %s%s", w.name(x.name), x.status.Phase, because(x.status.Message))
	}
	return len(p.Actions) > 0 || before.Phase != x.status.Phase
}

func (w *World) seenTrial(x *trial) experiment.Snapshot {
	s := experiment.Snapshot{Now: w.Now, Namespace: "default", Name: x.name, Spec: x.spec, Status: x.status}
	for _, r := range x.sets {
		up := r.available(w.Now)
		s.Sets = append(s.Sets, experiment.Set{Template: r.template, Name: r.name, Hash: r.hash, Current: true, Desired: r.desired,
			Actual: int32(len(r.pods)), Ready: up, Available: up, Observed: true, RetireAt: r.retireAt, Routed: w.lists(r.hash, "")})
	}
	for _, v := range x.services {
		v.Routed = w.lists("", v.Name)
		s.Services = append(s.Services, v)
	}
	for _, r := range x.runs {
		s.Runs = append(s.Runs, experiment.Run{Name: r.name, Phase: r.status.Phase, Message: r.status.Message, Terminating: r.spec.Terminate})
	}
	return s
}

// lists reports whether the Rollout's status has a destination with the hash or Service.
func (w *World) lists(hash, service string) bool {
	weights := w.Rollout.Status.Canary.Weights
	return weights != nil && slices.ContainsFunc(weights.Additional, func(d v1alpha1.WeightDestination) bool {
		return hash != "" && d.PodTemplateHash == hash || service != "" && d.ServiceName == service
	})
}

func (x *trial) set(name string) *trialSet {
	i := slices.IndexFunc(x.sets, func(s *trialSet) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return x.sets[i]
}

func (w *World) doTrial(x *trial, a experiment.Action) {
	w.log("  %s", w.name(a.String()))
	switch a := a.(type) {
	case experiment.EnsureSet:
		for _, t := range x.spec.Templates {
			if t.Name == a.Template && x.set(a.Name) == nil {
				img := t.Template.Spec.Containers[0].Image
				x.sets = append(x.sets, &trialSet{template: a.Template, name: a.Name,
					replicaSet: replicaSet{hash: a.Hash, created: w.Now, image: img, readyAfter: w.readyAfter(img)}})
			}
		}
	case experiment.Scale:
		if s := x.set(a.Set); s != nil {
			if a.To < a.From && w.extraTo(x, s) {
				w.broke(a.String() + " although the experiment may still receive traffic")
			}
			w.scale(&s.replicaSet, a.To)
		}
	case experiment.Retire:
		if s := x.set(a.Set); s != nil {
			s.retireAt = a.At
		}
	case experiment.EnsureService:
		x.services = append(x.services, experiment.Service{Name: a.Name, Template: a.Template, Hash: x.set(a.Set).hash})
	case experiment.DeleteService:
		x.services = slices.DeleteFunc(x.services, func(s experiment.Service) bool { return s.Name == a.Name })
	case experiment.StartRun:
		w.startTrialRun(x, a)
	case experiment.StopRun:
		for _, r := range x.runs {
			if r.name == a.Name {
				r.spec.Terminate, r.wake = true, w.Now
			}
		}
	}
}

// serves reports whether a Service stands before the pods of a template.
func (x *trial) serves(service, template string) bool {
	return slices.ContainsFunc(x.services, func(s experiment.Service) bool { return s.Name == service && s.Template == template })
}

// extraTo reports whether an experiment's pods are written or served as a destination.
func (w *World) extraTo(x *trial, s *trialSet) bool {
	has := func(d traffic.Destination) bool {
		return d.Hash == s.hash && d.Weight > 0 && x.serves(d.Service, s.template)
	}
	return slices.ContainsFunc(w.route.extras, has) || slices.ContainsFunc(w.plane.extras, has)
}

func (w *World) startTrialRun(x *trial, a experiment.StartRun) {
	for _, an := range x.spec.Analyses {
		if an.Name != a.Analysis {
			continue
		}
		built, err := analysis.Build(analysis.BuildInput{Rollout: func() map[string]any { return asMap(&w.Rollout) }, Templates: w.Templates,
			Analysis: v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: an.TemplateName}}}})
		if err != nil {
			w.broke("analysis run of an experiment could not be built: " + err.Error())
			return
		}
		r := &run{name: a.Name, kind: "Experiment", hash: x.hash, created: w.Now, spec: built.Spec, wake: w.Now}
		x.runs, w.runs = append(x.runs, r), append(w.runs, r)
	}
}

func (w *World) deleteTrial(name string) {
	if x := w.trial(name); x != nil {
		w.runs = slices.DeleteFunc(w.runs, func(r *run) bool { return slices.Contains(x.runs, r) })
	}
	w.trials = slices.DeleteFunc(w.trials, func(x *trial) bool { return x.name == name })
}

func (w *World) seenTrials() []rollout.Experiment {
	var out []rollout.Experiment
	for _, x := range w.trials {
		e := rollout.Experiment{Name: x.name, Hash: x.hash, Number: x.number, Phase: x.status.Phase, Message: x.status.Message,
			Terminating: x.spec.Terminate, Created: x.created}
		for _, t := range x.status.TemplateStatuses {
			pods := rollout.ExperimentTemplate{Name: t.Name, Service: t.ServiceName, Hash: t.PodTemplateHash}
			if t.Status == v1alpha1.TemplateStatusRunning || t.Status == v1alpha1.TemplateStatusProgressing {
				pods.Available = t.AvailableReplicas
			}
			e.Templates = append(e.Templates, pods)
		}
		out = append(out, e)
	}
	return out
}

// checkExtras: an experiment that gets traffic has pods for it.
func (w *World) checkExtras() {
	if !w.deaths.IsZero() {
		return
	}
	for _, d := range w.plane.extras {
		for _, x := range w.trials {
			for _, s := range x.sets {
				if s.hash == d.Hash && x.serves(d.Service, s.template) && d.Weight > 0 && s.available(w.Now) == 0 {
					w.broke(fmt.Sprintf("%d parts of the traffic go to experiment %s, which has no available pod", d.Weight, x.name))
				}
			}
		}
	}
}
