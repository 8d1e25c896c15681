package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	noStepKind     = "Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause"
	badPause       = "Duration needs to be greater than 0"
	noRoutes       = "Rollout has missing field 'spec.strategy.canary.trafficRouting.managedRoutes'"
	unknownRoute   = "Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes"
	noMatchValue   = "StringMatch value missed, match value must have one of the following: exact, regex, prefix"
	manyMatchValue = "StringMatch match value must have exactly one of the following: exact, regex, prefix"
	headerRouters  = "SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix"
	headerALB      = "SetHeaderRoute match value invalid. ALB supports 'exact' value only"
	mirrorRouters  = "SetMirrorRoute requires TrafficRouting, supports Istio and Plugins"
	weightUnrouted = "Experiment template weight cannot be set unless TrafficRouting is enabled"
	weightRouters  = "Experiment template weight is only available for TrafficRouting with SMI, ALB, Istio and Plugins at this time"
	badFieldPath   = "Analyses arguments must refer to valid object metadata supported by downwardAPI"
)

// step checks one canary step. A kind beside setCanaryScale, setHeaderRoute,
// setMirrorRoute or plugin is let through, as published (core.md §15 no. 23).
func (p *problems) step(s *v1alpha1.CanaryStep, at *field.Path, tr *v1alpha1.RolloutTrafficRouting) {
	if value, bad := stepKinds(s); bad {
		p.invalid(at, value, noStepKind, "put exactly one of setWeight, pause, analysis or another kind into each step")
	}
	if w, most := s.SetWeight, tr.MaxTrafficWeightOrDefault(); w != nil && (*w < 0 || *w > most) {
		p.invalid(at.Child("setWeight"), *w, fmt.Sprintf("SetWeight needs to be between 0 and %d", most),
			"set a weight within these bounds")
	}
	if s.Pause != nil && s.Pause.DurationSeconds() < 0 {
		p.invalid(at.Child("pause", "duration"), s.Pause.Duration, badPause,
			"write seconds, such as 90, or a duration, such as 1h30m; leave it out to wait for a promotion")
	}
	if s.Pause != nil {
		p.pauseTimeout(s.Pause, at.Child("pause"))
	}
	if s.SetCanaryScale != nil && tr == nil {
		p.required(routingPath, "SetCanaryScale requires TrafficRouting to be set", "remove the setCanaryScale step, or add trafficRouting")
	}
	if s.SetHeaderRoute != nil {
		p.headerRoute(s.SetHeaderRoute, at.Child("setHeaderRoute"), tr)
	}
	if s.SetMirrorRoute != nil {
		p.mirrorRoute(s.SetMirrorRoute, at.Child("setMirrorRoute"), tr)
	}
	if s.Experiment != nil {
		p.experiment(s.Experiment, at, tr)
	}
	if s.Analysis != nil {
		p.args(s.Analysis.Args, at, at.Child("analysis", "args"))
	}
}

// stepKinds reports whether the kinds of a step are a bad choice, and the value that
// the published text shows: true there means that the kind is absent.
func stepKinds(s *v1alpha1.CanaryStep) (value string, bad bool) {
	exclusive := 0
	for _, set := range []bool{s.SetWeight != nil, s.Pause != nil, s.Experiment != nil, s.Analysis != nil} {
		if set {
			exclusive++
		}
	}
	other := s.SetCanaryScale != nil || s.SetHeaderRoute != nil || s.SetMirrorRoute != nil || s.Plugin != nil
	return fmt.Sprintf("step.Experiment: %t step.Pause: %t step.SetWeight: %t step.Analysis: %t step.SetCanaryScale: %t "+
		"step.SetHeaderRoute: %t step.SetMirrorRoutes: %t step.Plugin: %t",
		s.Experiment == nil, s.Pause == nil, s.SetWeight == nil, s.Analysis == nil, s.SetCanaryScale == nil,
		s.SetHeaderRoute == nil, s.SetMirrorRoute == nil, s.Plugin == nil), exclusive > 1 || exclusive == 0 && !other
}

// pauseTimeout checks how long a pause waits for a person.
func (p *problems) pauseTimeout(s *v1alpha1.RolloutPause, at *field.Path) {
	switch {
	case s.Timeout == nil && s.OnTimeout != "":
		p.required(at.Child("timeout"), "OnTimeout requires a timeout", "say how long the pause may wait, such as 4h, or remove onTimeout")
	case s.Timeout == nil:
	case s.TimeoutSeconds() < 1:
		p.invalid(at.Child("timeout"), s.Timeout, "Timeout needs to be at least 1 second", "write seconds, such as 90, or a duration, such as 4h")
	case s.Duration != nil:
		p.invalid(at.Child("timeout"), s.Timeout, "Timeout bounds the wait for a person, and this pause ends after its duration",
			"remove the timeout, or the duration")
	}
	switch s.OnTimeout {
	case "", v1alpha1.PauseTimeoutAbort, v1alpha1.PauseTimeoutPromote, v1alpha1.PauseTimeoutHold:
	default:
		p.invalid(at.Child("onTimeout"), s.OnTimeout, "OnTimeout is none of Abort, Promote and Hold", "write one of them")
	}
}

