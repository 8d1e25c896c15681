package experiment

import (
	"fmt"
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// service decides about the Service before a template's pods. It is made as soon as
// there is a ReplicaSet, and goes with the last pod.
//
// The status offers it to the Rollout, so a Service that is to change while the
// Experiment goes on, or to have fewer pods, is taken out of the status first, and
// changes on a later pass.
func (v *view) service(t *v1alpha1.TemplateSpec, st *v1alpha1.TemplateStatus, set *Set, down bool) (failure string) {
	if !down && set != nil && t.Service != nil && HasPorts(t) && t.ReplicasOrDefault() != 0 {
		return v.serve(t, st, set)
	}
	kept := t.Service != nil && (set == nil && !down || !v.empty(t.Name))
	named := st.ServiceName
	if !down || !kept && !v.routed(t.Name) {
		st.ServiceName, st.PodTemplateHash = "", ""
	}
	if !kept && (named == "" || down) {
		v.drop(t.Name, "", "")
	}
	return ""
}

// serve keeps the Service of a template that is up, or is to be.
func (v *view) serve(t *v1alpha1.TemplateSpec, st *v1alpha1.TemplateStatus, set *Set) (failure string) {
	name, named := t.Service.Name, st.ServiceName
	if name == "" {
		name = set.Name
		if own := v.serviceOf(t.Name); own != nil {
			name = own.Name // it keeps the name of the ReplicaSet that it was made for
		}
	}
	there := v.serviceNamed(name)
	a := EnsureService{Template: t.Name, Name: name, Set: set.Name}
	refused, was := v.Refused[a.String()]
	switch {
	case there != nil && there.Template != t.Name, refused.Taken && there == nil:
		return fmt.Sprintf("Failed to create Service %s for template '%s': service %s already exists and is not owned by experiment template %s", name, t.Name, name, t.Name)
	case was && there == nil:
		return fmt.Sprintf("Failed to create Service %s for template '%s': %s", name, t.Name, refused.Text)
	case there == nil:
		v.do(a)
	case there.Deleting:
	case there.Hash == set.Hash && set.Desired > t.ReplicasOrDefault():
		st.ServiceName, st.PodTemplateHash = "", "" // until there are fewer pods
	case there.Hash == set.Hash:
		st.ServiceName, st.PodTemplateHash = name, set.Hash
	default:
		st.ServiceName, st.PodTemplateHash = "", ""
		// The pods that it selects now serve until the new ones can.
		if named == "" && !v.routed(t.Name) && set.Observed && set.Available > 0 && set.Available >= t.ReplicasOrDefault() {
			v.do(PointService{Template: t.Name, Name: name, Set: set.Name})
		}
	}
	v.drop(t.Name, name, named)
	return ""
}

// drop removes the template's Services but those of two names.
func (v *view) drop(template, keep, named string) {
	for i := range v.Services {
		s := &v.Services[i]
		if s.Template == template && s.Name != keep && s.Name != named && !s.Deleting && !v.routed(template) {
			v.do(DeleteService{Name: s.Name})
		}
	}
}

// HasPorts reports whether the pods of a template open a port: a Service needs one.
func HasPorts(t *v1alpha1.TemplateSpec) bool {
	for i := range t.Template.Spec.Containers {
		if len(t.Template.Spec.Containers[i].Ports) > 0 {
			return true
		}
	}
	return false
}

func (v *view) serviceOf(template string) *Service {
	for i := range v.Services {
		if v.Services[i].Template == template {
			return &v.Services[i]
		}
	}
	return nil
}

func (v *view) serviceNamed(name string) *Service {
	for i := range v.Services {
		if v.Services[i].Name == name {
			return &v.Services[i]
		}
	}
	return nil
}

// empty reports whether none of a template's ReplicaSets has pods left, or will have.
func (v *view) empty(template string) bool {
	for i := range v.Sets {
		if s := &v.Sets[i]; s.Template == template && (s.Desired > 0 || !s.Observed || s.Available > 0) {
			return false
		}
	}
	return true
}

// routed reports whether traffic may be arriving at a template's pods or Service.
func (v *view) routed(template string) bool {
	return slices.ContainsFunc(v.Sets, func(s Set) bool { return s.Template == template && s.Routed }) ||
		slices.ContainsFunc(v.Services, func(s Service) bool { return s.Template == template && s.Routed })
}
