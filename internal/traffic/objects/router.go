package objects

import (
	"context"
	"errors"
	"fmt"
	"reflect"
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

// Plan is a Target, looked at by one router.
type Plan struct {
	// By is how messages name the router: "with Traefik".
	By string
	// Problem says why the section of the Rollout cannot be used, with its path.
	Problem string
	// Kind and Refs are the objects, without doubles.
	Kind schema.GroupVersionKind
	Refs []traffic.Ref
	// Total is what the weights add up to.
	Total int32
	// Read tells which split an object makes, without a hash, and changes nothing. The
	// problem says why it makes none, with the mend.
	Read func(object map[string]any) (s traffic.Split, problem string)
	// Render writes a split into an object, in place; it is the caller's own copy. The split
	// is in range and never zero: for the zero Split it is asked for everything on stable,
	// with remove set, and does what the object lets it.
	Render func(object map[string]any, s traffic.Split, remove bool) (problem string)
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

// Observe implements traffic.Router.
func (r *Router) Observe(ctx context.Context, t traffic.Target) (traffic.Observation, error) {
	p := r.plan(t)
	o := traffic.Observation{Settle: r.settle, Problem: p.Problem}
	if p.Problem != "" {
		return o, nil
	}
	list, err := r.load(ctx, p, false)
	if err != nil {
		return traffic.Observation{}, err
	}
	o.Versions = map[string]string{}
	var looks []traffic.Split
	for i, u := range list {
		o.Versions[p.Refs[i].String()] = u.GetResourceVersion()
		look, problem := p.Read(u.Object)
		if problem != "" {
			o.Problem = p.Refs[i].String() + ": " + problem
			return o, nil
		}
		looks = append(looks, look)
	}
	o.Written = traffic.Widest(looks...)
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
	before, err := r.load(ctx, p, remove)
	if err != nil {
		return nil, err
	}
	after := make([]*unstructured.Unstructured, len(before))
	for i, u := range before {
		after[i] = u.DeepCopy()
		if problem := p.Render(after[i].Object, s.Held(), remove); problem != "" {
			return nil, errors.New(ref(u) + ": " + problem)
		}
	}
	written := traffic.Written{}
	for i, u := range after {
		if reflect.DeepEqual(u.Object, before[i].Object) {
			continue
		}
		if err := r.writer.Update(ctx, u); err != nil {
			return written, fmt.Errorf("update %s: %w", ref(u), err)
		}
		written[ref(u)] = u.GetResourceVersion()
	}
	return written, nil
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

// load reads the objects. With lenient, one that is missing, or of a kind that the cluster
// does not serve, is left out: there is nothing of ours to remove.
func (r *Router) load(ctx context.Context, p Plan, lenient bool) (list []*unstructured.Unstructured, err error) {
	for _, at := range p.Refs {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(p.Kind)
		err := r.reader.Get(ctx, client.ObjectKey{Namespace: at.Namespace, Name: at.Name}, u)
		if lenient && (apierrors.IsNotFound(err) || meta.IsNoMatchError(err)) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("get %s: %w", at, err)
		}
		list = append(list, u)
	}
	return list, nil
}

func ref(u *unstructured.Unstructured) string {
	return traffic.Ref{Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}.String()
}

// WeightsOnly is a Refuse for routers that carry weights of stable and canary and nothing
// else.
func WeightsOnly(s traffic.Split) string {
	switch {
	case len(s.Extras()) > 0:
		return fmt.Sprintf("the destination %q of an experiment cannot be given a weight", s.Extras()[0].Service)
	case len(s.Headers) > 0:
		return fmt.Sprintf("header route %q cannot be set", s.Headers[0].Name)
	case len(s.Mirrors) > 0:
		return fmt.Sprintf("mirror route %q cannot be set", s.Mirrors[0].Name)
	}
	return ""
}

// Two checks what a router needs that tells stable and canary apart by their Services.
func Two(t traffic.Target) (problem string) {
	switch {
	case t.StableService == "" || t.CanaryService == "":
		return "Canary service and Stable service must to be set to use Traffic Routing"
	case t.StableService == t.CanaryService:
		return "This rollout uses the same service for the stable and canary services, but two different services are required."
	}
	return ""
}

// Entries are the maps of a decoded JSON list; what is no map is left out.
func Entries(list any) (out []map[string]any) {
	all, _ := list.([]any)
	for _, e := range all {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// Give writes a weight where it differs.
func Give(entry map[string]any, key string, weight int32) {
	if parts, exact := traffic.Parts(entry[key]); !exact || parts != int64(weight) {
		entry[key] = int64(weight)
	}
}
