package job

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

func pending(after time.Duration) metric.Result {
	return metric.Result{Kind: metric.Pending, Token: first, After: after}
}

func verdict(phase v1alpha1.AnalysisPhase, message string) metric.Result {
	return metric.Result{Kind: metric.Verdict, Phase: phase, Message: message}
}

const limit = "BackoffLimitExceeded: Job has reached the specified backoff limit"

// minute is the pause of a Job that is a minute old: sqrt(2·60) s.
const minute = 10954451150 * time.Nanosecond

type reading struct {
	job  *batchv1.Job
	pods []*corev1.Pod
	want metric.Result
}

func readings() map[string]reading {
	job := made(request())
	return map[string]reading{
		// Covers: analysis edge 108.
		"a complete job": {made(request(), complete), nil, verdict(v1alpha1.AnalysisPhaseSuccessful, "")},
		// Covers: analysis edge 108.
		"a failed job": {made(request(), failed), nil, verdict(v1alpha1.AnalysisPhaseFailed, limit)},
		// Covers: analysis edge 108.
		"a job that took too long": {made(request(), having(batchv1.JobFailed, corev1.ConditionTrue, "DeadlineExceeded", "Job was active longer than specified deadline")), nil,
			verdict(v1alpha1.AnalysisPhaseFailed, "DeadlineExceeded: Job was active longer than specified deadline")},
		"a failed job that says nothing": {made(request(), having(batchv1.JobFailed, corev1.ConditionTrue, "", "")), nil, verdict(v1alpha1.AnalysisPhaseFailed, "the Job failed")},
		"conditions that do not hold": {made(request(), having(batchv1.JobComplete, corev1.ConditionFalse, "", ""), having(batchv1.JobFailed, corev1.ConditionUnknown, "", "")), nil,
			pending(minute)},
		"a job that is about to fail or to complete": {made(request(), having(batchv1.JobFailureTarget, corev1.ConditionTrue, "", ""), having(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "", "")), nil,
			pending(minute)},
		"a suspended job": {made(request(), having(batchv1.JobSuspended, corev1.ConditionTrue, "JobSuspended", "Job suspended")), nil, pending(minute)},
		"a job that is being deleted": {made(request(), func(j *batchv1.Job) {
			j.DeletionTimestamp, j.Finalizers = new(metav1.NewTime(noon)), []string{"foregroundDeletion"}
		}), nil, pending(minute)},
		"a job of two seconds":              {made(request(), func(j *batchv1.Job) { j.CreationTimestamp = metav1.NewTime(noon.Add(-2 * time.Second)) }), nil, pending(2 * time.Second)},
		"a job from a clock ahead of ours":  {made(request(), func(j *batchv1.Job) { j.CreationTimestamp = metav1.NewTime(noon.Add(time.Minute)) }), nil, pending(0)},
		"a job that does not know its age":  {made(request(), func(j *batchv1.Job) { j.CreationTimestamp = metav1.Time{} }), nil, pending(0)},
		"a complete job with a bad pod":     {made(request(), complete, active), []*corev1.Pod{pod(job, "p", container("c", waiting("ErrImagePull", "no")))}, verdict(v1alpha1.AnalysisPhaseSuccessful, "")},
		"a pod that waits for a free place": {made(request(), active), []*corev1.Pod{pod(job, "p", container("c", waiting("ContainerCreating", "")))}, pending(minute)},
	}
}

