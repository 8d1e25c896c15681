package v1alpha1

import (
	"encoding/json"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MarshalJSON leaves out a template or selector that was read from the referenced
// workload, so that it is never written back. An entirely empty template is left out as
// well: the schema would refuse its null list of containers on every later write.
func (s RolloutSpec) MarshalJSON() ([]byte, error) {
	type plain RolloutSpec
	out := struct {
		plain
		Selector *metav1.LabelSelector   `json:"selector,omitempty"`
		Template *corev1.PodTemplateSpec `json:"template,omitempty"`
	}{plain: plain(s)}
	if !s.SelectorResolvedFromRef {
		out.Selector = s.Selector
	}
	if !s.TemplateResolvedFromRef && !reflect.DeepEqual(s.Template, corev1.PodTemplateSpec{}) {
		out.Template = &s.Template
	}
	return json.Marshal(out)
}
