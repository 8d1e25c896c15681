package job

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-io/penstock/internal/metric"
)

const first = uid + ".smoke.1"

func TestAMeasurementStartsAsAJob(t *testing.T) {
	c, r := cluster(), request(func(r *metric.Request) {
		r.Provider.Job.Metadata.Labels["analysisrun.argoproj.io/uid"] = "somebody else's"
		r.Provider.Job.Metadata.Annotations["analysisrun.argoproj.io/name"] = "another"
	})
	before := r.Provider.DeepCopy()
	defaulting := broken(c, interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, _ ...client.CreateOption) error {
		err := c.Create(ctx, o)
		// A client decodes the answer, with defaults, into what was sent.
		*o.(*batchv1.Job).Spec.BackoffLimit, o.(*batchv1.Job).Spec.Template.Spec.Containers[0].ImagePullPolicy = 6, "Always"
		return err
	}})
	got := measure(t, Options{Client: defaulting}, r)
	want := metric.Result{Kind: metric.Pending, Token: first, Metadata: map[string]string{"job-name": first, "job-namespace": "shop"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("result (-want +got):\n%s", d)
	}
	if d := cmp.Diff(before, &r.Provider); d != "" {
		t.Errorf("the request was changed:\n%s", d)
	}
	job := &batchv1.Job{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: first}, job); err != nil {
		t.Fatal(err)
	}
	spec := r.Provider.Job.Spec.DeepCopy()
	spec.Template.Labels = map[string]string{"app": "smoke", "analysisrun.argoproj.io/uid": uid}
	full := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: first, Namespace: "shop", ResourceVersion: job.ResourceVersion,
			Labels: map[string]string{"team": "a", "analysisrun.argoproj.io/uid": uid},
			Annotations: map[string]string{"note": "b", "analysisrun.argoproj.io/name": "web-1", "analysisrun.argoproj.io/namespace": "shop",
				"analysisrun.argoproj.io/metric-name": "smoke"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "argoproj.io/v1alpha1", Kind: "AnalysisRun", Name: "web-1", UID: uid,
				Controller: new(true), BlockOwnerDeletion: new(true)}},
		},
		Spec: *spec,
	}
	if d := cmp.Diff(full, job); d != "" {
		t.Errorf("job (-want +got):\n%s", d)
	}
}

func TestJobsGoWhereTheProcessWantsThem(t *testing.T) {
	home, away := cluster(), cluster()
	for name, test := range map[string]struct {
		options   Options
		client    client.Client
		namespace string
		owned     bool
	}{
		"another namespace":                    {Options{Client: home, Namespace: "jobs"}, home, "jobs", false},
		"the run's namespace, by name":         {Options{Client: home, Namespace: "shop"}, home, "shop", true},
		"another cluster":                      {Options{Client: home, Elsewhere: away}, away, "shop", false},
		"another cluster in another namespace": {Options{Client: home, Elsewhere: away, Namespace: "jobs"}, away, "jobs", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := measure(t, test.options, request())
			key := client.ObjectKey{Namespace: test.namespace, Name: first}
			if got.Metadata["job-namespace"] != test.namespace {
				t.Errorf("the metadata is %v, want the namespace %s", got.Metadata, test.namespace)
			}
			job := &batchv1.Job{}
			if err := test.client.Get(t.Context(), key, job); err != nil {
				t.Fatal(err)
			}
			if owned := metav1.GetControllerOf(job) != nil; owned != test.owned {
				t.Errorf("owned: %t, want %t: garbage collection removes objects whose owner it does not find", owned, test.owned)
			}
			again := measure(t, test.options, request())
			if d := cmp.Diff(got, again); d != "" {
				t.Errorf("a second try is different:\n%s", d)
			}
			if got := measure(t, test.options, request(token(first))); got.Kind != metric.Pending {
				t.Errorf("it is read as %+v", got)
			}
			if err := New(test.options).Stop(t.Context(), request(token(first))); err != nil {
				t.Fatal(err)
			}
			if err := test.client.Get(t.Context(), key, job); !apierrors.IsNotFound(err) {
				t.Errorf("the job is still there: %v", err)
			}
		})
	}
}

