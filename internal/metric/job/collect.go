package job

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

// Collect deletes the Jobs of the run's metric whose measurement is over, but for the
// newest keep. One that cannot be deleted does not hold up the others.
func (p *provider) Collect(ctx context.Context, r metric.Request, keep int) error {
	at := p.place(r)
	list := &batchv1.JobList{}
	if err := at.List(ctx, list, client.InNamespace(at.namespace), client.MatchingLabels{v1alpha1.JobRunUIDLabel: string(r.RunUID)}); err != nil {
		return sentence(fmt.Errorf("list jobs of %s/%s: %w", r.Namespace, r.Run, err), r)
	}
	var first error
	for _, job := range surplus(list.Items, r, keep) {
		err := at.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))
		if client.IgnoreNotFound(err) != nil && first == nil {
			first = sentence(fmt.Errorf("delete job %s/%s: %w", job.Namespace, job.Name, err), r)
		}
	}
	return first
}

// surplus lists what is to go. Measurements of a metric follow each other, so only the
// newest Job can be in flight: an older one that has not finished, for want of its image
// say, counts as finished.
func surplus(jobs []batchv1.Job, r metric.Request, keep int) (gone []*batchv1.Job) {
	var ours []*batchv1.Job
	for i := range jobs {
		if same(&jobs[i], r, false) {
			ours = append(ours, &jobs[i])
		}
	}
	slices.SortFunc(ours, newestFirst)
	if len(ours) > 0 && condition(ours[0], batchv1.JobComplete) == nil && condition(ours[0], batchv1.JobFailed) == nil {
		ours = ours[1:]
	}
	return ours[min(max(0, keep), len(ours)):]
}

// newestFirst goes by the number of the measurement, since times have whole seconds.
func newestFirst(a, b *batchv1.Job) int {
	return cmp.Or(cmp.Compare(numberOf(b.Name), numberOf(a.Name)),
		b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}
