package kube

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestChangesWakeTheOwner(t *testing.T) {
	owned := func(refs ...metav1.OwnerReference) *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1", OwnerReferences: refs}}
	}
	ref := func(version, kind, name string, controls bool) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: version, Kind: kind, Name: name, Controller: &controls}
	}
	web, api := ref("argoproj.io/v1alpha1", "Rollout", "web", true), ref("argoproj.io/v1alpha1", "Rollout", "api", true)
	for name, c := range map[string]struct {
		old, now *appsv1.ReplicaSet // old is nil for a new object
		want     []string
	}{
		"a new object":                          {nil, owned(web), []string{"shop/web"}},
		"a change":                              {owned(web), owned(web), []string{"shop/web"}},
		"another owner, and both are told":      {owned(web), owned(api), []string{"shop/web", "shop/api"}},
		"let go":                                {owned(web), owned(), []string{"shop/web"}},
		"adopted":                               {owned(), owned(web), []string{"shop/web"}},
		"a later version of the kind":           {nil, owned(ref("argoproj.io/v1", "Rollout", "web", true)), []string{"shop/web"}},
		"nobody's":                              {nil, owned(), nil},
		"one that does not control it":          {nil, owned(ref("argoproj.io/v1alpha1", "Rollout", "web", false)), nil},
		"a namesake of another kind":            {nil, owned(ref("apps/v1", "Deployment", "web", true)), nil},
		"a namesake of another group":           {nil, owned(ref("example.io/v1", "Rollout", "web", true)), nil},
		"a group whose name begins like ours":   {nil, owned(ref("argoproj.io.example/v1", "Rollout", "web", true)), nil},
		"an owner of our group but not Rollout": {nil, owned(ref("argoproj.io/v1alpha1", "Experiment", "web", true)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"create", "update", "delete"} {
				if (verb == "update") == (c.old == nil) {
					continue
				}
				q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
				h, ctx := toOwner("Rollout"), context.Background()
				switch verb {
				case "create":
					h.Create(ctx, event.CreateEvent{Object: c.now}, q)
				case "update":
					h.Update(ctx, event.UpdateEvent{ObjectOld: c.old, ObjectNew: c.now}, q)
				case "delete":
					h.Delete(ctx, event.DeleteEvent{Object: c.now}, q)
				}
				var got []string
				for q.Len() > 0 {
					r, _ := q.Get()
					got = append(got, r.String())
				}
				q.ShutDown()
				if d := cmp.Diff(c.want, got); d != "" {
					t.Errorf("%s: %s", verb, d)
				}
			}
		})
	}
}
