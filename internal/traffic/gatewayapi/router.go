package gatewayapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
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
	// Mapper tells which version of a kind the cluster serves; nil means the version that
	// the published router speaks.
	Mapper meta.RESTMapper
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

// Observe reads the routes and what the gateways say about them. A rollout with several
// routes is confirmed when all are.
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
	var all looks
	for _, f := range routes {
		at := f.in(p)
		o.Versions[at.title()] = f.GetResourceVersion()
		look, problem := at.read()
		if problem == "" {
			all = append(all, lookAt{place: at, Split: look})
		}
		pr, refused := at.status()
		if pr == behind {
			o.Settle = max(o.Settle, r.options.Lag)
		}
		o.Confirmed = o.Confirmed && pr == followed
		o.Problem = cmp.Or(o.Problem, problem, refused)
	}
	if len(routes) == 0 {
		o.Problem = cmp.Or(o.Problem, p.noMatch())
	}
	if o.Problem != "" {
		o.Confirmed = false
	}
	o.Written = all.joined()
	return o, nil
}

// lookAt is the split that one route makes.
type lookAt struct {
	place
	traffic.Split
}

type looks []lookAt

// joined is what the routes make together. One that does not take header or mirror routes,
// and has none, says nothing against those of the others.
func (all looks) joined() traffic.Split {
	var full traffic.Split
	for _, l := range all {
		if len(full.Headers) == 0 {
			full.Headers = l.Headers
		}
		if len(full.Mirrors) == 0 {
			full.Mirrors = l.Mirrors
		}
	}
	splits := make([]traffic.Split, 0, len(all))
	for _, l := range all {
		if !l.headers() && len(l.Headers) == 0 {
			l.Headers = full.Headers
		}
		if !l.kind.requests() && len(l.Mirrors) == 0 {
			l.Mirrors = full.Mirrors
		}
		splits = append(splits, l.Split)
	}
	return traffic.Widest(splits...)
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
		return nil, errors.New(p.noMatch())
	}
	after, err := r.render(ctx, p, s, before)
	if err != nil {
		return nil, err
	}
	written := traffic.Written{}
	for i, f := range after {
		if reflect.DeepEqual(f.Object, before[i].Object) {
			continue
		}
		title := f.in(p).title()
		if err := r.writer.Update(ctx, f.Unstructured); err != nil {
			return written, fmt.Errorf("update %s: %w", title, err)
		}
		written[title] = f.GetResourceVersion()
	}
	return written, nil
}

// render makes changed copies of the routes. Rules of ours that are new are shown to the
// API server first, without being stored, to see what becomes of them.
func (r *router) render(ctx context.Context, p plan, s traffic.Split, before []found) (after []found, err error) {
	routed := map[string]bool{}
	for _, old := range before {
		f := found{old.kind, old.DeepCopy()}
		names, problem := f.in(p).render(s)
		if problem != "" {
			return nil, errors.New(problem)
		}
		for _, name := range names {
			routed[name] = true
		}
		after = append(after, f)
	}
	for _, name := range p.unrouted(s, routed) {
		return nil, fmt.Errorf("route %s/%s with the Gateway API: no request that a rule with both Services takes can match route %q", p.namespace, p.name, name)
	}
	for i, f := range after {
		if len(routed) == 0 || !f.kind.requests() || reflect.DeepEqual(f.Object["spec"], before[i].Object["spec"]) {
			continue
		}
		stored := f.DeepCopy()
		if err := r.writer.Update(ctx, stored, client.DryRunAll); err != nil {
			return nil, fmt.Errorf("try to update %s: %w", f.in(p).title(), err)
		}
		if problem := f.in(p).settle(stored.Object); problem != "" {
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
	if s.Total != p.total {
		problem = fmt.Sprintf("the weights add up to %d, but the rollout's total is %d: see %s.maxTrafficWeight", s.Total, p.total, routing)
	}
	if problem = cmp.Or(problem, p.refuses(s)); problem != "" {
		return fmt.Errorf("route %s/%s with the Gateway API: %s", p.namespace, p.name, problem)
	}
	return nil
}

// refuses says which managed route of a split none of the target's routes carries.
func (p plan) refuses(s traffic.Split) string {
	name, what := "", "header"
	switch {
	case len(s.Headers) > 0:
		name = s.Headers[0].Name
	case len(s.Mirrors) > 0:
		name, what = s.Mirrors[0].Name, "mirror"
	default:
		return ""
	}
	var able, unable []string
	for _, k := range kinds {
		switch {
		case !slices.Contains(p.used(), k):
		case k.requests():
			able = append(able, k.section)
		default:
			unable = append(unable, k.name)
		}
	}
	switch {
	case len(able) == 0:
		return fmt.Sprintf("%s route %q cannot be set: a %s does not look at requests: name an HTTPRoute or a GRPCRoute too, or take the step out",
			what, name, words("or", unable))
	case len(s.Headers) > 0 && !slices.ContainsFunc(p.members, func(m member) bool { return m.headers && m.kind.requests() }):
		return fmt.Sprintf("route %q needs a route object that takes header routes: set useHeaderRoutes in %s, or name the object in %s",
			name, words("or", plural(able)), words("or", able))
	}
	return ""
}
