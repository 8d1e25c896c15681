package job

import (
	"context"
	"errors"
	"math"
	"net/url"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

const (
	// retry is the wait after a read that failed for the moment.
	retry = 10 * time.Second
	// maxPods bounds how many pods of a Job are looked at.
	maxPods = 100
)

// look says what became of the Job.
func look(ctx context.Context, at place, r metric.Request) (metric.Result, error) {
	job, err := find(ctx, at, r)
	if err != nil && (!passing(err) || errors.Is(ctx.Err(), context.Canceled)) {
		return metric.Result{}, err
	}
	if err != nil {
		res := metric.Result{Kind: metric.Pending, Token: r.Token, After: retry, Metadata: metadata(at, r.Token)}
		res.Metadata[troubleKey] = clip(line(err.Error(), r))
		return res, nil
	}
	var pods []corev1.Pod
	if asks(job) {
		// Pods tell only more about what the Job says, so it stands without them.
		pods, err = podsOf(ctx, at, job)
	}
	res := judge(job, pods, r)
	res.Metadata = metadata(at, r.Token)
	if err != nil {
		res.Metadata[troubleKey] = clip(line("list pods: "+err.Error(), r))
	}
	return res, nil
}

// asks says whether pods can tell more: why the Job failed, or why it cannot start.
func asks(job *batchv1.Job) bool {
	if condition(job, batchv1.JobComplete) != nil {
		return false
	}
	ready := job.Status.Ready
	return condition(job, batchv1.JobFailed) != nil || job.Status.Active > 0 && (ready == nil || *ready < job.Status.Active)
}

// judge makes the result of what was read.
func judge(job *batchv1.Job, pods []corev1.Pod, r metric.Request) metric.Result {
	verdict := metric.Result{Kind: metric.Verdict}
	if condition(job, batchv1.JobComplete) != nil {
		verdict.Phase = v1alpha1.AnalysisPhaseSuccessful
		return verdict
	}
	if c := condition(job, batchv1.JobFailed); c != nil {
		verdict.Phase, verdict.Message = v1alpha1.AnalysisPhaseFailed, failure(c, pods, r)
		return verdict
	}
	if message := imageErrors(pods); message != "" {
		verdict.Phase, verdict.Message = v1alpha1.AnalysisPhaseInconclusive, metric.Redact(message, r.Secrets)
		return verdict
	}
	return metric.Result{Kind: metric.Pending, Token: r.Token, After: pause(r.Now, job.CreationTimestamp.Time)}
}

// pause is the wait before the next look: sqrt(2·s) seconds when the Job is s seconds old.
func pause(now, made time.Time) time.Duration {
	if made.IsZero() || !now.After(made) {
		return 0
	}
	return time.Duration(math.Sqrt(2*now.Sub(made).Seconds()) * float64(time.Second))
}

// condition is the condition of that type if it holds.
func condition(job *batchv1.Job, t batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		if c := &job.Status.Conditions[i]; c.Type == t && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

// podsOf lists the pods of the Job by its own selector, which the API server fills in, or
// without one by the label of the run.
func podsOf(ctx context.Context, at place, job *batchv1.Job) ([]corev1.Pod, error) {
	selector := labels.SelectorFromSet(labels.Set{v1alpha1.JobRunUIDLabel: job.Labels[v1alpha1.JobRunUIDLabel]})
	if job.Spec.Selector != nil {
		var err error
		if selector, err = metav1.LabelSelectorAsSelector(job.Spec.Selector); err != nil {
			return nil, err
		}
	}
	list := &corev1.PodList{}
	err := at.List(ctx, list, client.InNamespace(at.namespace), client.MatchingLabelsSelector{Selector: selector}, client.Limit(maxPods))
	if err != nil {
		return nil, err
	}
	var pods []corev1.Pod
	for i := range list.Items {
		if metav1.IsControlledBy(&list.Items[i], job) {
			pods = append(pods, list.Items[i])
		}
	}
	return pods, nil
}

// passing says whether an API call may have failed for the moment only. Such a call can
// have been carried out all the same.
func passing(err error) bool {
	var transport *url.Error
	return apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) ||
		errors.As(err, &transport) || errors.Is(err, context.DeadlineExceeded)
}
