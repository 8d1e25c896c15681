package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/process"
)

const (
	// eachSource is how many measurements our controller takes of one source at a time.
	eachSource = 30
	// abortLimit bounds what is to take less than a second.
	abortLimit = 2 * time.Minute
	// rolloutName is of the one whose release goes bad.
	rolloutName = "app"
)

// Hanging says how long an abort takes while other runs wait for sources that hang.
type Hanging struct {
	Workload   string `json:"workload"`
	Controller string `json:"controller"`
	Runs       int    `json:"runs"`
	// Sources are the addresses that hang, Held the connections to them at the first release.
	Sources int `json:"sources"`
	Held    int `json:"held"`
	// From the source's bad answer until the Rollout is aborted and Degraded.
	Repeats int     `json:"repeats"`
	Median  float64 `json:"abort_ms_median"`
	Max     float64 `json:"abort_ms_max"`
}

// hangingRuns is workload A3, for our controller only: all runs wait for one address, and then
// each for its own.
func (b *sandbox) hangingRuns(ctx context.Context, all []candidate, o Options, last bool) error {
	for i, sources := range []int{1, o.Analysis.Hanging} {
		h := Hanging{Workload: "A3", Controller: all[0].name, Runs: o.Analysis.Hanging, Sources: sources, Repeats: o.Analysis.Repeats}
		namespace := fmt.Sprintf("%s-a3-%d", all[0].namespace, i)
		err := b.hang(ctx, all[0], namespace, o, &h)
		if err == nil && !(last && i == 1) {
			err = b.clear(ctx, namespace)
		}
		if err != nil {
			return fmt.Errorf("measure %s with %d analysisruns that hang on %d sources: %w", h.Controller, h.Runs, sources, err)
		}
		if err := printJSON(o.Out, h); err != nil {
			return err
		}
	}
	return nil
}

func (b *sandbox) hang(ctx context.Context, c candidate, namespace string, o Options, h *Hanging) error {
	if err := b.namespace(ctx, namespace); err != nil {
		return err
	}
	deaf, err := startDeaf(h.Sources)
	if err != nil {
		return err
	}
	defer deaf.stop()
	p, err := b.start(ctx, c, o)
	if err != nil {
		return err
	}
	defer p.Stop()
	ctx, cancel := p.During(ctx)
	defer cancel()
	err = each(h.Runs, makers, func(i int) error {
		return b.client.Create(ctx, endless(namespace, i, deaf.url(i), o.interval))
	})
	if err != nil {
		return fmt.Errorf("create hanging analysisruns: %w", err)
	}
	full := min(h.Runs, eachSource*h.Sources)
	err = b.until(ctx, phaseLimit, func() (bool, error) { h.Held = deaf.held(); return h.Held >= full, nil })
	if err != nil {
		return fmt.Errorf("%d of %d measurements hang: %w", h.Held, full, err)
	}
	fmt.Fprintf(o.Err, "A3 of %s: %d measurements hang\n", h.Controller, h.Held)
	return b.aborts(ctx, p, namespace, o, h)
}

// aborts makes releases go bad, one after the other, and fills the result.
func (b *sandbox) aborts(ctx context.Context, p *process.Process, namespace string, o Options, h *Hanging) error {
	s, err := startSource()
	if err != nil {
		return err
	}
	defer s.stop()
	watch, err := newProgress(b.config, namespace)
	if err != nil {
		return err
	}
	go watch.follow(ctx)
	profiled := profile(ctx, p, o, fmt.Sprintf("A3-%s-%d-%d", h.Controller, h.Runs, h.Sources))
	if err := b.client.Create(ctx, template(namespace, s.url)); err != nil {
		return err
	}
	if err := b.client.Create(ctx, watched(namespace, rolloutName)); err != nil {
		return err
	}
	if err := reach(ctx, watch, state.healthy); err != nil {
		return fmt.Errorf("make healthy: %w", err)
	}
	var took []time.Duration
	for i := range h.Repeats {
		d, err := b.abort(ctx, watch, s, namespace, i+2)
		if err != nil {
			return fmt.Errorf("release %d: %w", i+1, err)
		}
		fmt.Fprintf(o.Err, "release %d was aborted after %.0f ms\n", i+1, ms(d))
		took = append(took, d)
	}
	h.Median, h.Max = ms(median(took)), ms(slices.Max(took))
	return <-profiled
}

// abort makes one release, lets its source turn bad once it has answered well, and returns
// how long the abort took.
func (b *sandbox) abort(ctx context.Context, watch *progress, s *source, namespace string, version int) (time.Duration, error) {
	s.turnGood()
	before, _ := s.counts()
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: rolloutName}}
	image := fmt.Sprintf(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"registry.example/app:v%d"}]`, version)
	if err := b.client.Patch(ctx, ro, client.RawPatch(types.JSONPatchType, []byte(image))); err != nil {
		return 0, err
	}
	if err := reach(ctx, watch, func(s state) bool { return s.stands("Paused") }); err != nil {
		return 0, err
	}
	err := b.until(ctx, abortLimit, func() (bool, error) { now, _ := s.counts(); return now > before, nil })
	if err != nil {
		return 0, fmt.Errorf("wait for a measurement: %w", err)
	}
	bad := s.turnBad()
	if err := reach(ctx, watch, func(s state) bool { return s.Status.Abort && s.stands("Degraded") }); err != nil {
		return 0, err
	}
	return time.Since(<-bad), nil
}

func reach(ctx context.Context, watch *progress, wanted func(state) bool) error {
	ctx, cancel := context.WithTimeout(ctx, abortLimit)
	defer cancel()
	return watch.reach(ctx, rolloutName, wanted)
}

func ms(d time.Duration) float64 { return round(d.Seconds()*1000, 0) }

// median is the middle one, of an even number the larger of the two.
func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(all))[len(all)/2]
}