func imageReadings() map[string]reading {
	job := made(request())
	inconclusive := func(message string) metric.Result { return verdict(v1alpha1.AnalysisPhaseInconclusive, message) }
	failing := container("c", waiting("ImagePullBackOff", `Back-off pulling image "i"`))
	message := "Pod p, container c has terminal error (ImagePullBackOff): Back-off pulling image \"i\"\n"
	return map[string]reading{
		// Covers: analysis edge 109, outage 68.
		"an image that cannot be pulled": {made(request(), active), []*corev1.Pod{pod(job, "p", failing)}, inconclusive(message)},
		// Covers: analysis edge 109.
		"the image of an init container": {made(request(), active), []*corev1.Pod{pod(job, "p", func(p *corev1.Pod) {
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "prepare", State: waiting("ErrImagePull", "denied")}}
		})}, inconclusive("Pod p, container prepare has terminal error (ErrImagePull): denied\n")},
		"the name of an image": {made(request(), active), []*corev1.Pod{pod(job, "p", container("c", waiting("InvalidImageName", "bad")))},
			inconclusive("Pod p, container c has terminal error (InvalidImageName): bad\n")},
		"several, one beside a good one": {made(request(), func(j *batchv1.Job) { j.Status.Active, j.Status.Ready = 2, new(int32(1)) }),
			[]*corev1.Pod{pod(job, "q", container("good", corev1.ContainerState{}), container("c", waiting("ErrImagePull", "x"))), pod(job, "p", failing)},
			inconclusive(message + "Pod q, container c has terminal error (ErrImagePull): x\n")},
		"a message with a secret": {made(request(), active), []*corev1.Pod{pod(job, "p", container("c", waiting("ErrImagePull", "pull "+secret)))},
			inconclusive("Pod p, container c has terminal error (ErrImagePull): pull *****\n")},
		"a pod of another job":       {made(request(), active), []*corev1.Pod{pod(made(request(number(2))), "p", failing)}, pending(minute)},
		"a pod in another namespace": {made(request(), active), []*corev1.Pod{pod(job, "p", failing, func(p *corev1.Pod) { p.Namespace = "other" })}, pending(minute)},
		"a pod that another one replaces": {made(request(), active), []*corev1.Pod{pod(job, "p", failing, func(p *corev1.Pod) {
			p.DeletionTimestamp, p.Finalizers = new(metav1.NewTime(noon)), []string{"batch.kubernetes.io/job-tracking"}
		})}, pending(minute)},
		"a pod found by the job's own selector": {made(request(), active, func(j *batchv1.Job) {
			j.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"controller-uid": "7"}}
		}), []*corev1.Pod{pod(job, "p", failing, func(p *corev1.Pod) { p.Labels = map[string]string{"controller-uid": "7"} })}, inconclusive(message)},
	}
}

func failureReadings() map[string]reading {
	job := made(request())
	words := func(s string) metric.Result { return verdict(v1alpha1.AnalysisPhaseFailed, limit+"; "+s) }
	return map[string]reading{
		"the last words": {made(request(), failed), []*corev1.Pod{pod(job, "p", container("c", ended(3, "5 of 7 checks failed\nsee log", 1)))},
			words("container c of pod p ended with exit code 3: Error: 5 of 7 checks failed see log")},
		"the latest of several": {made(request(), failed), []*corev1.Pod{
			pod(job, "a", container("c", ended(1, "old", 9))), pod(job, "b", container("c", ended(2, "new", 1))), pod(job, "d", container("c", ended(1, "older", 20)))},
			words("container c of pod b ended with exit code 2: Error: new")},
		"of two in one second the one that speaks": {made(request(), failed), []*corev1.Pod{pod(job, "p", container("a", ended(137, "", 1)), container("b", ended(1, "why", 1)), container("c", ended(1, "too", 1)))},
			words("container b of pod p ended with exit code 1: Error: why")},
		"a container that ended well": {made(request(), failed), []*corev1.Pod{pod(job, "p", container("c", ended(0, "fine", 1)))}, verdict(v1alpha1.AnalysisPhaseFailed, limit)},
		"one that was started again": {made(request(), failed), []*corev1.Pod{pod(job, "p", func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: waiting("CrashLoopBackOff", ""), LastTerminationState: ended(1, "boom", 1)}}
		})}, words("container c of pod p ended with exit code 1: Error: boom")},
		"an evicted pod": {made(request(), failed), []*corev1.Pod{pod(job, "p", func(p *corev1.Pod) {
			p.Status.Reason, p.Status.Message = "Evicted", "The node was low on memory."
		})}, words("pod p: Evicted: The node was low on memory.")},
		"a container before an evicted pod": {made(request(), failed), []*corev1.Pod{
			pod(job, "a", container("c", ended(1, "why", 1))), pod(job, "b", func(p *corev1.Pod) { p.Status.Reason = "Evicted" })},
			words("container c of pod a ended with exit code 1: Error: why")},
		"a secret": {made(request(), failed), []*corev1.Pod{pod(job, "p", container("c", ended(1, "login with "+secret, 1)))},
			words("container c of pod p ended with exit code 1: Error: login with *****")},
		"a secret at the cut": {made(request(), failed), []*corev1.Pod{pod(job, "p", container("c", ended(1, strings.Repeat("é", 247)+secret+strings.Repeat("z", 99), 1)))},
			words("container c of pod p ended with exit code 1: Error: " + strings.Repeat("é", 247) + "***…")},
		"a pod of another job": {made(request(), failed), []*corev1.Pod{pod(made(request(number(2))), "p", container("c", ended(1, "x", 1)))}, verdict(v1alpha1.AnalysisPhaseFailed, limit)},
	}
}

