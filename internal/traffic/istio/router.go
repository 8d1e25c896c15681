package istio

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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/traffic"
)

// defaultSettle is how long proxies may take to follow a write.
const defaultSettle = 2 * time.Second

// Options are the settings of the router; the zero value is the default.
type Options struct {
	// APIVersion is the version of networking.istio.io to speak, without the group;
	// default v1alpha3.
	APIVersion string
	// Settle is how long the proxies may lag behind a write; default 2 s.
	Settle time.Duration
}

type router struct {
	reader  client.Reader
	writer  client.Client
	options Options
}

// New makes the router. It reads through reader, which may be a cache of unstructured
// objects, and writes through writer, unstructured too (L8). An Update carries the
// resourceVersion that was read, so a foreign write in between ends in an error for
// which apierrors.IsConflict holds.
func New(reader client.Reader, writer client.Client, o Options) traffic.Router {
	if o.Settle == 0 {
		o.Settle = defaultSettle
	}
	return &router{reader: reader, writer: writer, options: o}
}

// Observe reads the VirtualServices and, in subset mode, the DestinationRule.
func (r *router) Observe(ctx context.Context, t traffic.Target) (traffic.Observation, error) {
	p := planOf(t)
	o := traffic.Observation{Pinned: p.rule != nil, Settle: r.options.Settle, Problem: p.problem}
	if p.problem != "" {
		return o, nil
	}
	objects, err := r.load(ctx, p, false)
	if err != nil {
		return traffic.Observation{}, err
	}
	o.Versions = map[string]string{}
	for ref, u := range objects {
		o.Versions[ref.String()] = u.GetResourceVersion()
	}
	o.Written, o.Problem = read(objects, p)
	return o, nil
}

// read joins what the objects say into one split.
func read(objects map[traffic.Ref]*unstructured.Unstructured, p plan) (traffic.Split, string) {
	var looks []traffic.Split
	var bare []int // looks at VirtualServices that cannot hold managed routes
	for _, s := range p.services {
		at := p.at(s.ref, objects)
		look, carries, problem := readService(objects[s.ref].Object, s, at)
		if problem != "" {
			return traffic.Split{}, problem
		}
		if !carries && len(look.Headers)+len(look.Mirrors) == 0 {
			bare = append(bare, len(looks))
		}
		looks = append(looks, look)
	}
	for i, full := range looks {
		if !slices.Contains(bare, i) {
			for _, b := range bare {
				looks[b].Headers, looks[b].Mirrors = full.Headers, full.Mirrors
			}
			break
		}
	}
	written := traffic.Widest(looks...)
	if p.rule == nil {
		return written, ""
	}
	rule := objects[p.ruleRef].Object
	at := p.at(p.ruleRef, objects)
	stable, canary, problem := readRule(rule, p)
	if problem != "" {
		return traffic.Split{}, problem
	}
	written.Destinations[0].Hash, written.Destinations[1].Hash = stable, canary
	at.readExtras(rule, &written)
	return written, ""
}

// Apply writes the weights and the hash labels. It checks all objects before it writes
// the first one: where one cannot carry the split, none is touched. With an error the
// returned Written lists what was written before it.
func (r *router) Apply(ctx context.Context, t traffic.Target, s traffic.Split) (traffic.Written, error) {
	p := planOf(t)
	remove := s.IsZero()
	if err := check(p, t, s); err != nil || remove && p.problem != "" {
		return nil, err
	}
	objects, err := r.load(ctx, p, remove)
	if err != nil {
		return nil, err
	}
	if p.openings, err = r.openings(ctx, p, objects, s); err != nil {
		return nil, err
	}
	after := map[traffic.Ref]*unstructured.Unstructured{}
	for ref, u := range objects {
		after[ref] = u.DeepCopy()
	}
	if err := render(after, p, s); err != nil {
		return nil, err
	}
	written := traffic.Written{}
	for _, ref := range p.objects() {
		u := after[ref]
		if u == nil || reflect.DeepEqual(u.Object, objects[ref].Object) {
			continue
		}
		if err := r.writer.Update(ctx, u); err != nil {
			return written, fmt.Errorf("update %s: %w", ref, err)
		}
		written[ref.String()] = u.GetResourceVersion()
	}
	return written, nil
}

// check refuses splits that Istio cannot hold.
func check(p plan, t traffic.Target, s traffic.Split) error {
	if s.IsZero() {
		return nil
	}
	if p.problem != "" {
		return errors.New(p.problem)
	}
	problem := s.Problem(t)
	if s.Total != traffic.DefaultTotal {
		problem = fmt.Sprintf("the weights add up to %d, but Istio takes parts of %d", s.Total, traffic.DefaultTotal)
	}
	if problem != "" {
		return fmt.Errorf("route %s/%s with Istio: %s", p.namespace, p.name, problem)
	}
	return nil
}

// render changes the objects, all of them copies, to carry the split. The zero Split is
// rendered on those objects that can take it.
func render(objects map[traffic.Ref]*unstructured.Unstructured, p plan, s traffic.Split) error {
	remove, held, holds := s.IsZero(), s.Held(), false
	for _, vs := range p.services {
		u := objects[vs.ref]
		if u == nil {
			continue
		}
		carries, problem := renderService(u.Object, vs, p.at(vs.ref, objects), held)
		if problem != "" && !remove {
			return errors.New(problem)
		}
		holds = holds || carries
	}
	if !holds && len(s.Headers)+len(s.Mirrors) > 0 {
		return fmt.Errorf("route %s/%s with Istio: managed routes need an HTTP route that carries the weights, and no VirtualService has one", p.namespace, p.name)
	}
	u := objects[p.ruleRef]
	if p.rule == nil || u == nil {
		return nil
	}
	if remove {
		if owner := annotation(u.Object); owner != "" && owner != p.name {
			return nil // another rollout's by now
		}
	} else if _, _, problem := readRule(u.Object, p); problem != "" {
		return errors.New(problem)
	}
	return renderRule(u.Object, p.at(p.ruleRef, objects), held, remove)
}

// at is the place of one object.
func (p plan) at(ref traffic.Ref, objects map[traffic.Ref]*unstructured.Unstructured) place {
	at := place{plan: p, namespace: ref.Namespace}
	if u := objects[p.ruleRef]; u != nil {
		at.ruleHost = ruleHost(u.Object, p.namespace)
	}
	if u := objects[ref]; u != nil {
		at.claimed = traffic.ClaimOn(u.Object, p.key()).Extras
	}
	return at
}

// load reads every object of the plan once. With lenient, a missing object, or a cluster
// without Istio, is left out: there is nothing of ours to remove.
func (r *router) load(ctx context.Context, p plan, lenient bool) (map[traffic.Ref]*unstructured.Unstructured, error) {
	objects := map[traffic.Ref]*unstructured.Unstructured{}
	for _, ref := range p.objects() {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(r.options.kind(ref.Kind))
		err := r.reader.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, u)
		if lenient && (apierrors.IsNotFound(err) || meta.IsNoMatchError(err)) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("get %s: %w", ref, err)
		}
		objects[ref] = u
	}
	return objects, nil
}
