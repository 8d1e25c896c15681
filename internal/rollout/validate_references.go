package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// references checks what the spec names (core.md §1.7.3): first that everything can be
// found, then that it fits.
func (p *problems) references(namespace, name string, s *v1alpha1.RolloutSpec, refs *References) {
	services, analyses := namedServices(s), namedAnalyses(s)
	for _, n := range services {
		if _, found := refs.Services[n.name]; !found && refs.Services != nil {
			p.invalid(n.at, n.name, fmt.Sprintf("service %q not found", n.name), "create the Service in namespace "+namespace+", or correct its name")
		}
	}
	sets := make([][]foundTemplate, len(analyses))
	for i, a := range analyses {
		if refs.Templates != nil {
			sets[i] = p.findTemplates(a, refs.Templates)
		}
	}
	if c := s.Strategy.Canary; c != nil && c.TrafficRouting != nil {
		p.routers(c.TrafficRouting)
	}
	for _, n := range services {
		if svc, found := refs.Services[n.name]; found {
			p.service(n, svc, name, s)
		}
	}
	for i, a := range analyses {
		p.analysis(a, sets[i], refs.Builds[a.at.String()])
	}
	if refs.Routes != "" && !p.said(refs.Routes) {
		path, _, _ := strings.Cut(refs.Routes, ": ")
		p.put(Problem{Path: path, Text: refs.Routes, Where: path})
	}
}

// workload says why the referenced workload gives no template, in the words of the error
// alone (core.md §1.7.4).
func (p *problems) workload(s *v1alpha1.RolloutSpec, refs *References) {
	if at := specPath.Child("workloadRef").String(); s.WorkloadRef != nil && refs.Workload != "" {
		p.put(Problem{Path: at, Text: refs.Workload, Where: at,
			Mend: "create the workload in the Rollout's namespace, or correct spec.workloadRef"})
	}
}

// namedService is a Service of the spec with its place.
type namedService struct {
	at   *field.Path
	name string
}

func namedServices(s *v1alpha1.RolloutSpec) (all []namedService) {
	if b := s.Strategy.BlueGreen; b != nil {
		all = append(all, namedService{fullPath("blueGreen", "activeService"), b.ActiveService},
			namedService{fullPath("blueGreen", "previewService"), b.PreviewService})
	}
	if c := s.Strategy.Canary; c != nil {
		all = append(all, namedService{fullPath("canary", "stableService"), c.StableService},
			namedService{fullPath("canary", "canaryService"), c.CanaryService})
		if pp := c.PingPong; pp != nil {
			all = append(all, namedService{fullPath("canary", "pingPong", "pingService"), pp.PingService},
				namedService{fullPath("canary", "pingPong", "pongService"), pp.PongService})
		}
	}
	return slices.DeleteFunc(all, func(n namedService) bool { return n.name == "" })
}

// service checks that a Service can select this Rollout's pods and nobody else's.
func (p *problems) service(n namedService, svc ServiceRef, rollout string, s *v1alpha1.RolloutSpec) {
	for _, k := range slices.Sorted(maps.Keys(svc.Selector)) {
		v, found := s.Template.Labels[k]
		if k == v1alpha1.PodTemplateHashLabel || found && v == svc.Selector[k] || s.WorkloadRef != nil && !s.TemplateResolvedFromRef {
			continue
		}
		p.invalid(n.at, n.name, fmt.Sprintf("Service %q has unmatch label %q in rollout", n.name, k),
			"give spec.template the labels of the Service's selector, or correct the selector")
	}
	if svc.ManagedBy != "" && svc.ManagedBy != rollout {
		p.invalid(n.at, n.name, fmt.Sprintf("Service %q is managed by another Rollout", n.name),
			"name a Service of its own for each Rollout, or delete the annotation "+v1alpha1.ManagedByAnnotation+" of the Service")
	}
}

// namedAnalysis is an analysis section of the spec with the place of its templates.
type namedAnalysis struct {
	at         *field.Path
	analysis   *v1alpha1.RolloutAnalysis
	background bool
	// trial is an analysis of an experiment, which ends it and fills in its args.
	trial bool
}

func (a namedAnalysis) value() string {
	var names []string
	for _, t := range a.analysis.Templates {
		names = append(names, t.TemplateName)
	}
	return fmt.Sprintf("templateNames: %s", names)
}

func namedAnalyses(s *v1alpha1.RolloutSpec) (all []namedAnalysis) {
	if b := s.Strategy.BlueGreen; b != nil {
		all = append(all, namedAnalysis{at: fullPath("blueGreen", "prePromotionAnalysis", "templates"), analysis: b.PrePromotionAnalysis},
			namedAnalysis{at: fullPath("blueGreen", "postPromotionAnalysis", "templates"), analysis: b.PostPromotionAnalysis})
	}
	if c := s.Strategy.Canary; c != nil {
		for i := range c.Steps {
			at := fullPath("canary", "steps").Index(i)
			all = append(all, namedAnalysis{at: at.Child("analysis", "templates"), analysis: c.Steps[i].Analysis})
			if e := c.Steps[i].Experiment; e != nil {
				all = append(all, trials(e, at.Child("experiment", "analyses"))...)
			}
		}
		if c.Analysis != nil {
			all = append(all, namedAnalysis{at: fullPath("canary", "analysis", "templates"), analysis: &c.Analysis.RolloutAnalysis, background: true})
		}
	}
	return slices.DeleteFunc(all, func(a namedAnalysis) bool { return a.analysis == nil })
}

