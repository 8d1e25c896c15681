package experiment

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Hash is the hash of a template's pods. A hash label that the template inherited does
// not count, so the pods of an Experiment never carry the hash of a Rollout's.
func Hash(template *corev1.PodTemplateSpec, collisions *int32) string {
	t := template.DeepCopy()
	delete(t.Labels, v1alpha1.PodTemplateHashLabel)
	return v1alpha1.PodTemplateHash(t, collisions)
}

// setName is the published name, until that is taken: then the hash tells them apart,
// which changes with each collision.
func (v *view) setName(t *v1alpha1.TemplateSpec, collisions *int32) string {
	name := v.Name + "-" + t.Name
	if collisions != nil {
		name += "-" + Hash(&t.Template, collisions)
	}
	return name
}

// templates decides about every template's ReplicaSet and Service, and about the
// ReplicaSets that no template wants any more.
func (v *view) templates() {
	old := v.Status.TemplateStatuses
	v.plan.Status.TemplateStatuses = nil
	for i := range v.Spec.Templates {
		t := &v.Spec.Templates[i]
		if templateStatus(v.plan.Status.TemplateStatuses, t.Name) != nil {
			continue // a repeated name, which is invalid
		}
		next := v1alpha1.TemplateStatus{Name: t.Name}
		if was := templateStatus(old, t.Name); was != nil {
			next = *was.DeepCopy()
		}
		v.template(t, &next)
		v.plan.Status.TemplateStatuses = append(v.plan.Status.TemplateStatuses, next)
	}
	v.leftovers()
}

// template decides about one template; st is its status so far, and becomes the next.
func (v *view) template(t *v1alpha1.TemplateSpec, st *v1alpha1.TemplateStatus) {
	before := st.Status
	down := v.ending || over(st.Status)
	set := v.setOf(t.Name)
	v.count(st, set)
	failure := ""
	switch {
	case set == nil && !down:
		failure = v.create(t, st)
	case set != nil && down:
		failure = v.size(set, st, 0)
	case set != nil:
		failure = v.size(set, st, t.ReplicasOrDefault())
	}
	if problem := v.service(t, st, set, down); failure == "" {
		failure = problem
	}
	st.Status, st.Message = v.judge(t, st, set, failure)
	v.tellTemplate(st, before)
}

// setOf is the ReplicaSet that runs the template as it is written now. One with another
// template is never used, whatever its name (rivals.md A no. 71).
func (v *view) setOf(template string) *Set {
	for i := range v.Sets {
		if s := &v.Sets[i]; s.Template == template && s.Current && !s.Deleting {
			return s
		}
	}
	return nil
}

// count copies the counters. Any change restarts the clock of the progress deadline.
func (v *view) count(st *v1alpha1.TemplateStatus, set *Set) {
	var now Set
	if set != nil {
		now = *set
	}
	if st.LastTransitionTime == nil || st.Replicas != now.Actual || st.ReadyReplicas != now.Ready || st.AvailableReplicas != now.Available {
		st.LastTransitionTime = v.stamp()
	}
	st.Replicas, st.UpdatedReplicas, st.ReadyReplicas, st.AvailableReplicas = now.Actual, now.Actual, now.Ready, now.Available
}

// create makes the ReplicaSet. A name that another object has, or a hash that tells its
// pods from no others, is given up for the next one, which the following pass tries.
func (v *view) create(t *v1alpha1.TemplateSpec, st *v1alpha1.TemplateStatus) (failure string) {
	a := EnsureSet{Template: t.Name, Name: v.setName(t, st.CollisionCount), Hash: Hash(&t.Template, st.CollisionCount)}
	refused, was := v.Refused[a.String()]
	own := v.ownSet(a.Name)
	switch {
	case own != nil && own.Current && own.Deleting:
		return "" // its name comes free when it has gone
	case own != nil, refused.Taken, v.clashes(t, a.Hash):
		n := int32(1)
		if st.CollisionCount != nil {
			n += *st.CollisionCount
		}
		st.CollisionCount = &n
		v.wake(v.Now)
		return ""
	case was:
		return fmt.Sprintf("Failed to create ReplicaSet for template '%s': %s", t.Name, refused.Text)
	}
	st.LastTransitionTime = v.stamp()
	v.do(a)
	return ""
}

