package loop

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

var key = Key{Namespace: "shop", Name: "web"}

// state and step are the smallest S and P: make status.replicas and some ConfigMaps so.
type state struct{ rs *appsv1.ReplicaSet }

type step struct {
	replicas int32
	maps     []string
	events   []Event
	panics   bool
}

// world is a server, and a cache of it that is filled by hand.
type world struct {
	t        *testing.T
	server   client.WithWatch
	cache    client.WithWatch
	now      time.Time
	fail     func(verb string, obj client.Object) error
	lose     bool // the write happens, the answer gets lost
	writes   []string
	passes   int
	recorder *record.FakeRecorder
	metrics  *Metrics
	record   *Record
	next     step
	applyErr error
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Unix(1000, 0), recorder: record.NewFakeRecorder(100)}
	w.cache = fake.NewClientBuilder().WithScheme(clientscheme.Scheme).WithStatusSubresource(&appsv1.ReplicaSet{}).Build()
	w.server = fake.NewClientBuilder().WithScheme(clientscheme.Scheme).WithStatusSubresource(&appsv1.ReplicaSet{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				_ = w
				return c.Get(ctx, k, o, opts...)
			},
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				return w.write("create", o, func() error { return c.Create(ctx, o, opts...) })
			},
			Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
				return w.write("delete", o, func() error { return c.Delete(ctx, o, opts...) })
			},
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
				return w.write(sub, o, func() error { return c.SubResource(sub).Patch(ctx, o, p, opts...) })
			},
		}).Build()
	rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	if err := w.server.Create(context.Background(), rs); err != nil {
		t.Fatal(err)
	}
	w.writes = nil
	m, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	w.metrics = m
	w.record = &Record{Cache: w.cache, Live: w.server, Now: func() time.Time { return w.now }}
	w.sync()
	return w
}

func (w *world) write(verb string, o client.Object, do func() error) error {
	if w.fail != nil {
		if err := w.fail(verb, o); err != nil {
			return err
		}
	}
	w.writes = append(w.writes, verb+" "+o.GetName())
	err := do()
	if w.lose {
		return errors.New("connection reset")
	}
	return err
}

// sync makes the cache show the server as it is.
func (w *world) sync() {
	ctx := context.Background()
	var rs appsv1.ReplicaSetList
	var cms corev1.ConfigMapList
	for _, step := range []error{
		w.cache.DeleteAllOf(ctx, &appsv1.ReplicaSet{}, client.InNamespace("shop")),
		w.cache.DeleteAllOf(ctx, &corev1.ConfigMap{}, client.InNamespace("shop")),
		w.server.List(ctx, &rs), w.server.List(ctx, &cms),
	} {
		if step != nil {
			w.t.Fatal(step)
		}
	}
	put := func(o client.Object) {
		if err := w.cache.(interface {
			Create(context.Context, client.Object, ...client.CreateOption) error
		}).Create(ctx, o); err != nil {
			w.t.Fatal(err)
		}
	}
	for i := range rs.Items {
		w.seen(&rs.Items[i], put)
	}
	for i := range cms.Items {
		w.seen(&cms.Items[i], put)
	}
}

// seen stores an object and remembers the version that the cache is to show for it.
func (w *world) seen(o client.Object, put func(client.Object)) {
	o.SetAnnotations(map[string]string{"version": o.GetResourceVersion()})
	o.SetResourceVersion("")
	put(o)
}

// cached reads the cache and shows the versions of the server.
type cached struct{ client.Reader }

func (c cached) Get(ctx context.Context, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	err := c.Reader.Get(ctx, k, o, opts...)
	if err == nil {
		o.SetResourceVersion(o.GetAnnotations()["version"])
		o.SetAnnotations(nil)
	}
	return err
}

