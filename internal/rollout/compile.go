package rollout

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// kind says what a step waits for.
type kind string

const (
	// The steps of a canary.
	weightStep     kind = "setWeight"
	scaleStep      kind = "setCanaryScale"
	pauseStep      kind = "pause"
	analysisStep   kind = "analysis"
	experimentStep kind = "experiment"
	headerStep     kind = "setHeaderRoute"
	mirrorStep     kind = "setMirrorRoute"
	pluginStep     kind = "plugin"
	// The steps that blue-green has besides pauses and analyses: the new revision comes
	// up for preview, and the active Service goes over to it.
	previewStep kind = "preview"
	cutoverStep kind = "cutover"
)

// step is one element of the list that a strategy compiles to. What is in force at a
// step is written into it, so nobody has to search backwards.
type step struct {
	kind kind
	// text is its name in the RolloutStepCompleted event.
	text string

	// weight is the canary's share during the step and until another one changes it.
	weight int32
	// scale overrides the canary's pod count; nil means it follows the weight.
	scale *v1alpha1.SetCanaryScale
	// headers and mirrors are the managed routes in force.
	headers []v1alpha1.SetHeaderRoute
	mirrors []v1alpha1.SetMirrorRoute
	// experiment is the last experiment step so far, its index in it; nil for none.
	experiment *v1alpha1.RolloutExperimentStep
	trial      int32
	// pods is the new revision's count where no weight says it (blue-green); serves says
	// that the stable role stands on the new revision.
	pods   int32
	serves bool

	// run is the analysis that the step waits for.
	run      RunKind
	analysis *v1alpha1.RolloutAnalysis
	// pause is the reason of the step's pause; endless or seconds long. patience is how many
	// seconds an endless one waits before onTimeout happens, 0 for ever.
	pause     v1alpha1.PauseReason
	endless   bool
	seconds   int32
	patience  int32
	onTimeout v1alpha1.PauseTimeoutAction
	plugin    *v1alpha1.PluginStep
}

// rules are what both strategies have in common beside their steps.
type rules struct {
	// total is the sum of all weights.
	total int32
	// maxUnavailable pods may be missing: nil means 25 %.
	maxUnavailable *intstr.IntOrString
	// retireAfter and abortAfter are seconds: how long an old revision is kept, and an
	// aborted one, for which 0 means for good; abortSet says that the user chose that.
	retireAfter, abortAfter int32
	abortSet                bool
	// retiring is how many old revisions may wait for their end.
	retiring int32
	// fresh and settled are the ephemeral metadata of the new and the stable revision.
	fresh, settled *v1alpha1.PodTemplateMetadata
	affinity       *v1alpha1.AntiAffinity
}

// compile turns a strategy into its list of steps. The end of the list is "everything on
// the new revision", so a canary without steps gives an empty list.
func (v *view) compile() {
	if b := v.Spec.Strategy.BlueGreen; b != nil {
		v.blue, v.canary = b, &v1alpha1.CanaryStrategy{}
		v.rules = rules{
			total: v1alpha1.DefaultMaxTrafficWeight, maxUnavailable: b.MaxUnavailable,
			retireAfter: b.ScaleDownDelaySecondsOrDefault(), abortAfter: b.AbortScaleDownDelaySecondsOrDefault(),
			abortSet: b.AbortScaleDownDelaySeconds != nil, retiring: limitOf(b.ScaleDownDelayRevisionLimit),
			fresh: b.PreviewMetadata, settled: b.ActiveMetadata, affinity: b.AntiAffinity,
		}
		return
	}
	c := cmp.Or(v.Spec.Strategy.Canary, &v1alpha1.CanaryStrategy{})
	v.canary = c
	v.rules = rules{
		total: v.maxWeight(c), maxUnavailable: c.MaxUnavailable,
		retireAfter: c.ScaleDownDelaySecondsOrDefault(), abortAfter: c.AbortScaleDownDelaySecondsOrDefault(),
		abortSet: c.AbortScaleDownDelaySeconds != nil, retiring: limitOf(c.ScaleDownDelayRevisionLimit),
		fresh: c.CanaryMetadata, settled: c.StableMetadata, affinity: c.AntiAffinity,
	}
	v.dynamic = v.Routed && c.DynamicStableScale
	v.steps = canarySteps(c, v.Routed)
}

func (v *view) maxWeight(c *v1alpha1.CanaryStrategy) int32 {
	return max(c.TrafficRouting.MaxTrafficWeightOrDefault(), 1)
}

func limitOf(limit *int32) int32 {
	if limit == nil {
		return v1alpha1.DefaultScaleDownDelayRevisionLimit
	}
	return max(*limit, 0)
}

// blueSteps are the steps of blue-green. On the express way (a full promotion, a
// rollback to pods that still stand, an active Service that has no revision yet) only
// the cutover is left.
func (v *view) blueSteps(express bool) []step {
	b, n := v.blue, v.n
	cutover := step{kind: cutoverStep, text: "cutover", pods: n, serves: true}
	if express {
		return []step{cutover}
	}
	preview := n
	if b.PreviewReplicaCount != nil {
		preview = max(*b.PreviewReplicaCount, 0)
	}
	steps := []step{{kind: previewStep, text: "preview", pods: preview}}
	if a := b.PrePromotionAnalysis; a != nil && len(a.Templates) > 0 {
		steps = append(steps, step{kind: analysisStep, text: "analysis", pods: preview, run: PrePromotion, analysis: a})
	}
	if auto := b.AutoPromotionEnabledOrDefault(); !auto || b.AutoPromotionSeconds > 0 {
		steps = append(steps, step{kind: pauseStep, text: "pause", pods: preview,
			pause: v1alpha1.PauseReasonBlueGreenPause, endless: !auto, seconds: b.AutoPromotionSeconds})
	}
	steps = append(steps, cutover)
	if a := b.PostPromotionAnalysis; a != nil && len(a.Templates) > 0 {
		steps = append(steps, step{kind: analysisStep, text: "analysis", pods: n, serves: true, run: PostPromotion, analysis: a})
	}
	return steps
}

