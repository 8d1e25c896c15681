package rollout

import (
	"fmt"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// step is one element of the list that a strategy compiles to. What is in force at a
// step is written into it, so nobody has to search backwards.
type step struct {
	spec *v1alpha1.CanaryStep
	// weight is the canary's share during the step and until another one changes it.
	weight int32
	// scale overrides the canary's replica count; nil means it follows the weight.
	scale *v1alpha1.SetCanaryScale
}

// compile turns the canary strategy into its list of steps. A strategy without steps
// gives an empty list: the end of the list is "everything on the new revision".
func compile(c *v1alpha1.CanaryStrategy, routed bool) []step {
	if c == nil {
		return nil
	}
	steps := make([]step, len(c.Steps))
	var weight int32
	var scale *v1alpha1.SetCanaryScale
	for i := range c.Steps {
		s := &c.Steps[i]
		if s.SetWeight != nil {
			weight = *s.SetWeight
		}
		// Without a router the scale is the weight (core.md §1.5), so overrides mean nothing.
		if s.SetCanaryScale != nil && routed {
			scale = s.SetCanaryScale
			if scale.MatchTrafficWeight || (scale.Replicas == nil && scale.Weight == nil) {
				scale = nil
			}
		}
		steps[i] = step{spec: s, weight: weight, scale: scale}
	}
	return steps
}

// describe is the step's text in the RolloutStepCompleted event (core.md §5.3).
func (s step) describe() string {
	switch c := s.spec; {
	case c.Pause != nil:
		if c.Pause.Duration == nil {
			return "pause"
		}
		return "pause: " + c.Pause.Duration.String()
	case c.SetCanaryScale != nil && c.SetCanaryScale.MatchTrafficWeight:
		return "setCanaryScale{matchTrafficWeight: true}"
	case c.SetCanaryScale != nil && c.SetCanaryScale.Replicas != nil:
		return fmt.Sprintf("setCanaryScale{replicas: %d}", *c.SetCanaryScale.Replicas)
	case c.SetCanaryScale != nil && c.SetCanaryScale.Weight != nil:
		return fmt.Sprintf("setCanaryScale{weight: %d}", *c.SetCanaryScale.Weight)
	case c.SetWeight != nil:
		return fmt.Sprintf("setWeight: %d", *c.SetWeight)
	case c.Analysis != nil:
		return "analysis"
	}
	return "invalid"
}
