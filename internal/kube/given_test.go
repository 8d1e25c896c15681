package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/istio"
	"github.com/penstock-io/penstock/internal/traffic/nginx"
)

var webKey = loop.Key{Namespace: "shop", Name: "web"}

// world is a cluster without delays: the fake API server is its own cache, and a step of
// work makes every wanted pod available.
type world struct {
	t        testing.TB
	client   client.WithWatch
	now      time.Time
	rollouts *Rollouts
	runs     *Runs
	loop     *loop.Controller[Seen, rollout.Plan]
	runLoop  *loop.Controller[RunSeen, analysis.Plan]
	events   *record.FakeRecorder
	writes   []string
	uids     int
	refuse   func(verb string, o client.Object) error
}

func newWorld(t testing.TB, objects ...client.Object) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), events: record.NewFakeRecorder(1000)}
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	routers := func(c client.Client) []Routing {
		o, ng := istio.Options{Settle: time.Second}, nginx.Options{Settle: time.Second}
		return []Routing{
			{Name: "istio", Uses: istio.Uses, Objects: istio.Objects, Kinds: o.Kinds, Router: istio.New(c, c, o), Carries: traffic.Everything},
			{Name: "nginx", Uses: nginx.Uses, Objects: nginx.Objects, Kinds: ng.Kinds, Router: nginx.New(c, c, ng)},
		}
	}
	b := fake.NewClientBuilder().WithScheme(scheme).
		WithStatusSubresource(&v1alpha1.Rollout{}, &appsv1.ReplicaSet{}).WithInterceptorFuncs(w.interceptor())
	for _, i := range Indexes(routers(nil)) {
		b = b.WithIndex(i.Object, i.Field, i.Values)
	}
	w.client = b.Build()
	rec := &loop.Record{Cache: w.client, Live: w.client, Now: w.clock}
	clients := Clients{Reader: w.client, Live: w.client, Writer: rec.Client(w.client), Plain: w.client}
	w.rollouts = NewRollouts(clients)
	w.rollouts.Events, w.rollouts.Routers = w.events, routers(clients.Writer)
	if w.rollouts.Drifts, err = NewDrifts(prometheus.NewRegistry(), &Authors{Now: w.clock}); err != nil {
		t.Fatal(err)
	}
	w.rollouts.Drifts.Now = w.clock
	w.rollouts.Plugins = NewPlugins(2, w.clock)
	t.Cleanup(w.rollouts.Plugins.Close)
	w.loop = &loop.Controller[Seen, rollout.Plan]{Name: "rollout", Observe: w.rollouts.Observe, Decide: w.rollouts.Decide,
		Apply: w.rollouts.Apply, Explain: w.rollouts.Explain, Writer: clients.Writer, Subresource: true, Record: rec,
		Events: w.events, Now: w.clock}
	w.runs = &Runs{Clients: clients, Pool: NewPool(w.client, 2, w.clock)}
	t.Cleanup(w.runs.Pool.Close)
	w.runLoop = &loop.Controller[RunSeen, analysis.Plan]{Name: "analysis", Observe: w.runs.Observe, Decide: w.runs.Decide,
		Apply: w.runs.Apply, Explain: w.runs.Explain, Writer: clients.Writer, Record: rec, Events: w.events, Now: w.clock}
	for _, o := range objects {
		w.create(o)
	}
	w.writes = nil
	return w
}

func (w *world) clock() time.Time { return w.now }

