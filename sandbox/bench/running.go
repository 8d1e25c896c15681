package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/process"
)

// runningRuns is workload A2: what many AnalysisRuns cost that measure.
func (b *sandbox) runningRuns(ctx context.Context, all []candidate, o Options, last bool) error {
	return windows(all, o, func(c candidate, lastOne bool) (Window, error) {
		namespace := c.namespace + "-a2"
		w, err := b.busy(ctx, c, namespace, o)
		if err == nil && !(last && lastOne) {
			err = b.clear(ctx, namespace)
		}
		return w, err
	})
}

// busy measures one controller with a source of its own, so that nobody's late questions
// are another's.
func (b *sandbox) busy(ctx context.Context, c candidate, namespace string, o Options) (Window, error) {
	w := Window{Workload: "A2", Controller: c.name, Runs: o.Analysis.Running}
	if err := b.namespace(ctx, namespace); err != nil {
		return w, err
	}
	s, err := startSource()
	if err != nil {
		return w, err
	}
	defer s.stop()
	from := time.Now()
	p, err := b.start(ctx, c, o)
	if err != nil {
		return w, err
	}
	defer p.Stop()
	ctx, cancel := p.During(ctx)
	defer cancel()
	if err := b.makeBusy(ctx, namespace, s, o); err != nil {
		return w, err
	}
	w.began(p, time.Since(from))
	before, _ := s.counts()
	if err := b.over(ctx, p, o, &w); err != nil {
		return w, err
	}
	after, _ := s.counts()
	return w, b.check(ctx, p, namespace, after-before, &w, o)
}

// makeBusy returns one interval after every run has measured: by then the burst of the
// beginning is over.
func (b *sandbox) makeBusy(ctx context.Context, namespace string, s *source, o Options) error {
	at, n := time.Now(), o.Analysis.Running
	err := each(n, makers, func(i int) error { return b.client.Create(ctx, endless(namespace, i, s.url, o.interval)) })
	if err != nil {
		return fmt.Errorf("create running analysisruns: %w", err)
	}
	fmt.Fprintf(o.Err, "%d analysisruns were made in %.0f s\n", n, time.Since(at).Seconds())
	err = b.until(ctx, phaseLimit, func() (bool, error) {
		_, askers := s.counts()
		return askers >= n, nil
	})
	if err != nil {
		_, askers := s.counts()
		return fmt.Errorf("%d of %d analysisruns have measured: %w", askers, n, err)
	}
	select {
	case <-time.After(o.interval):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// check tells what was done from what was due.
func (b *sandbox) check(ctx context.Context, p *process.Process, namespace string, asked int, w *Window, o Options) error {
	list := &v1alpha1.AnalysisRunList{}
	if err := b.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return err
	}
	w.Measured = measured(*w, asked, o.interval)
	for i := range list.Items {
		if list.Items[i].Status.Phase == v1alpha1.AnalysisPhaseRunning {
			w.StillRunning++
		}
	}
	return p.Trouble()
}

func measured(w Window, asked int, every time.Duration) *Measured {
	return &Measured{
		Measurements: asked, Due: int(math.Round(float64(w.Runs) * w.Seconds / every.Seconds())),
		WritesPerRunMinute: ratio(float64(w.Writes)*60, float64(w.Runs)*w.Seconds),
	}
}
