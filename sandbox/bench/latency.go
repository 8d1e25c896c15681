package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/mesh"
)

const (
	// latencyRounds are how often each Rollout's route is changed, and each release goes bad.
	latencyRounds = 5
	// pausedWeight and meddledWeight are the canary's in a release, and after a foreign edit.
	pausedWeight, meddledWeight = 20, 50
	// roundLimit bounds one round.
	roundLimit = 3 * time.Minute
)

// Latency says how long a controller takes to answer, with all Rollouts asking at once.
type Latency struct {
	Workload   string `json:"workload"`
	Controller string `json:"controller"`
	Rollouts   int    `json:"rollouts"`
	// Repair is from the watch event of a foreign edit of a VirtualService until that of
	// its repair.
	Repair Spread `json:"repair_ms"`
	// Abort is from a source's first bad answer about a Rollout until the watch event of a
	// VirtualService with all weight on stable.
	Abort Spread `json:"abort_ms"`
}

// Spread is where measured times lie, in ms.
type Spread struct {
	Samples int     `json:"samples"`
	Median  float64 `json:"median"`
	P90     float64 `json:"p90"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
}

func spread(all []time.Duration) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	slices.Sort(all)
	at := func(percent int) float64 {
		return round(all[min((len(all)*percent+99)/100, len(all))-1].Seconds()*1000, 1)
	}
	return Spread{Samples: len(all), Median: at(50), P90: at(90), P99: at(99), Max: at(100)}
}

// latencies is workload W4.
func (b *sandbox) latencies(ctx context.Context, all []candidate, o Options, last bool) error {
	if err := mesh.InstallCRDs(ctx, b.config); err != nil {
		return err
	}
	sizes := o.Sizes
	if len(sizes) == 0 {
		sizes = Sizes(20, 150)
	}
	for i, size := range sizes {
		for j, c := range all {
			l := Latency{Workload: "W4", Controller: c.name, Rollouts: size.Rollouts}
			namespace := fmt.Sprintf("%s-w4-%d", c.namespace, size.Rollouts)
			err := b.latency(ctx, c, namespace, size, o, &l)
			if err == nil && !(last && i == len(sizes)-1 && j == len(all)-1) {
				err = b.clear(ctx, namespace)
			}
			if err != nil {
				return fmt.Errorf("measure latencies of %s with %d rollouts: %w", c.name, size.Rollouts, err)
			}
			if err := printJSON(o.Out, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// latency measures one controller: releases that nothing judges for the repairs, and then
// others that go bad for the aborts.
func (b *sandbox) latency(ctx context.Context, c candidate, namespace string, size Size, o Options, l *Latency) error {
	if err := b.namespace(ctx, namespace); err != nil {
		return err
	}
	p, err := b.start(ctx, c, o)
	if err != nil {
		return err
	}
	defer p.Stop()
	ctx, cancel := p.During(ctx)
	defer cancel()
	watch, err := newProgress(b.config, namespace)
	if err != nil {
		return err
	}
	routes, err := newRoutes(b.config, namespace)
	if err != nil {
		return err
	}
	go watch.follow(ctx)
	go routes.follow(ctx)
	s, err := startVerdicts()
	if err != nil {
		return err
	}
	defer s.stop()
	f := &fleet{client: b.client, namespace: namespace, size: size, make: s.pausing}
	if err := f.create(ctx); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := await(ctx, watch, size.Rollouts); err != nil {
		return fmt.Errorf("make healthy: %w", err)
	}
	profiled := profile(ctx, p, o, fmt.Sprintf("W4-%s-%d", l.Controller, l.Rollouts))
	if err := b.repairs(ctx, f, watch, routes, o, l); err != nil {
		return fmt.Errorf("repairs: %w", err)
	}
	if err := b.goBad(ctx, f, watch, routes, s, o, l); err != nil {
		return fmt.Errorf("aborts: %w", err)
	}
	return errors.Join(<-profiled, p.Trouble())
}

// repairs pauses all releases, and changes all routes, again and again.
func (b *sandbox) repairs(ctx context.Context, f *fleet, watch *progress, routes *routes, o Options, l *Latency) error {
	watch.leave(state.paused)
	if err := f.image(ctx, 2); err != nil {
		return err
	}
	if err := await(ctx, watch, f.size.Rollouts); err != nil {
		return err
	}
	var all []time.Duration
	for range latencyRounds {
		// What the change before has set in motion, such as events, is not to be measured.
		if _, err := b.quiet(ctx, time.Now(), 2*time.Second); err != nil {
			return err
		}
		took, err := routes.meddle(ctx, f)
		if err != nil {
			return err
		}
		all = append(all, took...)
	}
	l.Repair = spread(all)
	fmt.Fprintf(o.Err, "W4 of %s with %d rollouts: routes were repaired %d times\n", l.Controller, l.Rollouts, len(all))
	return nil
}

// goBad lets all releases be judged, and the metrics turn bad, again and again.
func (b *sandbox) goBad(ctx context.Context, f *fleet, watch *progress, routes *routes, s *verdicts, o Options, l *Latency) error {
	if err := f.judge(ctx); err != nil {
		return err
	}
	var all []time.Duration
	for round := range latencyRounds {
		s.turnGood()
		watch.leave(state.paused)
		if err := f.image(ctx, round+3); err != nil {
			return err
		}
		if err := await(ctx, watch, f.size.Rollouts); err != nil {
			return fmt.Errorf("release %d: %w", round+1, err)
		}
		routes.forget()
		watch.then(state.takenBack)
		s.turnBad()
		if err := await(ctx, watch, f.size.Rollouts); err != nil {
			return fmt.Errorf("release %d: %w", round+1, err)
		}
		took, err := routes.aborts(ctx, f, s)
		if err != nil {
			return err
		}
		all = append(all, took...)
		fmt.Fprintf(o.Err, "W4 of %s with %d rollouts: aborts %d of %d\n", l.Controller, l.Rollouts, round+1, latencyRounds)
	}
	l.Abort = spread(all)
	return nil
}

// pausing is a Rollout behind a VirtualService that pauses at its first step.
func (s *verdicts) pausing(namespace, name string, replicas int32) []client.Object {
	twenty := int32(pausedWeight)
	return append(behindIstio(namespace, name), s.template(namespace, name), steps(namespace, name, replicas,
		v1alpha1.CanaryStep{SetWeight: &twenty}, v1alpha1.CanaryStep{Pause: &v1alpha1.RolloutPause{}}))
}

// judge lets the metrics of each Rollout be asked in the background of its releases.
func (f *fleet) judge(ctx context.Context) error {
	return f.each(func(name string) error {
		patch := fmt.Sprintf(`{"spec":{"strategy":{"canary":{"analysis":{"templates":[{"templateName":%q}]}}}}}`, name)
		ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: name}}
		return f.client.Patch(ctx, ro, client.RawPatch(types.MergePatchType, []byte(patch)))
	})
}

// image starts a release of every Rollout.
func (f *fleet) image(ctx context.Context, version int) error {
	patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"registry.example/app:v%d"}]`, version)
	return f.each(func(name string) error {
		ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: name}}
		return f.client.Patch(ctx, ro, client.RawPatch(types.JSONPatchType, []byte(patch)))
	})
}

