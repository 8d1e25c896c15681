package lint

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// workloads gives every Rollout that references a workload of the manifests its template, and
// its selector where it has none, as the controller does.
func (s *set) workloads() {
	for _, o := range s.objects {
		r, is := o.typed.(*v1alpha1.Rollout)
		if !is || r.Spec.WorkloadRef == nil || len(r.Spec.Template.Labels)+len(r.Spec.Template.Annotations) > 0 {
			continue
		}
		w := s.workload(o, r.Spec.WorkloadRef)
		if w == nil {
			continue
		}
		read := struct {
			Template *corev1.PodTemplateSpec `json:"template"` // of a PodTemplate
			Spec     struct {
				Selector *metav1.LabelSelector   `json:"selector"`
				Template *corev1.PodTemplateSpec `json:"template"`
			} `json:"spec"`
		}{}
		if text, err := json.Marshal(w.tree); err != nil || json.Unmarshal(text, &read) != nil {
			continue // kubectl says what is wrong with it
		}
		template := read.Spec.Template
		if template == nil {
			template = read.Template
		}
		if template == nil {
			continue
		}
		r.Spec.Template, r.Spec.TemplateResolvedFromRef = *template, true
		if r.Spec.Selector == nil && read.Spec.Selector != nil {
			r.Spec.Selector, r.Spec.SelectorResolvedFromRef = read.Spec.Selector, true
		}
	}
}

// workload is what a Rollout references, nil where it is not given.
func (s *set) workload(from *object, ref *v1alpha1.ObjectRef) *object {
	return s.named(from, groupOf(ref), ref.Kind, ref.Name)
}

// groupOf is the group as objects have it here: "v1" where the API has none.
func groupOf(ref *v1alpha1.ObjectRef) string {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil || gv.Group == "" {
		return ref.APIVersion
	}
	return gv.Group
}

// missingWorkload is advice where others of its kind are given.
func missingWorkload(s *set, o *object, add report) {
	r, is := o.typed.(*v1alpha1.Rollout)
	if !is || r.Spec.WorkloadRef == nil {
		return
	}
	if ref := r.Spec.WorkloadRef; s.workload(o, ref) == nil && len(s.in(o, groupOf(ref), ref.Kind)) > 0 {
		add("spec.workloadRef", fmt.Sprintf("%s '%s' not found", ref.Kind, ref.Name), "")
	}
}
