package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/rollout"
)

// referenceRules are about objects that name others. What is not among the manifests may
// be in the cluster: that is advice, and only where others of its kind are given.
var referenceRules = []Rule{
	{ID: "reference", Severity: Error, Title: "What a Rollout names fits it",
		Why:    "A Service that selects other pods, or a template whose args get no value, makes the Rollout invalid once it is in the cluster.",
		Repair: "correct the Rollout or what it names", Check: checkReferences},
	{ID: "analysis-args", Severity: Error, Title: "A run can be made of an analysis",
		Why:    "A run whose args or metrics do not fit together ends with an error, and takes the release back in the middle.",
		Repair: "give every arg of the templates a value", Check: checkRuns},
	{ID: "route", Severity: Error, Title: "The routes that a Rollout names are in the given route object",
		Why:    "The controller finds no route to write its weights to: the release stands still at its first weight.",
		Repair: "correct the name of the route or subset, or add it to the object", Check: checkRoutes},
	{ID: "missing-reference", Severity: Advice, Title: "What is named is among the manifests",
		Why:    "Others of its kind are given, so the name may be misspelt. What is in the cluster already cannot be seen from here.",
		Repair: "correct the name, or give the manifest too", Check: checkMissing},
	{ID: "undeclared-arg", Severity: Advice, Title: "A template declares the args that it uses",
		Why:    "A run of this template alone ends with an error. Only together with a template that declares the arg does it work.",
		Repair: "add the arg to spec.args", Check: faults(analysis.FaultArg)},
}

// in gives the objects of a kind that an object can name: of the same namespace, where
// both tell theirs.
func (s *set) in(from *object, group, kind string) (all []*object) {
	for _, o := range s.objects {
		near := o.namespace == from.namespace || o.namespace == "" || from.namespace == ""
		if o.kind == kind && o.group == group && (near || kind == "ClusterAnalysisTemplate") {
			all = append(all, o)
		}
	}
	return all
}

func (s *set) named(from *object, group, kind, name string) *object {
	all := s.in(from, group, kind)
	if i := slices.IndexFunc(all, func(o *object) bool { return o.name == name }); i >= 0 {
		return all[i]
	}
	return nil
}

func (s *set) templates(from *object) analysis.Templates {
	t := analysis.Templates{Namespaced: map[string]v1alpha1.AnalysisTemplateSpec{}, Cluster: map[string]v1alpha1.AnalysisTemplateSpec{}}
	for _, o := range s.in(from, "argoproj.io", "AnalysisTemplate") {
		if typed, is := o.typed.(*v1alpha1.AnalysisTemplate); is {
			t.Namespaced[o.name] = typed.Spec
		}
	}
	for _, o := range s.in(from, "argoproj.io", "ClusterAnalysisTemplate") {
		if typed, is := o.typed.(*v1alpha1.ClusterAnalysisTemplate); is {
			t.Cluster[o.name] = typed.Spec
		}
	}
	return t
}

// references is what a Rollout's validation asks for, from the manifests.
func (s *set) references(from *object, spec *v1alpha1.RolloutSpec) *rollout.References {
	refs := &rollout.References{Services: map[string]rollout.ServiceRef{}, Templates: map[rollout.TemplateKey]rollout.TemplateRef{}, Builds: map[string]string{}}
	for _, o := range s.in(from, "v1", "Service") {
		meta, _ := o.tree["metadata"].(map[string]any)
		managed, _ := at(meta, "annotations", v1alpha1.ManagedByAnnotation).(string)
		ref := rollout.ServiceRef{Selector: map[string]string{}, ManagedBy: managed}
		selector, _ := at(o.tree, "spec", "selector").(map[string]any)
		for k, v := range selector {
			ref.Selector[k], _ = v.(string)
		}
		refs.Services[o.name] = ref
	}
	templates := s.templates(from)
	for scope, list := range map[bool]map[string]v1alpha1.AnalysisTemplateSpec{false: templates.Namespaced, true: templates.Cluster} {
		for name, t := range list {
			refs.Templates[rollout.TemplateKey{TemplateName: name, ClusterScope: scope}] = templateRef(t)
		}
	}
	for _, a := range sections(spec) {
		if err := analysis.Check(s.input(from, a, templates)); err != nil {
			refs.Builds[a.at.String()] = err.Error()
		}
	}
	return refs
}

func templateRef(t v1alpha1.AnalysisTemplateSpec) rollout.TemplateRef {
	ref := rollout.TemplateRef{Args: t.Args, Nested: t.Templates}
	for _, m := range t.Metrics {
		one := rollout.MetricRef{Name: m.Name, Count: "<nil>"}
		if m.Count != nil {
			one.Count = m.Count.String()
		}
		one.Endless = m.Interval != "" && (m.Count == nil || m.Count.StrVal == "" && m.Count.IntVal == 0)
		ref.Metrics = append(ref.Metrics, one)
	}
	return ref
}

// at goes down a tree; nil for what is not there.
func at(tree any, names ...string) any {
	for _, name := range names {
		m, _ := tree.(map[string]any)
		tree = m[name]
	}
	return tree
}

// section is one analysis of a Rollout.
type section struct {
	at       *field.Path
	analysis v1alpha1.RolloutAnalysis
	kind     string
	step     int
}