// routes follows the canary's weight on all VirtualServices of a namespace.
type routes struct {
	client *http.Client
	url    string

	mu sync.Mutex
	// at is when a route was first seen with a weight, since the last forget.
	at   map[string]map[int64]time.Time
	news chan struct{}
}

func newRoutes(config *rest.Config, namespace string) (*routes, error) {
	c, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("watch routes: %w", err)
	}
	return &routes{client: c, url: config.Host + "/apis/" + virtualServiceVersion + "/namespaces/" + namespace + "/virtualservices?watch=true",
		at: map[string]map[int64]time.Time{}, news: make(chan struct{}, 1)}, nil
}

// follow reads the watch until the context ends, anew when it breaks off.
func (r *routes) follow(ctx context.Context) {
	for ctx.Err() == nil {
		r.stream(ctx) //nolint:errcheck // a new watch starts with the present state
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (r *routes) stream(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return err
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // nothing to lose
	for lines := json.NewDecoder(answer.Body); ; {
		var e struct {
			Object route `json:"object"`
		}
		if err := lines.Decode(&e); err != nil {
			return err
		}
		now := time.Now()
		name, weight := e.Object.Metadata.Name, e.Object.canary()
		r.mu.Lock()
		if r.at[name] == nil {
			r.at[name] = map[int64]time.Time{}
		}
		if _, seen := r.at[name][weight]; !seen {
			r.at[name][weight] = now
		}
		r.mu.Unlock()
		select {
		case r.news <- struct{}{}:
		default:
		}
	}
}

// route is a VirtualService as far as it matters here.
type route struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		HTTP []struct {
			Route []struct {
				Destination struct {
					Host string `json:"host"`
				} `json:"destination"`
				Weight int64 `json:"weight"`
			} `json:"route"`
		} `json:"http"`
	} `json:"spec"`
}

