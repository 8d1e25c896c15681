package rollout

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// The published controller checks none of the numbers below. What it cannot run, because
// the API server or the router refuses what it would write, or because no pod could ever
// move, is refused here before the release begins. What it runs in some way stays valid,
// and is read as:
//
//	autoPromotionSeconds, scaleDownDelaySeconds, minPodsPerReplicaSet,
//	rollbackWindow.revisions, startingStep, setCanaryScale.weight below 0     as 0
//	abortScaleDownDelaySeconds below 0                                        as at once
//	replicaProgressThreshold.value below 0                                    as unset
//	replicaProgressThreshold.type other than Percent                          as Pods
//	setMirrorRoute.percentage outside 0..100                                  as the nearest
//	workloadRef.scaleDown other than onsuccess and progressively              as never
//	maxUnavailable in words, where it only limits restarts                    as 0
const (
	// most keeps every sum of pods, and of weights, within 32 bits.
	most           = 1 << 28
	tooHigh        = "must be less than or equal to 268435456"
	mustBePositive = "must be greater than 0"
	noPortion      = "must be a whole number, or a percentage such as 25%"
	noSpecRef      = "must be canary or stable"
	tooMuchWeight  = "the weights of the experiment and the canary's %d add up to more than %d"
)

func (p *problems) numbers(s *v1alpha1.RolloutSpec) {
	if n := s.ReplicasOrDefault(); n > most {
		p.invalid(specPath.Child("replicas"), n, tooHigh, "set spec.replicas to what the cluster can hold")
	}
	if b := s.Strategy.BlueGreen; b != nil && b.PreviewReplicaCount != nil {
		p.addAll(validation.ValidateNonnegativeField(int64(*b.PreviewReplicaCount), fullPath("blueGreen", "previewReplicaCount")),
			"set previewReplicaCount to 0 or more, or leave it out for spec.replicas")
	}
	c := s.Strategy.Canary
	if c == nil {
		return
	}
	p.canaryNumbers(c)
	weight := int32(0)
	for i := range c.Steps {
		step, at := &c.Steps[i], fullPath("canary", "steps").Index(i)
		if step.SetWeight != nil {
			weight = *step.SetWeight
		}
		if step.SetCanaryScale != nil {
			p.scaleNumbers(step.SetCanaryScale, at.Child("setCanaryScale"))
		}
		if step.Experiment != nil {
			p.experimentNumbers(step.Experiment, at.Child("experiment"), weight, c.TrafficRouting.MaxTrafficWeightOrDefault())
		}
	}
}

// canaryNumbers refuses what would keep every update where it begins: a surge that is no
// number counts as 0 in the published controller, and so does then maxUnavailable.
func (p *problems) canaryNumbers(c *v1alpha1.CanaryStrategy) {
	tr := c.TrafficRouting
	if tr == nil {
		p.portion(c.MaxSurge, "maxSurge")
		p.portion(c.MaxUnavailable, "maxUnavailable")
		return
	}
	at, w := fullPath("canary", "trafficRouting", "maxTrafficWeight"), tr.MaxTrafficWeightOrDefault()
	switch {
	case tr.Nginx == nil && tr.Plugins == nil: // cannot have it at all
	case w <= 0:
		p.invalid(at, w, mustBePositive, "leave maxTrafficWeight out for 100")
	case w > most:
		p.invalid(at, w, tooHigh, "lower maxTrafficWeight: 1000 are parts of a thousand")
	case w != v1alpha1.DefaultMaxTrafficWeight && hundred(tr):
		p.invalid(at, w, maxWeightRouters, "remove maxTrafficWeight: another of the routers counts in parts of 100")
	}
}

// hundred reports that one of the routers knows no other total than 100.
func hundred(tr *v1alpha1.RolloutTrafficRouting) bool {
	return tr.Istio != nil || tr.ALB != nil || tr.SMI != nil || tr.Ambassador != nil || tr.AppMesh != nil || tr.Traefik != nil || tr.Apisix != nil
}

func (p *problems) portion(v *intstr.IntOrString, name string) {
	if v == nil || v.Type == intstr.Int {
		return
	}
	if _, err := strconv.Atoi(strings.ReplaceAll(v.StrVal, "%", "")); err != nil {
		p.invalid(fullPath("canary", name), v.StrVal, noPortion, "leave it out for 25%")
	}
}

// scaleNumbers refuses a canary of fewer than no pods.
func (p *problems) scaleNumbers(s *v1alpha1.SetCanaryScale, at *field.Path) {
	if s.Replicas != nil && !s.MatchTrafficWeight {
		p.addAll(validation.ValidateNonnegativeField(int64(*s.Replicas), at.Child("replicas")),
			"set the replicas of setCanaryScale to 0 or more")
	}
}

// experimentNumbers refuses an Experiment that could not be made or never begin. The
// weight is the canary's at the step.
func (p *problems) experimentNumbers(e *v1alpha1.RolloutExperimentStep, at *field.Path, weight, total int32) {
	names, sum := map[string]bool{}, int64(weight)
	for k := range e.Templates {
		t, at := &e.Templates[k], at.Child("templates").Index(k)
		if t.Name == "" {
			p.required(at.Child("name"), "", "give the template of the experiment a name")
		} else if names[t.Name] {
			p.add(field.Duplicate(at.Child("name"), t.Name), "give each template of the experiment a name of its own")
		}
		names[t.Name] = true
		if t.SpecRef != v1alpha1.CanarySpecRef && t.SpecRef != v1alpha1.StableSpecRef {
			p.invalid(at.Child("specRef"), t.SpecRef, noSpecRef, "choose whose pods the template of the experiment runs")
		}
		if t.Replicas != nil {
			p.addAll(validation.ValidateNonnegativeField(int64(*t.Replicas), at.Child("replicas")),
				"set the replicas of the experiment's template to 0 or more")
		}
		if t.Weight == nil {
			continue
		}
		p.addAll(validation.ValidateNonnegativeField(int64(*t.Weight), at.Child("weight")),
			"set the weight of the experiment's template to 0 or more")
		if sum += int64(max(*t.Weight, 0)); sum > int64(total) && *t.Weight > 0 {
			p.invalid(at.Child("weight"), *t.Weight, fmt.Sprintf(tooMuchWeight, weight, total),
				"lower the weights of the experiment or the setWeight before it, so that stable keeps the rest")
		}
	}
}

// Misread says where the wanted number of pods, the selector or the strategy is not what
// the user meant. It belongs to the Snapshot's Trouble: an abort of an invalid spec, which
// is carried out all the same, must then take no pod away.
func Misread(s *v1alpha1.RolloutSpec) (notes []Note) {
	if n := s.ReplicasOrDefault(); n < 0 || n > most {
		notes = append(notes, Note{Waiting, Unreadable, fmt.Sprintf("spec.replicas cannot be %d", n)})
	}
	for _, m := range s.Malformed {
		if m.Path == "spec" || slices.ContainsFunc([]string{"spec.replicas", "spec.selector", "spec.strategy"}, func(at string) bool {
			return strings.HasPrefix(m.Path, at)
		}) {
			notes = append(notes, Note{Waiting, Unreadable, m.Path + " could not be read: " + m.Why})
		}
	}
	return notes
}