// Covers: analysis edge 107.
func TestAJobThatIsThereIsAdoptedOrRefused(t *testing.T) {
	for name, test := range map[string]struct {
		there *batchv1.Job
		err   string
	}{
		"one of an earlier try": {made(request()), ""},
		"one that has finished": {made(request(), complete), ""},
		"one that is owned by somebody else": {made(request(), func(j *batchv1.Job) { j.OwnerReferences[0].UID = "other" }),
			`already exists: it is not of this run and metric`},
		"one that nobody owns":  {made(request(), func(j *batchv1.Job) { j.OwnerReferences = nil }), `already exists`},
		"one without the label": {made(request(), func(j *batchv1.Job) { j.Labels = nil }), `already exists`},
		"one of another metric": {made(request(), func(j *batchv1.Job) { j.Annotations["analysisrun.argoproj.io/metric-name"] = "m2" }),
			`already exists`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := New(Options{Client: cluster(test.there)}).Measure(t.Context(), request())
			if test.err != "" {
				refused(t, err, test.err)
				return
			}
			if err != nil || got.Kind != metric.Pending || got.Token != first {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func lost() error {
	return &url.Error{Op: "Post", URL: "https://10.0.0.1/" + secret, Err: errors.New("read: connection\nreset by peer")}
}

func TestACreateThatFails(t *testing.T) {
	invalid := apierrors.NewInvalid(schema.GroupKind{Group: "batch", Kind: "Job"}, first, nil)
	invalid.ErrStatus.Message += ": Invalid value: \n" + secret
	for name, test := range map[string]struct {
		err  error
		done bool // the API server did it all the same
		want string
	}{
		"the answer is lost, the job is there":     {lost(), true, ""},
		"the answer is late, the job is there":     {apierrors.NewTimeoutError("slow", 1), true, ""},
		"the answer is lost, and nothing was done": {lost(), false, "create job shop/" + first + ": "},
		"the API server refuses it":                {invalid, false, "Invalid value: *****"},
		"the role does not allow it":               {apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "jobs"}, first, errors.New("no")), false, "is forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			c := broken(cluster(), interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, _ ...client.CreateOption) error {
				if test.done {
					if err := c.Create(ctx, o); err != nil {
						return err
					}
				}
				return test.err
			}})
			got, err := New(Options{Client: c}).Measure(t.Context(), request())
			if test.want != "" {
				refused(t, err, test.want)
				return
			}
			if err != nil || got.Token != first {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestAJobThatIsThereButCannotBeReadNamesTheCause(t *testing.T) {
	c := broken(cluster(made(request())), interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "jobs"}, first, errors.New("no"))
	}})
	_, err := New(Options{Client: c}).Measure(t.Context(), request())
	refused(t, err, "is forbidden")
}

func TestAMetricOfAnotherKindIsRefused(t *testing.T) {
	_, err := New(Options{Client: cluster()}).Measure(t.Context(), request(func(r *metric.Request) { r.Provider.Job = nil }))
	refused(t, err, "metric smoke has no job provider")
}

func TestDescribeShowsNothing(t *testing.T) {
	if got := New(Options{Client: cluster()}).Describe(request()); got != nil {
		t.Errorf("got %v", got)
	}
}

// Covers: analysis edge 111.
func TestStopDeletesTheJobAfterItsPods(t *testing.T) {
	var policies []metav1.DeletionPropagation
	there := cluster(made(request()), made(request(number(2))))
	c := broken(there, interceptor.Funcs{Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
		policies = append(policies, *(&client.DeleteOptions{}).ApplyOptions(opts).PropagationPolicy)
		return c.Delete(ctx, o, opts...)
	}})
	for range 2 { // a second Stop finds nothing, and is content
		if err := New(Options{Client: c}).Stop(t.Context(), request(token(first))); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]metav1.DeletionPropagation{metav1.DeletePropagationForeground}, policies); d != "" {
		t.Errorf("propagation (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"shop/" + uid + ".smoke.2"}, jobs(t, there)); d != "" {
		t.Errorf("jobs (-want +got):\n%s", d)
	}
}

func TestStopThatCannotBe(t *testing.T) {
	foreign := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "backup"}}
	there := cluster(made(request()), foreign)
	no := broken(there, interceptor.Funcs{Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error { return lost() }})
	for name, test := range map[string]struct {
		client client.Client
		token  string
		want   string
	}{
		"without a token":             {there, "", "job metadata reference missing"},
		"of a job that is not of it":  {there, "backup", "job shop/backup is not of the analysis run web-1"},
		"while the API server is out": {no, first, "delete job shop/" + first + ": "},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, New(Options{Client: test.client}).Stop(t.Context(), request(token(test.token))), test.want)
		})
	}
	if got := jobs(t, there); len(got) != 2 {
		t.Errorf("jobs that are left: %v", got)
	}
}

func TestConcurrentCallsDoNotDisturbEachOther(t *testing.T) {
	c, r := cluster(), request()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			res, err := New(Options{Client: c}).Measure(t.Context(), r)
			if err != nil || res.Token != first {
				t.Errorf("got %+v, %v", res, err)
			}
		})
	}
	wg.Wait()
	if got := jobs(t, c); len(got) != 1 {
		t.Errorf("made %v", got)
	}
}

func TestACancelledMeasurementEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := broken(cluster(made(request())), interceptor.Funcs{Get: func(ctx context.Context, _ client.WithWatch, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
		cancel()
		return &url.Error{Op: "Get", URL: "https://10.0.0.1", Err: ctx.Err()}
	}})
	_, err := New(Options{Client: c}).Measure(ctx, request(token(first)))
	refused(t, err, "canceled")
}