func (w *world) interceptor() interceptor.Funcs {
	var mu sync.Mutex // pods are patched several at a time
	note := func(verb string, o client.Object) error {
		mu.Lock()
		defer mu.Unlock()
		if w.refuse != nil {
			if err := w.refuse(verb, o); err != nil {
				return err
			}
		}
		w.writes = append(w.writes, fmt.Sprintf("%s %s %s", verb, kindOf(o), o.GetName()))
		return nil
	}
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := note("create", o); err != nil {
				return err
			}
			if o.GetUID() == "" {
				w.uids++
				o.SetUID(types.UID(fmt.Sprintf("uid-%d", w.uids)))
			}
			if at := o.GetCreationTimestamp(); at.IsZero() {
				o.SetCreationTimestamp(metav1.NewTime(w.now))
			}
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if err := note("update", o); err != nil {
				return err
			}
			return c.Update(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := note("patch", o); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := note("delete", o); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
		SubResourceCreate: func(ctx context.Context, c client.Client, sub string, o client.Object, in client.Object, opts ...client.SubResourceCreateOption) error {
			if err := note(sub, o); err != nil {
				return err
			}
			if e, ok := in.(*policyv1.Eviction); ok { // the fake client overlooks the preconditions
				p := &corev1.Pod{}
				if c.Get(ctx, client.ObjectKeyFromObject(o), p) == nil && e.DeleteOptions != nil && *e.DeleteOptions.Preconditions.UID != p.UID {
					return apierrors.NewConflict(schema.GroupResource{}, o.GetName(), errors.New("another pod of the same name"))
				}
			}
			return c.SubResource(sub).Create(ctx, o, in, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := note(sub, o); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	}
}

func kindOf(o client.Object) string {
	if k := o.GetObjectKind().GroupVersionKind().Kind; k != "" {
		return k
	}
	name := fmt.Sprintf("%T", o)
	return name[strings.LastIndex(name, ".")+1:]
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := w.client.Create(context.Background(), o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(name string, o client.Object) {
	w.t.Helper()
	if err := w.client.Get(context.Background(), loop.Key{Namespace: "shop", Name: name}, o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) rollout() *v1alpha1.Rollout {
	w.t.Helper()
	ro := &v1alpha1.Rollout{}
	w.get("web", ro)
	return ro
}

// edit changes the Rollout as a user does.
func (w *world) edit(change func(*v1alpha1.Rollout)) {
	w.t.Helper()
	ro := w.rollout()
	change(ro)
	ro.Generation++
	if err := w.client.Update(context.Background(), ro); err != nil {
		w.t.Fatal(err)
	}
}

// pass makes one pass and returns what the queue is told.
func (w *world) pass() (reconcile.Result, error) {
	return w.loop.Reconcile(context.Background(), reconcile.Request{NamespacedName: webKey})
}

// work makes passes, a second apart, with pods becoming what is wanted between them.
func (w *world) work(passes int) {
	w.t.Helper()
	for range passes {
		if _, err := w.pass(); err != nil {
			w.t.Fatal(err)
		}
		w.pods()
		w.now = w.now.Add(time.Second)
	}
}

// pods gives every ReplicaSet the pods that it wants, all available.
func (w *world) pods() {
	w.t.Helper()
	list := &appsv1.ReplicaSetList{}
	if err := w.client.List(context.Background(), list); err != nil {
		w.t.Fatal(err)
	}
	for i := range list.Items {
		rs := &list.Items[i]
		n := int32(1)
		if rs.Spec.Replicas != nil {
			n = *rs.Spec.Replicas
		}
		now := appsv1.ReplicaSetStatus{Replicas: n, ReadyReplicas: n, AvailableReplicas: n, ObservedGeneration: rs.Generation}
		if equality.Semantic.DeepEqual(rs.Status, now) {
			continue
		}
		rs.Status = now
		if err := w.client.Status().Update(context.Background(), rs); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) sets() map[string]*appsv1.ReplicaSet {
	w.t.Helper()
	list := &appsv1.ReplicaSetList{}
	if err := w.client.List(context.Background(), list); err != nil {
		w.t.Fatal(err)
	}
	out := map[string]*appsv1.ReplicaSet{}
	for i := range list.Items {
		out[list.Items[i].Spec.Template.Spec.Containers[0].Image] = &list.Items[i]
	}
	return out
}

// weight is the canary's share on the VirtualService.
func (w *world) weight() int64 {
	w.t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1alpha3", Kind: "VirtualService"})
	w.get("web", u)
	routes, _, _ := unstructured.NestedSlice(u.Object, "spec", "http")
	for _, d := range routes[0].(map[string]any)["route"].([]any) {
		if host, _, _ := unstructured.NestedString(d.(map[string]any), "destination", "host"); host == "web-canary" {
			n, _ := d.(map[string]any)["weight"].(int64)
			return n
		}
	}
	w.t.Fatal("no canary destination")
	return 0
}

func (w *world) told() (events []string) {
	for len(w.events.Events) > 0 {
		events = append(events, <-w.events.Events)
	}
	return events
}

func ptr[T any](v T) *T { return &v }

// webRollout is four pods of image one, through Istio.
func webRollout(change ...func(*v1alpha1.Rollout)) *v1alpha1.Rollout {
	labels := map[string]string{"app": "web"}
	ro := &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "web-uid", Generation: 1},
		Spec: v1alpha1.RolloutSpec{
			Replicas: ptr(int32(4)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "one"}}}},
			Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{
				StableService: "web-stable", CanaryService: "web-canary",
				TrafficRouting: &v1alpha1.RolloutTrafficRouting{Istio: &v1alpha1.IstioTrafficRouting{
					VirtualService: &v1alpha1.IstioVirtualService{Name: "web"}}},
				Steps: []v1alpha1.CanaryStep{{SetWeight: ptr(int32(25))}, {Pause: &v1alpha1.RolloutPause{}}, {SetWeight: ptr(int32(50))}},
			}},
		},
	}
	for _, c := range change {
		c(ro)
	}
	return ro
}

func service(name string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}}}
}

func virtualService() *unstructured.Unstructured {
	to := func(host string, weight int64) any {
		return map[string]any{"destination": map[string]any{"host": host}, "weight": weight}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService",
		"metadata": map[string]any{"namespace": "shop", "name": "web"},
		"spec":     map[string]any{"http": []any{map[string]any{"route": []any{to("web-stable", 100), to("web-canary", 0)}}}},
	}}
}

// shop is the world of webRollout.
func shop(t testing.TB, change ...func(*v1alpha1.Rollout)) *world {
	return newWorld(t, webRollout(change...), service("web-stable"), service("web-canary"), virtualService())
}

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: loop.Key{Namespace: "shop", Name: name}}
}

// TestMain turns the log of the passes off.
func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// conflictOn lets a verb fail once as if somebody had written in between.
func conflictOn(verb string) func(string, client.Object) error {
	done := false
	return func(v string, o client.Object) error {
		if v != verb || done {
			return nil
		}
		done = true
		return apierrors.NewConflict(schema.GroupResource{}, o.GetName(), errors.New("newer"))
	}
}
