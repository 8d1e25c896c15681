package job

import (
	"context"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

const (
	uid    = "0f7b1c1e-5a52-4a5e-9d6c-2f3f0a9b7c11"
	secret = "s3cr3t/t0ken+&\"x"
)

var noon = time.Date(2026, 8, 17, 12, 0, 0, 0, time.UTC)

// request asks for the first measurement of the metric smoke.
func request(mods ...func(*metric.Request)) metric.Request {
	r := metric.Request{
		Namespace: "shop", Run: "web-1", Metric: "smoke", RunUID: uid, Number: 1, Now: noon, Secrets: []string{secret},
		Provider: v1alpha1.MetricProvider{Job: &v1alpha1.JobMetric{
			Metadata: metav1.ObjectMeta{Name: "ignored", Labels: map[string]string{"team": "a"}, Annotations: map[string]string{"note": "b"}, Finalizers: []string{"x/y"}},
			Spec: batchv1.JobSpec{BackoffLimit: new(int32(0)), Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "smoke"}},
				Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}},
			}},
		}},
	}
	for _, mod := range mods {
		mod(&r)
	}
	return r
}

func token(name string) func(*metric.Request) { return func(r *metric.Request) { r.Token = name } }
func number(n int) func(*metric.Request)      { return func(r *metric.Request) { r.Number = n } }
func named(m string) func(*metric.Request)    { return func(r *metric.Request) { r.Metric = m } }

// made is the Job of the request as the API server holds it since a minute.
func made(r metric.Request, mods ...func(*batchv1.Job)) *batchv1.Job {
	job := build(r, r.Provider.Job, r.Namespace, true)
	job.UID = types.UID("uid-of-" + job.Name)
	job.CreationTimestamp = metav1.NewTime(noon.Add(-time.Minute))
	for _, mod := range mods {
		mod(job)
	}
	return job
}

func having(t batchv1.JobConditionType, s corev1.ConditionStatus, reason, message string) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{Type: t, Status: s, Reason: reason, Message: message})
	}
}

func complete(j *batchv1.Job) { having(batchv1.JobComplete, corev1.ConditionTrue, "", "")(j) }

func failed(j *batchv1.Job) {
	having(batchv1.JobFailed, corev1.ConditionTrue, "BackoffLimitExceeded", "Job has reached the specified backoff limit")(j)
}

func active(j *batchv1.Job) { j.Status.Active = 1 }

// pod is one of the Job's.
func pod(j *batchv1.Job, name string, mods ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: name, Namespace: j.Namespace, Labels: map[string]string{v1alpha1.JobRunUIDLabel: uid},
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(j, batchv1.SchemeGroupVersion.WithKind("Job"))},
	}}
	for _, mod := range mods {
		mod(p)
	}
	return p
}

func container(name string, s corev1.ContainerState) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: name, State: s})
	}
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// ended is a container's end, some seconds before noon.
func ended(code int32, message string, ago int) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: "Error", Message: message, FinishedAt: metav1.NewTime(noon.Add(-time.Duration(ago) * time.Second)),
	}}
}

func cluster(objects ...client.Object) client.WithWatch {
	return fake.NewClientBuilder().WithObjects(objects...).Build()
}

func broken(c client.WithWatch, f interceptor.Funcs) client.WithWatch {
	return interceptor.NewClient(c, f)
}

func measure(t *testing.T, o Options, r metric.Request) metric.Result {
	t.Helper()
	res, err := New(o).Measure(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// refused wants an error of one line, without the secret, with want in it.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil:
		t.Fatalf("no error, want %q", want)
	case !strings.Contains(err.Error(), want), strings.Contains(err.Error(), "\n"), strings.Contains(err.Error(), "s3cr3t"):
		t.Fatalf("the error is %q, want one line without secrets and with %q", err, want)
	}
}

func jobs(t *testing.T, c client.Client) (names []string) {
	t.Helper()
	list := &batchv1.JobList{}
	if err := c.List(context.Background(), list); err != nil {
		t.Fatal(err)
	}
	for _, j := range list.Items {
		names = append(names, j.Namespace+"/"+j.Name)
	}
	return names
}
