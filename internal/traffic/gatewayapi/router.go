package gatewayapi

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/traffic"
)

const (
	defaultSettle = 2 * time.Second
	defaultLag    = time.Minute
)

// Options are the settings of the router; the zero value is the default.
type Options struct {
	// Settle is how long the data plane may lag behind a write where no gateway
	// reports on the route; default 2 s.
	Settle time.Duration
	// Lag is the same where gateways do report, but not yet on the present
	// generation; default 1 min. A gateway that never reports delays a release by
	// that time, but does not stop it.
	Lag time.Duration
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
	if o.Lag == 0 {
		o.Lag = defaultLag
	}
	return &router{reader: reader, writer: writer, options: o}
}

// Observe reads the HTTPRoutes and what the gateways say about them. A rollout with
// several routes is confirmed when all are.
func (r *router) Observe(ctx context.Context, t traffic.Target) (traffic.Observation, error) {
	p := planOf(t)
	o := traffic.Observation{Settle: r.options.Settle, Problem: p.problem}
	if p.problem != "" {
		return o, nil
	}
	routes, err := r.load(ctx, p, false)
	if err != nil {
		return traffic.Observation{}, err
	}
	o.Versions, o.Confirmed = map[string]string{}, true
	var looks []traffic.Split
	var bare []int // looks at routes that take no header routes
	for _, u := range routes {
		o.Versions[p.ref(u.GetName()).String()] = u.GetResourceVersion()
		look, problem := read(u.Object, p)
		if problem == "" {
			if !p.headersOn(u.Object) && len(look.Headers) == 0 {
				bare = append(bare, len(looks))
			}
			looks = append(looks, look)
		}
		pr, refused := readStatus(u.Object, p)
		if pr == behind {
			o.Settle = max(o.Settle, r.options.Lag)
		}
		o.Confirmed = o.Confirmed && pr == followed
		for _, problem := range []string{problem, refused} {
			if o.Problem == "" {
				o.Problem = problem
			}
		}
	}
	if o.Problem == "" && len(routes) == 0 {
		o.Problem = noMatch(p)
	}
	if o.Problem != "" {
		o.Confirmed = false
	}
	if i := slices.IndexFunc(looks, func(s traffic.Split) bool { return len(s.Headers) > 0 }); i >= 0 {
		for _, b := range bare {
			looks[b].Headers = looks[i].Headers
		}
	}
	o.Written = traffic.Widest(looks...)
	return o, nil
}

func noMatch(p plan) string {
	return fmt.Sprintf("%s.httpRouteSelector: no HTTPRoute in namespace %s matches %q", path, p.routeNamespace, p.selector)
}

// Apply writes weights, backends, managed rules and the label. It checks all routes before
// it writes the first one: where one cannot carry the split, none is touched. With an error
// the returned Written lists what was written before it.
func (r *router) Apply(ctx context.Context, t traffic.Target, s traffic.Split) (traffic.Written, error) {
	p := planOf(t)
	if err := check(p, t, s); err != nil || s.IsZero() && p.problem != "" {
		return nil, err
	}
	before, err := r.load(ctx, p, s.IsZero())
	if err != nil {
		return nil, err
	}
	if len(before) == 0 && !s.IsZero() {
		return nil, errors.New(noMatch(p))
	}
	after, err := r.render(ctx, p, s, before)
	if err != nil {
		return nil, err
	}
	written := traffic.Written{}
	for i, u := range after {
		if reflect.DeepEqual(u.Object, before[i].Object) {
			continue
		}
		ref := p.ref(u.GetName())
		if err := r.writer.Update(ctx, u); err != nil {
			return written, fmt.Errorf("update %s: %w", ref, err)
		}
		written[ref.String()] = u.GetResourceVersion()
	}
	return written, nil
}

// render makes changed copies of the routes. Rules of ours that are new are shown to the
// API server first, without being stored, to see what becomes of them.
func (r *router) render(ctx context.Context, p plan, s traffic.Split, before []*unstructured.Unstructured) (after []*unstructured.Unstructured, err error) {
	routed := map[string]bool{}
	for _, old := range before {
		u := old.DeepCopy()
		names, problem := render(u.Object, p, s)
		if problem != "" {
			return nil, errors.New(problem)
		}
		for _, name := range names {
			routed[name] = true
		}
		after = append(after, u)
	}
	for _, name := range p.unrouted(s, routed) {
		return nil, fmt.Errorf("route %s/%s with the Gateway API: no request that a rule with both Services takes can match route %q", p.namespace, p.name, name)
	}
	for i, u := range after {
		if len(routed) == 0 || reflect.DeepEqual(u.Object["spec"], before[i].Object["spec"]) {
			continue
		}
		stored := u.DeepCopy()
		if err := r.writer.Update(ctx, stored, client.DryRunAll); err != nil {
			return nil, fmt.Errorf("try to update %s: %w", p.ref(u.GetName()), err)
		}
		if problem := p.settle(u.Object, stored.Object); problem != "" {
			return nil, errors.New(problem)
		}
	}
	return after, nil
}

// unrouted lists the managed routes of the split that no rule was made for.
func (p plan) unrouted(s traffic.Split, routed map[string]bool) (names []string) {
	for _, h := range s.Headers {
		if !routed[h.Name] {
			names = append(names, h.Name)
		}
	}
	for _, m := range s.Mirrors {
		if !routed[m.Name] {
			names = append(names, m.Name)
		}
	}
	return names
}

// check refuses splits that the routes cannot hold.
func check(p plan, t traffic.Target, s traffic.Split) error {
	if s.IsZero() {
		return nil
	}
	if p.problem != "" {
		return errors.New(p.problem)
	}
	problem := s.Problem(t)
	switch {
	case s.Total != p.total:
		problem = fmt.Sprintf("the weights add up to %d, but the rollout's total is %d", s.Total, p.total)
	case problem == "" && len(s.Headers) > 0 && len(p.headers) == 0:
		problem = fmt.Sprintf("route %q needs an HTTPRoute that takes header routes: set useHeaderRoutes in httpRoutes, or name the route in httpRoute", s.Headers[0].Name)
	}
	if problem != "" {
		return fmt.Errorf("route %s/%s with the Gateway API: %s", p.namespace, p.name, problem)
	}
	return nil
}

// load reads the named routes, then those that the selector finds, by name. With lenient,
// a missing route, or a cluster without the Gateway API, is left out: there is nothing of
// ours to remove.
func (r *router) load(ctx context.Context, p plan, lenient bool) ([]*unstructured.Unstructured, error) {
	var routes []*unstructured.Unstructured
	gone := func(err error) bool { return lenient && (apierrors.IsNotFound(err) || meta.IsNoMatchError(err)) }
	for _, ref := range p.routes {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(routeKind)
		err := r.reader.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, u)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("get %s: %w", ref, err)
		}
		routes = append(routes, u)
	}
	if p.selector == nil {
		return routes, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(routeKind.GroupVersion().WithKind(kindRoute + "List"))
	err := r.reader.List(ctx, list, client.InNamespace(p.routeNamespace), client.MatchingLabelsSelector{Selector: p.selector})
	if err != nil && !gone(err) {
		return nil, fmt.Errorf("list HTTPRoutes %q in namespace %s: %w", p.selector, p.routeNamespace, err)
	}
	var found []*unstructured.Unstructured
	for i := range list.Items {
		if u := &list.Items[i]; !slices.Contains(p.routes, p.ref(u.GetName())) {
			found = append(found, u)
		}
	}
	slices.SortFunc(found, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return append(routes, found...), nil
}
