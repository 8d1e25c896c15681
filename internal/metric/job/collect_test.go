package job

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-io/penstock/internal/metric"
)

// ran lists the complete Jobs of measurements 1 to n, all made in the same second.
func ran(n int, mods ...func(*metric.Request)) (all []client.Object) {
	for i := range n {
		all = append(all, made(request(append(mods, number(i+1))...), complete))
	}
	return all
}

func left(t *testing.T, c client.Client) (short []string) {
	t.Helper()
	for _, name := range jobs(t, c) {
		_, name, _ = strings.Cut(name, "/")
		short = append(short, strings.TrimPrefix(name, uid+"."))
	}
	slices.Sort(short)
	return short
}

func TestCollectKeepsTheNewestFinishedJobs(t *testing.T) {
	other := func(mod func(*batchv1.Job)) *batchv1.Job { return made(request(number(77)), complete, mod) }
	for name, test := range map[string]struct {
		there []client.Object
		keep  int
		want  []string
	}{
		"fewer than may stay":                 {ran(2), 3, []string{"smoke.1", "smoke.2"}},
		"as many as may stay":                 {ran(2), 2, []string{"smoke.1", "smoke.2"}},
		"the tenth is newer than the 9th":     {ran(11), 2, []string{"smoke.10", "smoke.11"}},
		"none may stay":                       {ran(2), 0, nil},
		"fewer than none may stay":            {ran(2), -1, nil},
		"the one in flight stays beside them": {append(ran(3), made(request(number(4)), active)), 1, []string{"smoke.3", "smoke.4"}},
		"a failed one is a finished one":      {append(ran(2), made(request(number(3)), failed)), 1, []string{"smoke.3"}},
		"one that never got its image is no longer in flight when there is a newer one": {
			append(ran(1), made(request(number(2)), active), made(request(number(3)), active)), 1, []string{"smoke.2", "smoke.3"}},
		"the other metric has a history of its own": {append(ran(3), ran(2, named("load"))...), 2, []string{"load.1", "load.2", "smoke.2", "smoke.3"}},
		"jobs of another run":                       {append(ran(1), other(func(j *batchv1.Job) { j.Labels["analysisrun.argoproj.io/uid"] = "other" })), 0, []string{"smoke.77"}},
		"jobs of others":                            {append(ran(1), other(func(j *batchv1.Job) { j.Labels = nil })), 0, []string{"smoke.77"}},
		"jobs in another namespace":                 {append(ran(1), other(func(j *batchv1.Job) { j.Namespace = "other" })), 0, []string{"smoke.77"}},
		"names of another form go by their age": {[]client.Object{
			other(func(j *batchv1.Job) { j.Name = "b" }),
			other(func(j *batchv1.Job) { j.Name, j.CreationTimestamp = "a", metav1.NewTime(noon.Add(-time.Hour)) }),
		}, 1, []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster(test.there...)
			if err := New(Options{Client: c}).Collect(t.Context(), request(), test.keep); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, left(t, c)); d != "" {
				t.Errorf("jobs that are left (-want +got):\n%s", d)
			}
		})
	}
}

func TestCollectGoesWhereTheJobsAre(t *testing.T) {
	home, away := cluster(ran(2)...), cluster()
	o := Options{Client: home, Elsewhere: away, Namespace: "jobs"}
	for i := range 3 {
		measure(t, o, request(number(i+1)))
	}
	if err := New(o).Collect(t.Context(), request(), 1); err != nil {
		t.Fatal(err)
	}
	if got := left(t, away); len(got) != 2 {
		t.Errorf("left: %v, want the newest, which runs, and one before it", got)
	}
	if got := left(t, home); len(got) != 2 {
		t.Errorf("left at home: %v", got)
	}
}

func TestCollectThatFails(t *testing.T) {
	there := cluster(ran(4)...)
	c := broken(there, interceptor.Funcs{Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
		if p := (&client.DeleteOptions{}).ApplyOptions(opts).PropagationPolicy; p == nil || *p != metav1.DeletePropagationBackground {
			return fmt.Errorf("the pods of %s would stay", o.GetName())
		}
		switch {
		case strings.HasSuffix(o.GetName(), ".3"):
			return apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "jobs"}, o.GetName(), fmt.Errorf("no\n%s", secret))
		case strings.HasSuffix(o.GetName(), ".2"):
			return apierrors.NewNotFound(schema.GroupResource{Group: "batch", Resource: "jobs"}, o.GetName())
		}
		return c.Delete(ctx, o, opts...)
	}})
	refused(t, New(Options{Client: c}).Collect(t.Context(), request(), 1), "delete job shop/"+uid+".smoke.3: ")
	if d := cmp.Diff([]string{"smoke.2", "smoke.3", "smoke.4"}, left(t, there)); d != "" {
		t.Errorf("jobs that are left (-want +got):\n%s", d)
	}
	gone := broken(cluster(ran(4)...), interceptor.Funcs{Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error {
		return apierrors.NewNotFound(schema.GroupResource{Group: "batch", Resource: "jobs"}, "x")
	}})
	if err := New(Options{Client: gone}).Collect(t.Context(), request(), 1); err != nil {
		t.Errorf("what is gone already is an error: %v", err)
	}
	mute := broken(cluster(), interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return lost() }})
	refused(t, New(Options{Client: mute}).Collect(t.Context(), request(), 1), "list jobs of shop/web-1: ")
}