// clashes reports that pods of others would carry the hash too: those of the revision
// that the template was copied from, or of another template. A Service would select both.
func (v *view) clashes(t *v1alpha1.TemplateSpec, hash string) bool {
	if t.Template.Labels[v1alpha1.PodTemplateHashLabel] == hash ||
		slices.ContainsFunc(v.Sets, func(s Set) bool { return s.Template != t.Name && s.Hash == hash }) {
		return true
	}
	for _, st := range v.plan.Status.TemplateStatuses { // those before it in the list
		if o := v.wanted(st.Name); o != nil && v.setOf(o.Name) == nil && Hash(&o.Template, st.CollisionCount) == hash {
			return true
		}
	}
	return false
}

func (v *view) ownSet(name string) *Set {
	for i := range v.Sets {
		if v.Sets[i].Name == name {
			return &v.Sets[i]
		}
	}
	return nil
}

// judge gives a template's next status. An end that was called for makes a template
// Successful, unless it had not become available in time before.
func (v *view) judge(t *v1alpha1.TemplateSpec, st *v1alpha1.TemplateStatus, set *Set, failure string) (code v1alpha1.TemplateStatusCode, message string) {
	deadline := time.Duration(v.Spec.ProgressDeadlineSecondsOrDefault()) * time.Second
	due := st.LastTransitionTime.Add(deadline)
	late := v.Now.After(due)
	// A mark from before a retry has to go first: its time would count for the next end.
	up := set != nil && set.Observed && set.Desired == t.ReplicasOrDefault() && set.Available == set.Desired && !set.marked()
	exceeded := fmt.Sprintf("Template '%s' exceeded its progressDeadlineSeconds (%d)", t.Name, v.Spec.ProgressDeadlineSecondsOrDefault())
	switch {
	case over(st.Status):
		return st.Status, st.Message
	case failure != "" && !v.ending:
		return v1alpha1.TemplateStatusError, failure
	case v.ending && st.Status == v1alpha1.TemplateStatusProgressing && !up && late:
		return v1alpha1.TemplateStatusFailed, exceeded
	case v.ending, up && v.elapsed():
		return v1alpha1.TemplateStatusSuccessful, ""
	case up:
		return v1alpha1.TemplateStatusRunning, ""
	case late:
		return v1alpha1.TemplateStatusFailed, exceeded
	}
	v.wake(due.Add(time.Second)) // the clock is kept in whole seconds
	v.wait(PodsNotAvailable, fmt.Sprintf("template %s has %d of %d available pods", t.Name, st.AvailableReplicas, t.ReplicasOrDefault()))
	return v1alpha1.TemplateStatusProgressing, ""
}

func (v *view) tellTemplate(st *v1alpha1.TemplateStatus, before v1alpha1.TemplateStatusCode) {
	if st.Status == before {
		return
	}
	n := Note{Kind: Event, Reason: TemplatePrefix + Reason(st.Status),
		Message: fmt.Sprintf("Template '%s' transitioned from %s -> %s", st.Name, before, st.Status) + suffix(st.Message)}
	if bad(st.Status) {
		n.Kind = Warning
	}
	v.plan.Notes = append(v.plan.Notes, n)
}

func suffix(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

func bad(c v1alpha1.TemplateStatusCode) bool {
	return c == v1alpha1.TemplateStatusFailed || c == v1alpha1.TemplateStatusError
}

func over(c v1alpha1.TemplateStatusCode) bool {
	return bad(c) || c == v1alpha1.TemplateStatusSuccessful
}
