package objects

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/traffic"
)

// DefaultSettle is how long a data plane that does not report may take to follow a write.
const DefaultSettle = 2 * time.Second

// Object is one that a router reads, and may write.
type Object struct {
	Kind            schema.GroupVersionKind
	Namespace, Name string
	// Made is for an object that the router makes, and takes away again: it may be missing.
	Made bool
	// Lost is how an error begins that says that it cannot be read; "" for nothing special.
	Lost string
}

// Ref is the object's name for the rest of the house.
func (o Object) Ref() traffic.Ref {
	return traffic.Ref{Group: o.Kind.Group, Kind: o.Kind.Kind, Namespace: o.Namespace, Name: o.Name}
}

// Plan is a Target, looked at by one router.
type Plan struct {
	// By is how messages name the router: "with Traefik".
	By string
	// Problem says why the section of the Rollout cannot be used, with its path.
	Problem string
	// Objects are those of the target, without doubles.
	Objects []Object
	// More are further objects, which those of Objects name: it gets these as they are, in
	// their order, nil where one is missing. The problem says why it cannot be told; nil for
	// none. In Read and Render they come after the others.
	More func(have []map[string]any) (list []Object, problem string)
	// Pinned says that Read tells revisions too, because the router pins them itself.
	Pinned bool
	// Total is what the weights add up to.
	Total int32
	// Read tells which split the objects make, without hashes, and changes nothing. They are
	// in the order of Objects, nil where one is missing that is Made. The problem says why
	// they make none, with the mend.
	Read func(have []map[string]any) (s traffic.Split, problem string)
	// Render writes a split into the objects, in place; they are the caller's own copies. It
	// may put an object in the place of a missing one that is Made, and nil in the place of
	// such a one to delete it. The split is in range and never zero: for the zero Split
	// everything is on stable and remove is set; then any object may be missing, and Render
	// does what the others let it.
	Render func(have []map[string]any, s traffic.Split, remove bool) (problem string)
	// Prove says what is known beside the split that was read, which has no problem; nil for
	// nothing. It must not block.
	Prove func(o *traffic.Observation, have []map[string]any)
	// Refuse says what a split has that the router cannot carry; "" for nothing.
	Refuse func(s traffic.Split) string
}

// Router is a traffic.Router by Plans.
type Router struct {
	reader client.Reader
	writer client.Client
	plan   func(traffic.Target) Plan
	settle time.Duration
}

// New makes the router. It reads through reader, which may be a cache of unstructured
// objects, and writes through writer, unstructured too (L8). An Update carries the
// resourceVersion that was read, so a foreign write in between ends in an error for
// which apierrors.IsConflict holds. A settle of 0 means DefaultSettle.
func New(reader client.Reader, writer client.Client, plan func(traffic.Target) Plan, settle time.Duration) *Router {
	if settle == 0 {
		settle = DefaultSettle
	}
	return &Router{reader: reader, writer: writer, plan: plan, settle: settle}
}

// Refs lists the objects of a plan.
func (p Plan) Refs() (list []traffic.Ref) {
	for _, o := range p.Objects {
		list = append(list, o.Ref())
	}
	return list
}

// Observe implements traffic.Router.
func (r *Router) Observe(ctx context.Context, t traffic.Target) (traffic.Observation, error) {
	p := r.plan(t)
	o := traffic.Observation{Settle: r.settle, Problem: p.Problem}
	if p.Problem != "" {
		return o, nil
	}
	o.Pinned = p.Pinned
	have, problem, err := r.load(ctx, &p, false)
	if err != nil {
		return traffic.Observation{}, err
	}
	if o.Problem = problem; problem != "" {
		return o, nil
	}
	o.Versions = map[string]string{}
	for i, u := range have {
		if u != nil {
			o.Versions[p.Objects[i].Ref().String()] = u.GetResourceVersion()
		}
	}
	o.Written, o.Problem = p.Read(maps(have))
	if o.Problem == "" && p.Prove != nil {
		p.Prove(&o, maps(have))
	}
	return o, nil
}

