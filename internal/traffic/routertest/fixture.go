package routertest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// Fixture is one adapter in one world.
type Fixture struct {
	// New makes the router over a reader and a writer.
	New func(reader client.Reader, writer client.Client) traffic.Router
	// Target is the rollout that the objects route for.
	Target traffic.Target
	// Objects are the objects of the world, healthy, with all traffic on stable and
	// nothing of ours in them yet, weights spelled out. They should hold foreign things of every sort:
	// labels, unknown fields, further rules and destinations.
	Objects []*unstructured.Unstructured
	// Makes are the objects that the adapter makes, by kind, namespace and name; the zero
	// split takes them away again.
	Makes []*unstructured.Unstructured
	// Mask removes from an object all that the adapter owns; what is left must never
	// change. It gets a copy.
	Mask func(*unstructured.Unstructured)
	// Drift changes an object as a person or a GitOps tool would, so that it gives
	// all to stable, or something like half and half. It gets a copy.
	Drift func(*unstructured.Unstructured)
	// Pinned says that the router pins revisions itself.
	Pinned bool
	// Total is what the weights add up to; default traffic.DefaultTotal.
	Total int32
	// Extras, Headers and Mirrors say what else of a Split the adapter carries. It has to
	// refuse the others. For managed routes the Target lists at least three.
	Extras, Headers, Mirrors bool
	// Exact says that header routes compare whole values only; the adapter has to refuse others.
	Exact bool
	// Bare says that the Objects, and what the zero split leaves, do not carry a split yet: no
	// wanted one is observed there.
	Bare bool
	// Matches are two matches of mirror routes that the adapter takes, the first of them for
	// every rule of Objects; default GET, and a path's prefix with two headers.
	Matches []v1alpha1.RouteMatch
	// Remote says that another program has the objects, and the router only asks it: it knows
	// no versions of them, and of what goes wrong there the text and whether it is a conflict.
	Remote bool
	// Shape makes other objects for the same target, shaped at random, under the rules
	// for Objects; nil where there is nothing to shape.
	Shape func(*rand.Rand) []*unstructured.Unstructured
}

// Law is one clause of the contract.
type Law struct {
	// Name is the sentence that holds.
	Name string
	// Check returns what breaks it.
	Check func(context.Context, Fixture) error
}

// Run checks every law as a subtest.
func Run(t *testing.T, f Fixture) {
	t.Helper()
	if r := f.Target.Routing; (f.Headers || f.Mirrors) && (r == nil || len(r.ManagedRoutes) < 3) {
		t.Fatal("the target of the fixture lists fewer than three managed routes")
	}
	for _, l := range Laws() {
		t.Run(l.Name, func(t *testing.T) {
			if err := l.Check(t.Context(), f); err != nil {
				t.Error(err)
			}
		})
	}
}

// world is a cluster that counts.
type world struct {
	client.WithWatch
	Fixture
	router traffic.Router
	writes int
}

// newWorld fills a cluster with the fixture's objects.
func (f Fixture) newWorld(objects ...*unstructured.Unstructured) *world {
	return f.worldOn(cluster(objects))
}

// worldOn counts what a cluster is sent.
func (f Fixture) worldOn(c client.WithWatch) *world {
	if f.Total == 0 {
		f.Total = traffic.DefaultTotal
	}
	w := &world{Fixture: f}
	w.WithWatch = interceptor.NewClient(c, w.hooks())
	w.router = f.New(w, w)
	return w
}

func cluster(objects []*unstructured.Unstructured) client.WithWatch {
	b := fake.NewClientBuilder().WithScheme(runtime.NewScheme())
	for _, u := range objects {
		b = b.WithObjects(u.DeepCopy())
	}
	return b.Build()
}

// hooks make the fake as strict about ctx as an API server, and count what it is sent.
func (w *world) hooks() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return c.Get(ctx, k, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return c.List(ctx, l, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			var options client.UpdateOptions
			if options.ApplyOptions(opts); slices.Contains(options.DryRun, metav1.DryRunAll) {
				return ctx.Err() // nothing is stored, so nothing is written
			}
			return w.count(ctx, func() error { return c.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return w.count(ctx, func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return w.count(ctx, func() error { return c.Create(ctx, o, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return w.count(ctx, func() error { return c.Delete(ctx, o, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			return w.count(ctx, func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			return w.count(ctx, func() error { return c.SubResource(sub).Patch(ctx, o, p, opts...) })
		},
	}
}

func (w *world) count(ctx context.Context, write func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.writes++
	return write()
}

// split is the split that the laws ask for.
func (w *world) split(canary int32) traffic.Split {
	stable := traffic.Destination{Service: w.Target.StableService}
	fresh := traffic.Destination{Service: w.Target.CanaryService}
	if w.Pinned {
		stable.Hash, fresh.Hash = "6f7c8d5b9", "54d6c7f8b"
	}
	return traffic.Two(w.Total, canary, stable, fresh)
}

// apply applies and checks that the answer names exactly what changed.
func (w *world) apply(ctx context.Context, s traffic.Split) (traffic.Written, error) {
	before, err := w.all(ctx)
	if err != nil {
		return nil, err
	}
	written, err := w.router.Apply(ctx, w.Target, s)
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", s, err)
	}
	after, err := w.all(ctx)
	if err != nil {
		return nil, err
	}
	some := false
	for key, u := range after {
		changed := before[key] == nil || u.GetResourceVersion() != before[key].GetResourceVersion()
		some = some || changed
		if v, listed := written[key]; !w.Remote && (listed != changed || listed && v != u.GetResourceVersion()) {
			return nil, fmt.Errorf("apply %s: %s changed: %v, has version %s; Apply answered %v", s, key, changed, u.GetResourceVersion(), written)
		}
	}
	if w.Remote && !s.IsZero() && some != (len(written) > 0) {
		return nil, fmt.Errorf("apply %s: something changed: %v; Apply answered %v", s, some, written)
	}
	return written, nil
}

// seen observes and demands the split.
func (w *world) seen(ctx context.Context, want traffic.Split) error {
	o, err := w.router.Observe(ctx, w.Target)
	switch {
	case err != nil:
		return fmt.Errorf("observe: %w", err)
	case o.Problem != "":
		return fmt.Errorf("observe: problem: %s", o.Problem)
	case !o.Written.Equal(want):
		return fmt.Errorf("observed %s, want %s", o.Written, want)
	}
	return nil
}

// all reads every object of the fixture, by its key, and those that the adapter has made.
func (w *world) all(ctx context.Context) (map[string]*unstructured.Unstructured, error) {
	all := map[string]*unstructured.Unstructured{}
	for i, o := range append(slices.Clone(w.Objects), w.Makes...) {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(o.GroupVersionKind())
		err := w.Get(ctx, client.ObjectKeyFromObject(o), u)
		if apierrors.IsNotFound(err) && i >= len(w.Objects) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[key(o)] = u
	}
	return all, nil
}

// foreign prints what is not ours in every object.
func (w *world) foreign(ctx context.Context) (map[string]string, error) {
	all, err := w.all(ctx)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for _, o := range w.Objects {
		k, u := key(o), all[key(o)]
		u.SetResourceVersion("")
		w.Mask(u)
		b, err := json.Marshal(u.Object)
		if err != nil {
			return nil, err
		}
		texts[k] = string(b)
	}
	return texts, nil
}

func key(u *unstructured.Unstructured) string {
	return traffic.Ref{Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}.String()
}