func (w *world) controller() *Controller[state, step] {
	w.record.Cache = cached{w.cache}
	writer := w.record.Client(w.server)
	return &Controller[state, step]{
		Name: "test", Writer: writer, Subresource: true, Record: w.record, Events: w.recorder, Metrics: w.metrics,
		Now: func() time.Time { return w.now },
		Observe: func(ctx context.Context, k Key, _ time.Time) (state, error) {
			w.passes++
			var rs appsv1.ReplicaSet
			if err := w.record.Cache.Get(ctx, k, &rs); err != nil {
				if apierrors.IsNotFound(err) {
					return state{}, ErrGone
				}
				return state{}, err
			}
			return state{&rs}, nil
		},
		Decide: func(s state) step {
			if w.next.panics {
				panic("broken")
			}
			return w.next
		},
		Apply: func(ctx context.Context, s state, p step) error {
			var errs []error
			for _, name := range p.maps {
				var cm corev1.ConfigMap
				if w.record.Cache.Get(ctx, Key{Namespace: "shop", Name: name}, &cm) == nil {
					continue
				}
				errs = append(errs, writer.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}))
			}
			return errors.Join(append(errs, w.applyErr)...)
		},
		Explain: func(s state, p step) Outcome {
			after := s.rs.DeepCopy()
			after.Status.Replicas = p.replicas
			return Outcome{Before: s.rs, After: after, Events: p.events}
		},
	}
}

func (w *world) pass(c *Controller[state, step]) (reconcile.Result, error) {
	return c.Reconcile(context.Background(), reconcile.Request{NamespacedName: key})
}

// Covers: edge 17, outage 37, outage 39.
func TestNoPassBeforeOwnWritesAreSeen(t *testing.T) {
	w := newWorld(t)
	w.next = step{replicas: 3, maps: []string{"a"}}
	c := w.controller()
	if _, err := w.pass(c); err != nil {
		t.Fatal(err)
	}
	want := []string{"create a", "status web"}
	if d := cmp.Diff(want, w.writes); d != "" {
		t.Fatalf("writes: %s", d)
	}
	var waits []time.Duration
	for range 12 {
		r, err := w.pass(c)
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, r.RequeueAfter)
	}
	if w.passes != 1 {
		t.Fatalf("%d passes ran on stale caches", w.passes-1)
	}
	if waits[0] != soon || waits[11] != later {
		t.Errorf("waits %v, want from %v up to %v", waits, soon, later)
	}
	w.sync()
	if _, err := w.pass(c); err != nil {
		t.Fatal(err)
	}
	if w.passes != 2 || len(w.writes) != 2 {
		t.Errorf("%d passes and writes %v, want a second pass that writes nothing", w.passes, w.writes)
	}
}

func TestEveryKindOfWriteIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.next = step{maps: []string{"a"}}
	c := w.controller()
	mustPass(t, w, c)
	// The cache shows the status but not the ConfigMap.
	if w.passes != 1 {
		t.Fatal("no first pass")
	}
	mustPass(t, w, c)
	if w.passes != 1 {
		t.Error("a pass started before the created object was seen")
	}
	w.sync()
	mustPass(t, w, c)
	if w.passes != 2 {
		t.Error("no pass although everything is seen")
	}
	ctx := withWriter(context.Background(), Writer{"test", key})
	cm := &corev1.ConfigMap{}
	if err := w.server.Get(ctx, Key{Namespace: "shop", Name: "a"}, cm); err != nil {
		t.Fatal(err)
	}
	cm.UID = "1"
	w.next = step{}
	if err := c.Writer.Delete(ctx, cm); err != nil {
		t.Fatal(err)
	}
	// A cached object without that UID is another object of the same name.
	if ok, _ := w.record.Seen(ctx, Writer{"test", key}); !ok {
		t.Error("an object that was made anew hides that the old one is gone")
	}
}

func mustPass(t *testing.T, w *world, c *Controller[state, step]) {
	t.Helper()
	if _, err := w.pass(c); err != nil {
		t.Fatal(err)
	}
}

func TestDeletionIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	c := w.controller()
	ctx := withWriter(context.Background(), Writer{"test", key})
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a", UID: "1"}}
	if err := w.server.Create(ctx, cm); err != nil {
		t.Fatal(err)
	}
	w.sync()
	if err := c.Writer.Delete(ctx, cm); err != nil {
		t.Fatal(err)
	}
	if ok, err := w.record.Seen(ctx, Writer{"test", key}); ok || err != nil {
		t.Errorf("seen %v, %v while the cache still has the object", ok, err)
	}
	w.sync()
	if ok, err := w.record.Seen(ctx, Writer{"test", key}); !ok || err != nil {
		t.Errorf("seen %v, %v after the cache dropped it", ok, err)
	}
}