func TestReadings(t *testing.T) {
	for group, tests := range map[string]map[string]reading{"job": readings(), "image": imageReadings(), "failure": failureReadings()} {
		for name, test := range tests {
			t.Run(group+"/"+name, func(t *testing.T) {
				objects := []client.Object{test.job}
				for _, p := range test.pods {
					objects = append(objects, p)
				}
				test.want.Metadata = map[string]string{"job-name": first, "job-namespace": "shop"}
				if d := cmp.Diff(test.want, measure(t, Options{Client: cluster(objects...)}, request(token(first)))); d != "" {
					t.Errorf("result (-want +got):\n%s", d)
				}
			})
		}
	}
}

// Covers: analysis edge 110.
func TestAMissingJobIsAnErrorWithTheTextOfTheAPI(t *testing.T) {
	_, err := New(Options{Client: cluster()}).Measure(t.Context(), request(token(first)))
	if err == nil || err.Error() != `jobs.batch "`+first+`" not found` {
		t.Errorf("got %v", err)
	}
}

func TestAForeignJobIsNotRead(t *testing.T) {
	foreign := made(request(), complete, func(j *batchv1.Job) { j.Labels["analysisrun.argoproj.io/uid"] = "other" })
	_, err := New(Options{Client: cluster(foreign)}).Measure(t.Context(), request(token(first)))
	refused(t, err, "is not of the analysis run web-1")
	nobodys := made(request(), complete, func(j *batchv1.Job) { j.Labels = nil })
	_, err = New(Options{Client: cluster(nobodys)}).Measure(t.Context(), request(token(first), func(r *metric.Request) { r.RunUID = "" }))
	refused(t, err, "is not of the analysis run web-1")
}

func TestAReadThatFails(t *testing.T) {
	resource := schema.GroupResource{Group: "batch", Resource: "jobs"}
	for name, test := range map[string]struct {
		err   error
		stays bool
		text  string
	}{
		"the connection is lost":          {lost(), true, "connection reset by peer"},
		"the API server is overloaded":    {apierrors.NewTooManyRequests("later", 1), true, "later"},
		"the API server starts":           {apierrors.NewServiceUnavailable("starting"), true, "starting"},
		"etcd is slow":                    {apierrors.NewTimeoutError("request timed out", 1), true, "request timed out"},
		"etcd has no leader":              {apierrors.NewInternalError(errors.New("no leader")), true, "no leader"},
		"the API server gives up":         {apierrors.NewServerTimeout(resource, "get", 1), true, "could not be completed"},
		"the measurement's time is over":  {&url.Error{Op: "Get", URL: "https://10.0.0.1", Err: context.DeadlineExceeded}, true, "deadline exceeded"},
		"the client's own limiter is out": {context.DeadlineExceeded, true, "deadline exceeded"},
		"the role does not allow it":      {apierrors.NewForbidden(resource, first, errors.New("no")), false, "is forbidden"},
		"the name is none":                {errors.New("invalid resource name"), false, "invalid resource name"},
	} {
		t.Run(name, func(t *testing.T) {
			c := broken(cluster(), interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
				return test.err
			}})
			got, err := New(Options{Client: c}).Measure(t.Context(), request(token(first)))
			if !test.stays {
				refused(t, err, test.text)
				return
			}
			trouble := got.Metadata["job-last-read-error"]
			if err != nil || got.Kind != metric.Pending || got.Token != first || got.After != 10*time.Second || got.Metadata["job-name"] != first {
				t.Errorf("the measurement does not stay: %+v, %v", got, err)
			}
			if !strings.Contains(trouble, test.text) || strings.Contains(trouble, "s3cr3t") || strings.Contains(trouble, "\n") {
				t.Errorf("the metadata say %q, want %q in it", trouble, test.text)
			}
		})
	}
}

