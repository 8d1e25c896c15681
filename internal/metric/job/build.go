package job

import (
	"maps"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

// build is the Job of a measurement. Owned says that the run can own it: garbage
// collection knows no owners in other namespaces or clusters.
func build(r metric.Request, m *v1alpha1.JobMetric, namespace string, owned bool) *batchv1.Job {
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: nameOf(r), Namespace: namespace,
			Labels: with(m.Metadata.Labels, map[string]string{v1alpha1.JobRunUIDLabel: string(r.RunUID)}),
			Annotations: with(m.Metadata.Annotations, map[string]string{
				v1alpha1.JobRunNameAnnotation: r.Run, v1alpha1.JobRunNamespaceAnnotation: r.Namespace,
				v1alpha1.JobMetricNameAnnotation: r.Metric,
			}),
		},
		Spec: *m.Spec.DeepCopy(),
	}
	template := &job.Spec.Template
	template.Labels = with(template.Labels, map[string]string{v1alpha1.JobRunUIDLabel: string(r.RunUID)})
	if owned {
		job.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "AnalysisRun", Name: r.Run, UID: r.RunUID,
			Controller: new(true), BlockOwnerDeletion: new(true),
		}}
	}
	return job
}

// with is a copy of the user's entries under ours.
func with(users, ours map[string]string) map[string]string {
	all := make(map[string]string, len(users)+len(ours))
	maps.Copy(all, users)
	maps.Copy(all, ours)
	return all
}

// belongs says whether the Job is a measurement of the run.
func belongs(job *batchv1.Job, r metric.Request) bool {
	return r.RunUID != "" && job.Labels[v1alpha1.JobRunUIDLabel] == string(r.RunUID)
}

// same says whether a Job that was there already is the one that build makes.
func same(job *batchv1.Job, r metric.Request, owned bool) bool {
	owner := metav1.GetControllerOf(job)
	return belongs(job, r) && job.Annotations[v1alpha1.JobMetricNameAnnotation] == r.Metric &&
		(!owned || owner != nil && owner.UID == r.RunUID)
}