func TestObjectThatSomebodyDeletedIsNotWaitedForForever(t *testing.T) {
	w := newWorld(t)
	w.next = step{maps: []string{"a"}}
	c := w.controller()
	mustPass(t, w, c)
	if err := w.server.Delete(context.Background(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a"}}); err != nil {
		t.Fatal(err)
	}
	mustPass(t, w, c)
	if w.passes != 1 {
		t.Fatal("a pass started at once")
	}
	w.now = w.now.Add(vanishAfter)
	mustPass(t, w, c)
	if w.passes != 2 {
		t.Error("the deleted object is still waited for")
	}
}

func TestObjectThatLeftTheSelectorIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.next = step{maps: []string{"a"}}
	c := w.controller()
	mustPass(t, w, c)
	w.now = w.now.Add(vanishAfter)
	mustPass(t, w, c)
	if w.passes != 1 {
		t.Fatal("the cache does not show the object, but a pass ran")
	}
	sel, err := labels.Parse("mine")
	if err != nil {
		t.Fatal(err)
	}
	w.record.Selectors = map[schema.GroupKind]labels.Selector{{Kind: "ConfigMap"}: sel}
	w.next = step{}
	mustPass(t, w, c)
	if w.passes != 2 {
		t.Error("an object that the cache will never show is waited for")
	}
}

func TestLostAnswerIsLookedUp(t *testing.T) {
	w := newWorld(t)
	w.next = step{maps: []string{"a"}}
	c := w.controller()
	w.lose = true
	if _, err := w.pass(c); err == nil {
		t.Fatal("the error got lost")
	}
	w.lose = false
	if r, err := w.pass(c); err != nil || r.RequeueAfter != soon || w.passes != 1 {
		t.Fatalf("after a lost answer: %v, %v, %d passes", r, err, w.passes)
	}
	w.sync()
	mustPass(t, w, c)
	if w.passes != 2 {
		t.Error("the write is in the cache, but no pass runs")
	}
}

func TestFailureAtEveryWriteConverges(t *testing.T) {
	for n := 1; n <= 4; n++ {
		t.Run(fmt.Sprintf("write %d fails", n), func(t *testing.T) {
			w := newWorld(t)
			w.next = step{replicas: 2, maps: []string{"a", "b", "c"}}
			count := 0
			w.fail = func(string, client.Object) error {
				if count++; count == n {
					return apierrors.NewInternalError(errors.New("no"))
				}
				return nil
			}
			c := w.controller()
			if _, err := w.pass(c); err == nil {
				t.Fatal("the failure was swallowed")
			}
			for range 3 {
				w.sync()
				mustPass(t, w, c)
			}
			if len(w.writes) != 4 {
				t.Errorf("writes %v, want each once", w.writes)
			}
			var rs appsv1.ReplicaSet
			if err := w.server.Get(context.Background(), key, &rs); err != nil || rs.Status.Replicas != 2 {
				t.Errorf("status %d, %v", rs.Status.Replicas, err)
			}
		})
	}
}

// Covers: defect 34.
func TestStatusWriteIsLastAndOnce(t *testing.T) {
	w := newWorld(t)
	w.next = step{replicas: 1, maps: []string{"a"}}
	w.applyErr = errors.New("a pod is stubborn")
	c := w.controller()
	if _, err := w.pass(c); err == nil {
		t.Error("the apply error got lost")
	}
	if d := cmp.Diff([]string{"create a", "status web"}, w.writes); d != "" {
		t.Errorf("the status is written even when an action fails: %s", d)
	}
}