func (p *problems) headerRoute(r *v1alpha1.SetHeaderRoute, at *field.Path, tr *v1alpha1.RolloutTrafficRouting) {
	if tr == nil || tr.Istio == nil && tr.ALB == nil && tr.Apisix == nil && tr.Plugins == nil {
		p.invalid(at, r, headerRouters, "remove the setHeaderRoute step, or use one of these routers")
		return
	}
	for j, m := range r.Match {
		switch at := at.Child("match").Index(j); {
		case m.HeaderValue == nil:
			p.invalid(at, m, noMatchValue, "add headerValue with one of exact, regex and prefix")
		case tr.ALB != nil && (m.HeaderValue.Exact == "" || m.HeaderValue.Regex+m.HeaderValue.Prefix != ""):
			p.invalid(at, m, headerALB, "compare the header with exact alone")
		case tr.ALB == nil:
			p.match(m.HeaderValue, at)
		}
	}
	p.managed(r.Name, at, tr)
}

func (p *problems) mirrorRoute(r *v1alpha1.SetMirrorRoute, at *field.Path, tr *v1alpha1.RolloutTrafficRouting) {
	if tr == nil || tr.Istio == nil && tr.Plugins == nil {
		p.invalid(at, r, mirrorRouters, "remove the setMirrorRoute step, or use one of these routers")
		return
	}
	for j, m := range r.Match {
		p.match(m.Method, at.Child("match").Index(j))
		p.match(m.Path, at.Child("match").Index(j))
		for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
			// An empty comparison asks for the header's presence.
			if h := m.Headers[name]; ways(&h) > 1 {
				p.invalid(at.Child("match").Index(j), h, manyMatchValue, "compare each header of the mirror in one way")
			}
		}
	}
	p.managed(r.Name, at, tr)
}

// match checks that a string is compared in exactly one way; nil is no comparison.
func (p *problems) match(m *v1alpha1.StringMatch, at *field.Path) {
	if m == nil {
		return
	}
	switch n := ways(m); {
	case n == 0:
		p.invalid(at, m, noMatchValue, "set one of exact, regex and prefix")
	case n > 1:
		p.invalid(at, m, manyMatchValue, "keep one of exact, regex and prefix")
	}
}

// ways counts the comparisons of a string.
func ways(m *v1alpha1.StringMatch) (n int) {
	for _, v := range []string{m.Exact, m.Regex, m.Prefix} {
		if v != "" {
			n++
		}
	}
	return n
}

// managed checks that the route of a step is among the managed routes.
func (p *problems) managed(name string, at *field.Path, tr *v1alpha1.RolloutTrafficRouting) {
	if tr.ManagedRoutes == nil {
		p.required(routingPath.Child("managedRoutes"), noRoutes, "list the routes of the steps in trafficRouting.managedRoutes")
		return
	}
	for _, r := range tr.ManagedRoutes {
		if r.Name == name {
			return
		}
	}
	p.invalid(at, name, unknownRoute, "add the name of the route to trafficRouting.managedRoutes")
}

func (p *problems) experiment(e *v1alpha1.RolloutExperimentStep, step *field.Path, tr *v1alpha1.RolloutTrafficRouting) {
	for k := range e.Templates {
		w, at := e.Templates[k].Weight, step.Child("experiment", "templates").Index(k).Child("weight")
		switch {
		case w == nil:
		case tr == nil:
			p.invalid(at, *w, weightUnrouted, "remove the weight, or add trafficRouting")
		case tr.ALB == nil && tr.SMI == nil && tr.Istio == nil && tr.Plugins == nil:
			p.invalid(at, *w, weightRouters, "remove the weight, or use one of these routers")
		}
	}
	for i := range e.Analyses {
		p.args(e.Analyses[i].Args, step, step.Child("experiment", "analyses").Index(i).Child("args"))
	}
}

// args checks the args that point into the Rollout's metadata. Other paths may lead to
// fields that do not exist yet.
func (p *problems) args(args []v1alpha1.AnalysisRunArgument, step, real *field.Path) {
	for i, a := range args {
		if a.ValueFrom == nil || a.ValueFrom.PodTemplateHashValue != nil || a.ValueFrom.FieldRef == nil {
			continue
		}
		if path := a.ValueFrom.FieldRef.FieldPath; strings.HasPrefix(path, "metadata") && !downward(path) {
			p.addAt(p.real(real.Index(i).String()), field.Invalid(step.Child("analyses"), path, badFieldPath),
				"use metadata.name, .namespace, .uid, .labels['key'] or .annotations['key']")
		}
	}
}

// downward reports whether the downward API knows the path.
func downward(path string) (known bool) {
	switch path {
	case "metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations":
		return true
	}
	base, key, found := strings.Cut(path, "['")
	key, ended := strings.CutSuffix(key, "']")
	switch {
	case !found || !ended:
		return false
	case base == "metadata.annotations":
		key = strings.ToLower(key)
	case base != "metadata.labels":
		return false
	}
	return len(validation.IsQualifiedName(key)) == 0
}