// Apply implements traffic.Router. It renders all objects before it writes the first one:
// where one cannot carry the split, none is touched. With an error the returned Written
// lists what was written before it.
func (r *Router) Apply(ctx context.Context, t traffic.Target, s traffic.Split) (traffic.Written, error) {
	p := r.plan(t)
	remove := s.IsZero()
	switch {
	case remove && p.Problem != "":
		return nil, nil
	case remove:
		s = traffic.Two(p.Total, 0, traffic.Destination{}, traffic.Destination{})
	default:
		if problem := p.refuses(t, s); problem != "" {
			return nil, fmt.Errorf("route %s/%s %s: %s", t.Namespace, t.Name, p.By, problem)
		}
	}
	before, problem, err := r.load(ctx, &p, remove)
	switch {
	case err != nil:
		return nil, err
	case problem != "" && remove:
		return nil, nil // nothing can be ours that cannot be found
	case problem != "":
		return nil, errors.New(problem)
	}
	after := maps(before)
	for i, u := range before {
		if u != nil {
			after[i] = u.DeepCopy().Object
		}
	}
	if problem := p.Render(after, s.Held(), remove); problem != "" {
		return nil, errors.New(problem)
	}
	written := traffic.Written{}
	for i, old := range before {
		if err := r.write(ctx, p.Objects[i].Ref().String(), old, after[i], written); err != nil {
			return written, err
		}
	}
	return written, nil
}

// write makes one object what it should be.
func (r *Router) write(ctx context.Context, name string, old *unstructured.Unstructured, object map[string]any, written traffic.Written) error {
	u := &unstructured.Unstructured{Object: object}
	switch {
	case old == nil && object == nil, old != nil && reflect.DeepEqual(old.Object, object):
		return nil
	case old == nil:
		if err := r.writer.Create(ctx, u); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	case object == nil:
		version := old.GetResourceVersion()
		if err := r.writer.Delete(ctx, old, client.Preconditions{ResourceVersion: &version}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete %s: %w", name, err)
		}
		return nil
	default:
		if err := r.writer.Update(ctx, u); err != nil {
			return fmt.Errorf("update %s: %w", name, err)
		}
	}
	written[name] = u.GetResourceVersion()
	return nil
}

// refuses says why the split cannot be written.
func (p Plan) refuses(t traffic.Target, s traffic.Split) string {
	switch problem := s.Problem(t); {
	case p.Problem != "":
		return p.Problem
	case s.Total != p.Total:
		return fmt.Sprintf("the weights add up to %d, but the rollout's total is %d", s.Total, p.Total)
	case problem != "":
		return problem
	}
	return p.Refuse(s)
}

// load reads the objects, and those that they name, which it adds to the plan. One that is
// Made may be missing, and so may all with lenient, or be of a kind that the cluster does not
// serve: there is nothing of ours to remove.
func (r *Router) load(ctx context.Context, p *Plan, lenient bool) (list []*unstructured.Unstructured, problem string, err error) {
	if list, err = r.get(ctx, p.Objects, lenient); err != nil || p.More == nil {
		return list, "", err
	}
	more, problem := p.More(maps(list))
	if problem != "" {
		return nil, problem, nil
	}
	rest, err := r.get(ctx, more, lenient)
	p.Objects = append(slices.Clone(p.Objects), more...)
	return append(list, rest...), "", err
}

func (r *Router) get(ctx context.Context, objects []Object, lenient bool) ([]*unstructured.Unstructured, error) {
	list := make([]*unstructured.Unstructured, len(objects))
	for i, at := range objects {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(at.Kind)
		err := r.reader.Get(ctx, client.ObjectKey{Namespace: at.Namespace, Name: at.Name}, u)
		if (lenient || at.Made) && apierrors.IsNotFound(err) || lenient && meta.IsNoMatchError(err) {
			continue
		}
		if err != nil && at.Lost != "" {
			return nil, fmt.Errorf("%s: get %s: %w", at.Lost, at.Ref(), err)
		}
		if err != nil {
			return nil, fmt.Errorf("get %s: %w", at.Ref(), err)
		}
		list[i] = u
	}
	return list, nil
}

// maps are the objects' own maps, nil for one that is missing.
func maps(list []*unstructured.Unstructured) []map[string]any {
	out := make([]map[string]any, len(list))
	for i, u := range list {
		if u != nil {
			out[i] = u.Object
		}
	}
	return out
}