func sections(spec *v1alpha1.RolloutSpec) (all []section) {
	strategy := field.NewPath("spec", "strategy")
	add := func(at *field.Path, a *v1alpha1.RolloutAnalysis, kind string, step int) {
		if a != nil {
			all = append(all, section{at.Child("templates"), *a, kind, step})
		}
	}
	if b := spec.Strategy.BlueGreen; b != nil {
		add(strategy.Child("blueGreen", "prePromotionAnalysis"), b.PrePromotionAnalysis, string(rollout.PrePromotion), -1)
		add(strategy.Child("blueGreen", "postPromotionAnalysis"), b.PostPromotionAnalysis, string(rollout.PostPromotion), -1)
	}
	if c := spec.Strategy.Canary; c != nil {
		for i := range c.Steps {
			add(strategy.Child("canary", "steps").Index(i).Child("analysis"), c.Steps[i].Analysis, string(rollout.StepRun), i)
		}
		if c.Analysis != nil {
			add(strategy.Child("canary", "analysis"), &c.Analysis.RolloutAnalysis, "Background", -1)
		}
	}
	return all
}

// input builds runs as the controller would; the real hashes come with the run.
func (s *set) input(from *object, a section, t analysis.Templates) analysis.BuildInput {
	return analysis.BuildInput{Rollout: func() map[string]any { return from.tree }, Analysis: a.analysis, Templates: t,
		Latest: "dummy-new-hash", Stable: "dummy-stable-hash", Type: a.kind, Step: int32(a.step)}
}

// missing tells the texts that say that something is not there, with the kind of it.
var missing = regexp.MustCompile(`(service|AnalysisTemplate|ClusterAnalysisTemplate) ["'][^"']*["'] not found$`)

// referenced are the problems that the manifests add to those of the spec alone.
func referenced(s *set, o *object) (all []rollout.Problem) {
	r, is := o.typed.(*v1alpha1.Rollout)
	if !is || len(rollout.Misread(&r.Spec)) > 0 {
		return nil
	}
	alone := map[string]bool{}
	for _, p := range rollout.Validate(o.namespace, o.name, &r.Spec, nil) {
		alone[p.Text] = true
	}
	for _, p := range rollout.Validate(o.namespace, o.name, &r.Spec, s.references(o, &r.Spec)) {
		if !alone[p.Text] {
			all = append(all, p)
		}
	}
	return all
}

func checkReferences(s *set, o *object, add report) {
	for _, p := range referenced(s, o) {
		if !missing.MatchString(p.Text) {
			add(p.Where, p.Text, p.Mend)
		}
	}
}

func checkMissing(s *set, o *object, add report) {
	for _, p := range referenced(s, o) {
		m := missing.FindStringSubmatch(p.Text)
		if m == nil {
			continue
		}
		group, kind := "argoproj.io", m[1]
		if kind == "service" {
			group, kind = "v1", "Service"
		}
		if len(s.in(o, group, kind)) > 0 {
			add(p.Where, p.Text, "")
		}
	}
	if _, is := o.typed.(*v1alpha1.Experiment); is {
		for _, t := range trials(o) {
			kind := kindOf(t.ref)
			if s.named(o, "argoproj.io", kind, t.ref.TemplateName) == nil && len(s.in(o, "argoproj.io", kind)) > 0 {
				add(t.path, fmt.Sprintf("%s '%s' not found", kind, t.ref.TemplateName), "")
			}
		}
	}
	missingWorkload(s, o, add)
	for _, ref := range routeRefs(o) {
		if s.named(o, ref.group, ref.kind, ref.name) == nil && len(s.in(o, ref.group, ref.kind)) > 0 {
			add(ref.path, fmt.Sprintf("%s '%s' not found", ref.kind, ref.name), "")
		}
	}
}

// checkRuns makes the runs. One that needs the Rollout's status cannot be made here.
func checkRuns(s *set, o *object, add report) {
	if r, is := o.typed.(*v1alpha1.AnalysisRun); is && len(r.Spec.Malformed) == 0 {
		if err := analysis.CheckRun(r.Spec); err != nil && !faulty(o) {
			add("spec", err.Error(), "")
		}
	}
	templates := s.templates(o)
	checkTrials(o, templates, add)
	r, is := o.typed.(*v1alpha1.Rollout)
	if !is {
		return
	}
	for _, a := range sections(&r.Spec) {
		in := s.input(o, a, templates)
		if analysis.Check(in) != nil {
			continue // the rule "reference" says it
		}
		run, err := analysis.Build(in)
		if err != nil {
			continue
		}
		if err := analysis.CheckRun(run.Spec); err != nil && !s.faulty(o, a) {
			add(a.at.String(), err.Error(), "")
		}
	}
}

// faulty reports that a template of a section has faults of its own, which are told there.
func (s *set) faulty(from *object, a section) bool {
	return slices.ContainsFunc(a.analysis.Templates, func(t v1alpha1.AnalysisTemplateRef) bool {
		o := s.named(from, "argoproj.io", kindOf(t), t.TemplateName)
		return o != nil && faulty(o)
	})
}

// faulty reports faults that hold whatever the args are.
func faulty(o *object) bool {
	metrics, args, _, _ := metricsOf(o)
	return slices.ContainsFunc(analysis.Faults(metrics, args), func(f analysis.Fault) bool { return f.Kind != analysis.FaultArg })
}

// local is the name of an object of the Rollout's own namespace; "" where it names another.
func local(name, namespace string) string {
	before, after, cut := strings.Cut(name, ".")
	if cut && after != namespace {
		return ""
	}
	return before
}