// canarySteps carries what each step sets on to those after it.
func canarySteps(c *v1alpha1.CanaryStrategy, routed bool) []step {
	steps := make([]step, len(c.Steps))
	at := step{}
	for i := range c.Steps {
		s := &c.Steps[i]
		if s.SetWeight != nil {
			at.weight = *s.SetWeight
		}
		// Without a router the scale is the weight (core.md §1.5), so overrides mean nothing.
		if s.SetCanaryScale != nil && routed {
			at.scale = s.SetCanaryScale
			if at.scale.MatchTrafficWeight || (at.scale.Replicas == nil && at.scale.Weight == nil) {
				at.scale = nil
			}
		}
		if h := s.SetHeaderRoute; h != nil && routed {
			at.headers = without(at.headers, func(o v1alpha1.SetHeaderRoute) bool { return o.Name == h.Name })
			if len(h.Match) > 0 {
				at.headers = inOrder(append(at.headers, *h), c.TrafficRouting, func(o v1alpha1.SetHeaderRoute) string { return o.Name })
			}
		}
		if m := s.SetMirrorRoute; m != nil && routed {
			at.mirrors = without(at.mirrors, func(o v1alpha1.SetMirrorRoute) bool { return o.Name == m.Name })
			if len(m.Match) > 0 {
				at.mirrors = inOrder(append(at.mirrors, *m), c.TrafficRouting, func(o v1alpha1.SetMirrorRoute) string { return o.Name })
			}
		}
		if s.Experiment != nil {
			at.experiment, at.trial = s.Experiment, int32(i)
		}
		steps[i] = at
		steps[i].waits(s)
	}
	return steps
}

// StepText names a canary step as events do, such as "setWeight: 20" or "pause".
func StepText(s *v1alpha1.CanaryStep) string {
	var t step
	t.waits(s)
	return t.text
}

// waits says what the step waits for. If several things are set on one step, the first
// of this order counts (core.md §5.5).
func (t *step) waits(s *v1alpha1.CanaryStep) {
	switch {
	case s.Pause != nil:
		t.kind, t.text, t.pause, t.endless = pauseStep, "pause", v1alpha1.PauseReasonCanaryPauseStep, s.Pause.Duration == nil
		if !t.endless {
			t.text, t.seconds = "pause: "+s.Pause.Duration.String(), s.Pause.DurationSeconds()
			return
		}
		t.patience, t.onTimeout = s.Pause.TimeoutSeconds(), cmp.Or(s.Pause.OnTimeout, v1alpha1.PauseTimeoutAbort)
	case s.SetCanaryScale != nil:
		t.kind, t.text = scaleStep, describeScale(s.SetCanaryScale)
	case s.SetWeight != nil:
		t.kind, t.text = weightStep, fmt.Sprintf("setWeight: %d", *s.SetWeight)
	case s.Experiment != nil:
		t.kind, t.text = experimentStep, "experiment"
	case s.Analysis != nil:
		t.kind, t.text, t.run, t.analysis = analysisStep, "analysis", StepRun, s.Analysis
	case s.SetHeaderRoute != nil:
		t.kind, t.text = headerStep, "setHeaderRoute: "+s.SetHeaderRoute.Name
	case s.SetMirrorRoute != nil:
		t.kind, t.text = mirrorStep, "setMirrorRoute: "+s.SetMirrorRoute.Name
	case s.Plugin != nil:
		t.kind, t.text, t.plugin = pluginStep, "plugin: "+s.Plugin.Name, s.Plugin
	default:
		t.text = "invalid"
	}
}

func describeScale(s *v1alpha1.SetCanaryScale) string {
	switch {
	case s.MatchTrafficWeight:
		return "setCanaryScale{matchTrafficWeight: true}"
	case s.Replicas != nil:
		return fmt.Sprintf("setCanaryScale{replicas: %d}", *s.Replicas)
	case s.Weight != nil:
		return fmt.Sprintf("setCanaryScale{weight: %d}", *s.Weight)
	}
	return "invalid"
}

// without is a copy of the list that lacks some entries.
func without[T any](list []T, gone func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), gone)
}

// inOrder sorts managed routes as trafficRouting.managedRoutes lists them; what it does
// not list comes last.
func inOrder[T any](list []T, tr *v1alpha1.RolloutTrafficRouting, name func(T) string) []T {
	rank := func(t T) int {
		if tr == nil {
			return 0
		}
		i := slices.IndexFunc(tr.ManagedRoutes, func(m v1alpha1.MangedRoutes) bool { return m.Name == name(t) })
		if i < 0 {
			return len(tr.ManagedRoutes)
		}
		return i
	}
	slices.SortStableFunc(list, func(a, b T) int { return rank(a) - rank(b) })
	return list
}