func TestAJobIsJudgedWithoutItsPods(t *testing.T) {
	for name, test := range map[string]struct {
		job  *batchv1.Job
		want metric.Result
		asks bool
	}{
		"failed":                    {made(request(), failed), verdict(v1alpha1.AnalysisPhaseFailed, limit), true},
		"running":                   {made(request(), active), pending(minute), true},
		"running in part":           {made(request(), func(j *batchv1.Job) { j.Status.Active, j.Status.Ready = 2, new(int32(1)) }), pending(minute), true},
		"complete, which says all":  {made(request(), complete, active), verdict(v1alpha1.AnalysisPhaseSuccessful, ""), false},
		"running with all its pods": {made(request(), func(j *batchv1.Job) { j.Status.Active, j.Status.Ready = 2, new(int32(2)) }), pending(minute), false},
		"without a pod":             {made(request()), pending(minute), false},
	} {
		t.Run(name, func(t *testing.T) {
			asked := false
			c := broken(cluster(test.job), interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
				asked = true
				return errors.New("pods are\nforbidden to " + secret)
			}})
			test.want.Metadata = map[string]string{"job-name": first, "job-namespace": "shop"}
			if test.asks {
				test.want.Metadata["job-last-read-error"] = "list pods: pods are forbidden to *****"
			}
			if d := cmp.Diff(test.want, measure(t, Options{Client: c}, request(token(first)))); d != "" {
				t.Errorf("result (-want +got):\n%s", d)
			}
			if asked != test.asks {
				t.Errorf("asked for pods: %t, want %t", asked, test.asks)
			}
		})
	}
}

// FuzzDecode: whatever a Job and its pods hold, only a condition that holds is a success,
// and no secret comes out.
func FuzzDecode(f *testing.F) {
	for _, tests := range []map[string]reading{readings(), imageReadings(), failureReadings()} {
		for _, test := range tests {
			job, err := json.Marshal(test.job)
			if err != nil {
				f.Fatal(err)
			}
			var list corev1.PodList
			for _, p := range test.pods {
				list.Items = append(list.Items, *p)
			}
			pods, err := json.Marshal(list)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(job, pods)
		}
	}
	f.Fuzz(func(t *testing.T, rawJob, rawPods []byte) {
		var job batchv1.Job
		var pods corev1.PodList
		if json.Unmarshal(rawJob, &job) != nil || json.Unmarshal(rawPods, &pods) != nil {
			return
		}
		got := judge(&job, pods.Items, request(token(first)))
		won := false
		for _, c := range job.Status.Conditions {
			won = won || c.Type == "Complete" && c.Status == "True"
		}
		if (got.Phase == v1alpha1.AnalysisPhaseSuccessful) != won || got.Value != nil {
			t.Errorf("complete: %t, got %+v", won, got)
		}
		if strings.Contains(got.Message, secret) || got.After < 0 {
			t.Errorf("got %+v", got)
		}
	})
}