func (r *route) canary() int64 {
	for _, h := range r.Spec.HTTP {
		for _, d := range h.Route {
			if strings.HasSuffix(d.Destination.Host, "-canary") {
				return d.Weight
			}
		}
	}
	return -1
}

func (r *routes) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.at)
}

func (r *routes) seen(name string, weight int64) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, seen := r.at[name][weight]
	return at, seen
}

// wait returns once every route of the fleet has been seen with a weight.
func (r *routes) wait(ctx context.Context, f *fleet, weight int64) error {
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	for i := 0; i < f.size.Rollouts; {
		if _, seen := r.seen(appName(i), weight); seen {
			i++
			continue
		}
		select {
		case <-r.news:
		case <-ctx.Done():
			return fmt.Errorf("the route of %s has not come to weight %d: %w", appName(i), weight, context.Cause(ctx))
		}
	}
	return nil
}

// meddle changes the weights of all routes, and returns how long each stayed so.
func (r *routes) meddle(ctx context.Context, f *fleet) (took []time.Duration, err error) {
	r.forget()
	patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/http/0/route/0/weight","value":%d},{"op":"replace","path":"/spec/http/0/route/1/weight","value":%d}]`,
		100-meddledWeight, meddledWeight)
	err = each(f.size.Rollouts, makers, func(i int) error {
		u := &unstructured.Unstructured{}
		u.SetAPIVersion(virtualServiceVersion)
		u.SetKind(virtualServiceKind)
		u.SetNamespace(f.namespace)
		u.SetName(appName(i))
		return f.client.Patch(ctx, u, client.RawPatch(types.JSONPatchType, []byte(patch)))
	})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(r.wait(ctx, f, meddledWeight), r.wait(ctx, f, pausedWeight)); err != nil {
		return nil, err
	}
	for i := range f.size.Rollouts {
		from, _ := r.seen(appName(i), meddledWeight)
		to, _ := r.seen(appName(i), pausedWeight)
		took = append(took, to.Sub(from))
	}
	return took, nil
}

// aborts returns how long it took from the first bad answer about each Rollout until its
// route had all weight on stable.
func (r *routes) aborts(ctx context.Context, f *fleet, s *verdicts) (took []time.Duration, err error) {
	if err := r.wait(ctx, f, 0); err != nil {
		return nil, err
	}
	for i := range f.size.Rollouts {
		to, _ := r.seen(appName(i), 0)
		took = append(took, to.Sub(s.told(appName(i))))
	}
	return took, nil
}