// trials are the analyses of an experiment step. What it names is looked for before the
// first step, as for any other analysis, and not when pods and traffic depend on it.
func trials(e *v1alpha1.RolloutExperimentStep, at *field.Path) (all []namedAnalysis) {
	for i := range e.Analyses {
		a := &e.Analyses[i]
		ref := v1alpha1.AnalysisTemplateRef{TemplateName: a.TemplateName, ClusterScope: a.ClusterScope}
		all = append(all, namedAnalysis{at: at.Index(i).Child("templateName"), trial: true,
			analysis: &v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{ref}}})
	}
	return all
}

// foundTemplate is a template with the name it was found under.
type foundTemplate struct {
	key TemplateKey
	TemplateRef
}

// nestedPath is the published path of templates that a template names.
var nestedPath = specPath.Child("templates")

// findTemplates goes through the templates of a section, depth first, each once, and
// stops at a circle (analysis-traffic.md §1.6, §7.1 no. 10).
func (p *problems) findTemplates(a namedAnalysis, in map[TemplateKey]TemplateRef) (all []foundTemplate) {
	done := map[TemplateKey]bool{}
	var path []TemplateKey
	var visit func(key TemplateKey, at *field.Path)
	visit = func(key TemplateKey, at *field.Path) {
		if i := slices.Index(path, key); i >= 0 {
			var names []string
			for _, k := range append(slices.Clone(path[i:]), key) {
				names = append(names, k.TemplateName)
			}
			p.invalid(a.at, a.value(), "analysis templates refer to each other in a circle: "+strings.Join(names, " -> "),
				"take one of these templates out of the spec.templates of another")
			return
		}
		if done[key] {
			return
		}
		done[key] = true
		t, found := in[key]
		if !found {
			kind := "AnalysisTemplate"
			if key.ClusterScope {
				kind = "ClusterAnalysisTemplate"
			}
			p.addAt(a.at.String(), field.Invalid(at, key.TemplateName, fmt.Sprintf("%s '%s' not found", kind, key.TemplateName)),
				"create the template, or correct its name and clusterScope")
			return
		}
		all = append(all, foundTemplate{key, t})
		path = append(path, key)
		for _, n := range t.Nested {
			visit(n, nestedPath)
		}
		path = path[:len(path)-1]
	}
	for _, key := range a.analysis.Templates {
		visit(key, a.at)
	}
	return all
}

// analysis checks that runs can be made of a section. The error of making one comes
// first, unless it only repeats another problem of the section.
func (p *problems) analysis(a namedAnalysis, set []foundTemplate, build string) {
	before := len(p.list)
	for _, arg := range a.analysis.Args {
		if arg.Value != "" && arg.ValueFrom != nil {
			p.invalid(a.at, a.value(), fmt.Sprintf("arg '%s' has both Value and ValueFrom fields", arg.Name),
				"keep one of value and valueFrom")
		}
	}
	for _, t := range set {
		for _, m := range t.Metrics {
			if m.Endless && !a.background && !a.trial {
				p.invalid(a.at, t.key.TemplateName, fmt.Sprintf("AnalysisTemplate %s has metric %s which runs indefinitely. Invalid value for count: %s",
					t.key.TemplateName, m.Name, m.Count), "give the metric a count, or use the template in the background analysis")
			}
		}
		if t.Err != "" {
			p.invalid(a.at, t.key.TemplateName, fmt.Sprintf("AnalysisTemplate %s: %s", t.key.TemplateName, t.Err), "correct the metrics of the template")
		}
	}
	if a.background {
		p.backgroundArgs(a, set)
	}
	if build != "" && !p.said(": "+build, a.at.String(), nestedPath.String()) {
		p.invalid(a.at, a.value(), build, "correct the args of the Rollout or its templates")
		last := len(p.list) - 1
		p.list = slices.Insert(p.list[:last], before, p.list[last])
	}
}

// backgroundArgs checks that every arg gets a value from some template or the Rollout.
func (p *problems) backgroundArgs(a namedAnalysis, set []foundTemplate) {
	valued := map[string]bool{}
	for _, arg := range a.analysis.Args {
		valued[arg.Name] = true
	}
	for _, t := range set {
		for _, arg := range t.Args {
			valued[arg.Name] = valued[arg.Name] || arg.Value != nil || arg.ValueFrom != nil
		}
	}
	for _, t := range set {
		for _, arg := range t.Args {
			switch {
			case valued[arg.Name]:
			case len(a.analysis.Args) == 0:
				p.invalid(a.at, t.key.TemplateName, "missing analysis arguments in rollout spec", "add the args of the template to spec.strategy.canary.analysis.args")
			default:
				p.invalid(a.at, t.key.TemplateName, arg.Name, "add this arg to spec.strategy.canary.analysis.args")
			}
		}
	}
}
