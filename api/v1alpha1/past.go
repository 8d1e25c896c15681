package v1alpha1

import (
	"bytes"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ChangedByAnnotation names on a ReplicaSet the field manager that wanted its revision last:
// it wrote the pod template, or what names it, for the first time or again.
const ChangedByAnnotation = "penstock.io/changed-by"

// PreviousUpdateAnnotation keeps on a ReplicaSet how the update before its own ended, as JSON
// of PreviousUpdate: status tells of the newest update only.
const PreviousUpdateAnnotation = "penstock.io/previous-update"

// PreviousUpdate is how the update to a revision ended.
type PreviousUpdate struct {
	// Hash is that of the revision.
	Hash string `json:"hash"`
	// Status is how it ended, Message why it was aborted.
	Status  CompletionStatus `json:"status"`
	Message string           `json:"message,omitempty"`
	// Seconds is how long it took, without the time that people held it up.
	Seconds int64 `json:"seconds"`
}

// PreviousUpdateOf is what the annotation says; the zero value where it says nothing.
func PreviousUpdateOf(o metav1.Object) (u PreviousUpdate) {
	if json.Unmarshal([]byte(o.GetAnnotations()[PreviousUpdateAnnotation]), &u) != nil {
		return PreviousUpdate{}
	}
	return u
}

// TemplateAuthor is the newest entry of metadata.managedFields about a pod template, or what
// names one, without its fields. Nil means that nobody is known.
func TemplateAuthor(list []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var last *metav1.ManagedFieldsEntry
	for i, e := range list {
		if e.Subresource == "" && e.Time != nil && aboutTemplate(e.FieldsV1) && (last == nil || !e.Time.Before(last.Time)) {
			last = &list[i]
		}
	}
	if last == nil {
		return nil
	}
	return []metav1.ManagedFieldsEntry{{Manager: last.Manager, Time: last.Time}}
}

// aboutTemplate looks for the keys as text: on every change of a Rollout, decoding costs too
// much, and no other field of the kinds in question has these names. Nil is an entry that
// TemplateAuthor has kept.
func aboutTemplate(fields *metav1.FieldsV1) bool {
	return fields == nil || bytes.Contains(fields.Raw, []byte(`"f:template":`)) || bytes.Contains(fields.Raw, []byte(`"f:workloadRef":`))
}

// ChangedBy is the field manager that wrote an object's pod template, or what names it,
// last; "" means that nobody is known.
func ChangedBy(o metav1.Object) string {
	if author := TemplateAuthor(o.GetManagedFields()); author != nil {
		return author[0].Manager
	}
	return ""
}
