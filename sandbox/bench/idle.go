package bench

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-io/penstock/sandbox/process"
)

const (
	// calmFor is how long a controller must have used at most calmCores to have settled.
	calmFor   = 5 * time.Second
	calmCores = .05
	// settleLimit is how long that is waited for.
	settleLimit = 2 * time.Minute
)

// finishedRuns is workload A1: what many AnalysisRuns cost that are over.
func (b *sandbox) finishedRuns(ctx context.Context, all []candidate, o Options, last bool) error {
	const namespace = "a1"
	if err := b.namespace(ctx, namespace); err != nil {
		return err
	}
	at := time.Now()
	err := each(o.Analysis.Finished, makers, func(i int) error { return b.client.Create(ctx, finished(namespace, i, at)) })
	if err != nil {
		return fmt.Errorf("create finished analysisruns: %w", err)
	}
	fmt.Fprintf(o.Err, "%d finished analysisruns were made in %.0f s\n", o.Analysis.Finished, time.Since(at).Seconds())
	// Nobody has a reason to change them, so that all controllers find the same.
	err = windows(all, o, func(c candidate, _ bool) (Window, error) { return b.rest(ctx, c, o) })
	if err == nil && !last {
		err = b.clear(ctx, namespace)
	}
	return err
}

// rest starts a controller where there is nothing to do.
func (b *sandbox) rest(ctx context.Context, c candidate, o Options) (Window, error) {
	w := Window{Workload: "A1", Controller: c.name, Runs: o.Analysis.Finished}
	from := time.Now()
	p, err := b.start(ctx, c, o)
	if err != nil {
		return w, err
	}
	defer p.Stop()
	ctx, cancel := p.During(ctx)
	defer cancel()
	took, err := b.settle(ctx, p, from)
	if err != nil {
		return w, err
	}
	w.began(p, took)
	return w, b.over(ctx, p, o, &w)
}

// settle waits until a controller follows the AnalysisRuns and rests, and returns how long
// it was busy.
func (b *sandbox) settle(ctx context.Context, p *process.Process, from time.Time) (time.Duration, error) {
	var use usage
	err := b.until(ctx, settleLimit, func() (bool, error) {
		use = append(use, sample{time.Since(from), p.CPU()})
		err := b.log.read()
		return use.calm() && b.log.since(from).names["watch analysisruns"] > 0, err
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		err = nil // one that never rests is measured all the same
	}
	return use.busy(), err
}

// sample is the CPU time that a process has used at a time after its start.
type sample struct{ at, cpu time.Duration }

// usage are samples in the order of time.
type usage []sample

// calm reports whether little was used in the last calmFor.
func (u usage) calm() bool {
	for i := len(u) - 1; i >= 0; i-- {
		last := u[len(u)-1]
		if past := last.at - u[i].at; past >= calmFor {
			return (last.cpu - u[i].cpu).Seconds() <= calmCores*past.Seconds()
		}
	}
	return false
}

// busy is how long it took to use nearly all of what was used.
func (u usage) busy() time.Duration {
	for _, s := range u {
		if float64(s.cpu) >= .95*float64(u[len(u)-1].cpu) {
			return s.at
		}
	}
	return 0
}
