package experiment

import (
	"fmt"
	"slices"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// size moves a ReplicaSet towards a number of pods. Pods go only when the status offers
// them no longer and the Rollout does not list them, and the last ones only after the
// scale-down delay, which counts from then (L5). st is the status of its template, nil
// for none.
func (v *view) size(set *Set, st *v1alpha1.TemplateStatus, want int32) (failure string) {
	switch {
	case set.Deleting, set.Desired > want && v.offers(set.Hash):
		return ""
	case set.Desired > want && set.Routed:
		v.wait(StillRouted, fmt.Sprintf("the rollout still sends traffic to %s", set.Name))
		if set.marked() {
			v.do(Retire{Set: set.Name})
		}
		return ""
	case set.Desired > want && want == 0 && !v.ripe(set):
		return ""
	}
	if set.marked() && want > 0 {
		v.do(Retire{Set: set.Name})
	}
	if set.Desired == want {
		return ""
	}
	a := Scale{Set: set.Name, From: set.Desired, To: want}
	if r, refused := v.Refused[a.String()]; refused && st != nil {
		failure = fmt.Sprintf("Unable to scale ReplicaSet for template '%s' to desired replica count '%d': %s", st.Name, want, r.Text)
		v.plan.Notes = append(v.plan.Notes, Note{Kind: Warning, Reason: ReplicaSetUpdateError, Message: failure})
		if want > 0 {
			return failure // the template ends with it
		}
	}
	if st != nil {
		st.LastTransitionTime = v.stamp()
	}
	v.do(a)
	return failure
}

// offers reports whether the persisted status names pods that a Rollout may send traffic to.
func (v *view) offers(hash string) bool {
	return !v.ending && slices.ContainsFunc(v.Status.TemplateStatuses, func(st v1alpha1.TemplateStatus) bool {
		return st.PodTemplateHash == hash && !over(st.Status)
	})
}

// marked reports whether a ReplicaSet carries a scale-down deadline.
func (s *Set) marked() bool { return !s.RetireAt.IsZero() || s.RetireUnreadable }

// ripe reports whether the scale-down delay of a ReplicaSet is over, and starts it where
// it has not begun.
func (v *view) ripe(set *Set) bool {
	delay := time.Duration(v.Spec.ScaleDownDelaySecondsOrDefault()) * time.Second
	switch {
	case delay <= 0:
		return true
	case set.RetireAt.IsZero():
		at := v.Now.Truncate(time.Second).Add(delay)
		v.do(Retire{Set: set.Name, At: at})
		v.delayed(set, at)
		return false
	case set.RetireAt.After(v.Now):
		v.delayed(set, set.RetireAt)
		return false
	}
	return true
}

func (v *view) delayed(set *Set, until time.Time) {
	v.wake(until)
	v.wait(ScaleDownDelayed, fmt.Sprintf("%s keeps its pods until %s", set.Name, until.UTC().Format(time.RFC3339)))
}

// leftovers lets go the ReplicaSets that no template wants any more: the template was
// changed or taken out. One that a Service still selects is kept until that has moved.
// Services of templates that are gone follow their pods.
func (v *view) leftovers() {
	for i := range v.Sets {
		set := &v.Sets[i]
		if set == v.setOf(set.Template) && v.wanted(set.Template) != nil {
			continue
		}
		if svc := v.serviceOf(set.Template); svc != nil && svc.Hash == set.Hash && !v.ending && v.wanted(set.Template) != nil {
			continue
		}
		v.size(set, nil, 0)
	}
	for i := range v.Services {
		s := &v.Services[i]
		if s.Template != "" && !s.Deleting && v.wanted(s.Template) == nil && v.empty(s.Template) && !v.routed(s.Template) && !v.offers(s.Hash) {
			v.do(DeleteService{Name: s.Name})
		}
	}
}

func (v *view) wanted(template string) *v1alpha1.TemplateSpec {
	for i := range v.Spec.Templates {
		if v.Spec.Templates[i].Name == template {
			return &v.Spec.Templates[i]
		}
	}
	return nil
}
