package loop

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// vanishAfter is how long a created object may stay unseen before the API server is
// asked whether it still exists.
const vanishAfter = time.Second

// Writer is one object's pass, as the author of writes.
type Writer struct {
	Controller string
	Key        Key
}

// Record remembers what was written, until the caches show it (L8): a version check on
// the object written is not enough, since a decision rests on several objects whose
// caches catch up one by one.
//
// It is memory only. A controller that takes over the lease starts with fresh caches,
// filled after the last write of its predecessor.
type Record struct {
	// Cache is what passes read; Live is the API server.
	Cache, Live client.Reader
	// Selectors are the label selectors of the caches. An object that no longer
	// matches will never be seen there.
	Selectors map[schema.GroupKind]labels.Selector
	// Lag is told how long the caches took to show a writer's last writes; may be nil.
	Lag func(controller string, d time.Duration)
	// Now is the clock.
	Now func() time.Time

	scheme  client.Client
	mu      sync.Mutex
	pending map[Writer]map[target]want
}

// target is one written object in one representation; typed and unstructured objects
// come from different caches.
type target struct {
	kind         schema.GroupVersionKind
	key          Key
	unstructured bool
}

// want is what the cache must show.
type want struct {
	version string
	uid     types.UID
	gone    bool
	// unsure: the answer of the API server was lost, so the write may have happened.
	unsure bool
	at     time.Time
	typ    reflect.Type
}

type writerKey struct{}

func withWriter(ctx context.Context, w Writer) context.Context {
	return context.WithValue(ctx, writerKey{}, w)
}

// Client returns a client whose writes are remembered under the pass of their context.
// It refuses the bulk and apply verbs, which name no version.
func (r *Record) Client(c client.Client) client.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scheme = c
	return recording{c, r}
}

// Seen reports whether the caches show everything that the writer wrote.
func (r *Record) Seen(ctx context.Context, w Writer) (seen bool, err error) {
	r.mu.Lock()
	wants := make(map[target]want, len(r.pending[w]))
	for t, x := range r.pending[w] {
		wants[t] = x
	}
	r.mu.Unlock()
	var first time.Time
	for t, x := range wants {
		ok, err := r.shows(ctx, w, t, x)
		if err != nil || !ok {
			return false, err
		}
		if first.IsZero() || x.at.Before(first) {
			first = x.at
		}
	}
	if len(wants) > 0 && r.Lag != nil {
		r.Lag(w.Controller, r.Now().Sub(first))
	}
	r.forget(w)
	return true, nil
}

// shows reports whether the cache shows one write.
func (r *Record) shows(ctx context.Context, w Writer, t target, x want) (ok bool, err error) {
	if x.unsure {
		live := x.empty(t)
		if err := r.Live.Get(ctx, t.key, live); err != nil {
			return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
		}
		if x.gone && live.GetUID() == x.uid && live.GetDeletionTimestamp() == nil {
			return true, nil // the deletion did not happen
		}
		x.unsure, x.version = false, live.GetResourceVersion()
		r.replace(w, t, x)
	}
	obj := x.empty(t)
	err = r.Cache.Get(ctx, t.key, obj, client.UnsafeDisableDeepCopy) // it is only looked at
	switch {
	case apierrors.IsNotFound(err):
		return r.vanished(ctx, t, x)
	case err != nil:
		return false, fmt.Errorf("get %s %s: %w", t.kind.Kind, t.key, err)
	case x.gone:
		return obj.GetUID() != x.uid || obj.GetDeletionTimestamp() != nil, nil
	}
	return reached(obj.GetResourceVersion(), x.version), nil
}

// vanished decides about an object that the cache does not have: it is still to come,
// or somebody deleted it, or its labels have left the cache's selector.
func (r *Record) vanished(ctx context.Context, t target, x want) (ok bool, err error) {
	if x.gone || r.Now().Sub(x.at) < vanishAfter {
		return x.gone, nil
	}
	live := x.empty(t)
	if err := r.Live.Get(ctx, t.key, live); err != nil {
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	}
	sel := r.Selectors[t.kind.GroupKind()]
	return sel != nil && !sel.Matches(labels.Set(live.GetLabels())), nil
}

// reached compares versions of one resource; they are ordered numbers since Kubernetes
// 1.35, and were in practice before.
func reached(have, want string) bool {
	order, err := resourceversion.CompareResourceVersion(have, want)
	if err != nil {
		return have == want
	}
	return order >= 0
}

// empty makes a fresh object of the representation that was written.
func (x want) empty(t target) client.Object {
	obj := reflect.New(x.typ).Interface().(client.Object)
	if u, ok := obj.(*unstructured.Unstructured); ok {
		u.SetGroupVersionKind(t.kind)
	}
	return obj
}

// version returns the version that this pass itself gave the object, "" for none.
func (r *Record) version(ctx context.Context, obj client.Object) string {
	w, _ := ctx.Value(writerKey{}).(Writer)
	t, err := r.target(obj)
	if err != nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending[w][t].version
}

func (r *Record) target(obj client.Object) (target, error) {
	gvk, err := r.scheme.GroupVersionKindFor(obj)
	if err != nil {
		return target{}, fmt.Errorf("find the kind of %T: %w", obj, err)
	}
	_, loose := obj.(*unstructured.Unstructured)
	return target{kind: gvk, key: client.ObjectKeyFromObject(obj), unstructured: loose}, nil
}

// typeOf is the type under which the caches hold the object. What is written as mere
// metadata is held as the type of its kind.
func (r *Record) typeOf(obj client.Object, t target) reflect.Type {
	if _, bare := obj.(*metav1.PartialObjectMetadata); bare {
		if typed, err := r.scheme.Scheme().New(t.kind); err == nil {
			return reflect.TypeOf(typed).Elem()
		}
	}
	return reflect.TypeOf(obj).Elem()
}

// note remembers one write by the pass of the context. cause is what the API server
// answered. A refusal means that nothing was written, but also what the caches did not
// show: a conflict and a name that is taken, a newer version; "not found", a deletion.
// Those are waited for like own writes. Silence means that something may be written.
func (r *Record) note(ctx context.Context, obj client.Object, gone bool, cause error) {
	w, ok := ctx.Value(writerKey{}).(Writer)
	if !ok {
		return
	}
	t, err := r.target(obj)
	if err != nil {
		return
	}
	x := want{version: obj.GetResourceVersion(), uid: obj.GetUID(), gone: gone, unsure: cause != nil,
		at: r.Now(), typ: r.typeOf(obj, t)}
	switch {
	case apierrors.IsConflict(cause), apierrors.IsAlreadyExists(cause):
		x.gone = false
	case apierrors.IsNotFound(cause):
		x.gone, x.unsure = true, false
	case refused(cause):
		return
	}
	r.replace(w, t, x)
}

func refused(cause error) bool {
	var status apierrors.APIStatus
	return errors.As(cause, &status) && status.Status().Code >= 400 && status.Status().Code < 500 &&
		!apierrors.IsTimeout(cause)
}

func (r *Record) replace(w Writer, t target, x want) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending == nil {
		r.pending = map[Writer]map[target]want{}
	}
	if r.pending[w] == nil {
		r.pending[w] = map[target]want{}
	}
	r.pending[w][t] = x
}

func (r *Record) forget(w Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, w)
}
