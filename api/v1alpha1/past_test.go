package v1alpha1_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func TestWhoWroteATemplate(t *testing.T) {
	const template, replicas = `{"f:spec":{"f:replicas":{},"f:template":{"f:spec":{}}}}`, `{"f:spec":{"f:replicas":{}}}`
	entry := func(manager string, second int64, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Time: &metav1.Time{Time: time.Unix(second, 0)}, FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}
	}
	status, timeless := entry("rollouts-controller", 9, template), entry("timeless", 9, template)
	status.Subresource, timeless.Time = "status", nil
	for name, c := range map[string]struct {
		list []metav1.ManagedFieldsEntry
		want string
	}{
		"nobody":                {nil, ""},
		"the newest":            {[]metav1.ManagedFieldsEntry{entry("b", 2, template), entry("a", 1, template)}, "b"},
		"of a second, the last": {[]metav1.ManagedFieldsEntry{entry("a", 1, template), entry("b", 1, template)}, "b"},
		"who only scales":       {[]metav1.ManagedFieldsEntry{entry("a", 1, template), entry("hpa", 2, replicas)}, "a"},
		"who names a workload":  {[]metav1.ManagedFieldsEntry{entry("a", 1, replicas), entry("b", 2, `{"f:spec":{"f:workloadRef":{}}}`)}, "b"},
		"names like it":         {[]metav1.ManagedFieldsEntry{entry("a", 1, `{"f:spec":{"f:strategy":{"f:templates":{}}}}`)}, ""},
		"a status":              {[]metav1.ManagedFieldsEntry{status}, ""},
		"no time":               {[]metav1.ManagedFieldsEntry{timeless}, ""},
		"no JSON":               {[]metav1.ManagedFieldsEntry{entry("a", 1, "{")}, ""},
	} {
		o := &metav1.ObjectMeta{ManagedFields: c.list}
		if got := v1alpha1.ChangedBy(o); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		o.ManagedFields = v1alpha1.TemplateAuthor(o.ManagedFields)
		if got := v1alpha1.ChangedBy(o); got != c.want || len(o.ManagedFields) > 1 || len(o.ManagedFields) == 1 && o.ManagedFields[0].FieldsV1 != nil {
			t.Errorf("%s, kept: %q in %v, want %q", name, got, o.ManagedFields, c.want)
		}
	}
}