func TestEvents(t *testing.T) {
	e := Event{"Normal", "Done", "it is done"}
	w := newWorld(t)
	w.next = step{replicas: 1, events: []Event{e, e}}
	c := w.controller()
	w.fail = func(verb string, _ client.Object) error {
		if verb == "status" {
			return apierrors.NewConflict(schema.GroupResource{}, "web", errors.New("newer"))
		}
		return nil
	}
	r, err := w.pass(c)
	if err != nil || r.RequeueAfter != soon {
		t.Fatalf("a conflict is to be retried quietly, got %v, %v", r, err)
	}
	if len(w.recorder.Events) != 0 {
		t.Fatal("an event was told before its status was written")
	}
	w.fail = nil
	for range 3 {
		w.sync()
		mustPass(t, w, c)
	}
	if n := len(w.recorder.Events); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	if got := <-w.recorder.Events; got != "Normal Done it is done" {
		t.Errorf("event %q", got)
	}
}

// Covers: outage 39, outage 52.
func TestStatusWriteDoesNotOverrideNewerIntent(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	var rs appsv1.ReplicaSet
	if err := w.server.Get(ctx, key, &rs); err != nil {
		t.Fatal(err)
	}
	rs.Labels = map[string]string{"by": "somebody else"}
	if err := w.server.Update(ctx, &rs); err != nil {
		t.Fatal(err)
	}
	w.next = step{replicas: 4}
	c := w.controller()
	if r, err := w.pass(c); err != nil || r.RequeueAfter != soon {
		t.Fatalf("got %v, %v", r, err)
	}
	mustPass(t, w, c)
	if w.passes != 1 {
		t.Error("after a conflict a pass ran on the same stale cache")
	}
	w.sync()
	mustPass(t, w, c)
	if err := w.server.Get(ctx, key, &rs); err != nil || rs.Status.Replicas != 4 || rs.Labels["by"] == "" {
		t.Errorf("%+v, %v", rs, err)
	}
}

func TestPanicCostsOnePass(t *testing.T) {
	w := newWorld(t)
	w.next = step{panics: true}
	c := w.controller()
	if _, err := w.pass(c); err == nil {
		t.Fatal("a panic must back off")
	}
	if n := count(t, w.metrics.panics.WithLabelValues("test")); n != 1 {
		t.Errorf("%v panics counted", n)
	}
	w.next = step{}
	mustPass(t, w, c)
}

// Covers: edge 19.
func TestGoneObjectIsForgotten(t *testing.T) {
	w := newWorld(t)
	w.next = step{replicas: 1, events: []Event{{"Normal", "A", "a"}}}
	c := w.controller()
	mustPass(t, w, c)
	if err := w.server.Delete(context.Background(), &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(vanishAfter)
	c.held = map[Key]time.Time{key: w.now}
	w.sync()
	if r, err := w.pass(c); err != nil || r != (reconcile.Result{}) {
		t.Errorf("got %v, %v", r, err)
	}
	if len(c.told)+len(c.tries)+len(c.held)+len(w.record.pending) != 0 {
		t.Errorf("left behind: %v %v %v %v", c.told, c.tries, c.held, w.record.pending)
	}
}

func TestWake(t *testing.T) {
	w := newWorld(t)
	c := w.controller()
	for name, x := range map[string]struct {
		at   time.Time
		want time.Duration
	}{
		"no wish means the resync":        {time.Time{}, defaultResync},
		"a wish is kept":                  {w.now.Add(time.Minute), time.Minute},
		"a wish in the past is now":       {w.now.Add(-time.Minute), time.Millisecond},
		"the resync is the longest sleep": {w.now.Add(time.Hour), defaultResync},
	} {
		if got := c.wake(Outcome{Wake: x.at}); got != x.want {
			t.Errorf("%s: got %v, want %v", name, got, x.want)
		}
	}
}

func count(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestSecondControllerInOneProcessSharesTheSeries(t *testing.T) {
	r := prometheus.NewRegistry()
	a, err := NewMetrics(r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewMetrics(r)
	if err != nil {
		t.Fatal(err)
	}
	a.panicked("x")
	b.panicked("x")
	if n := count(t, a.panics.WithLabelValues("x")); n != 2 {
		t.Errorf("%v, want 2", n)
	}
}
