package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Options of Run.
type Options struct {
	// Penstock is the program of our controller, Other that of one to compare with; ""
	// for none.
	Penstock, Other string
	// OtherFlags are further flags of the other controller.
	OtherFlags []string
	// Sizes are the runs, one after the other.
	Sizes []Size
	// Profile is a directory for CPU and heap profiles of the controllers; "" takes none.
	Profile string
	// Out gets one JSON object a line, Err progress and tables.
	Out, Err io.Writer
}

const (
	// phaseLimit bounds the creation of all Rollouts and their release, each.
	phaseLimit = 15 * time.Minute
	// quietFor is how long the controller must have written nothing, after everything is
	// Healthy, before its requests are counted: events come late.
	quietFor = 2 * time.Second
	// quietLimit is how long that is waited for.
	quietLimit = 20 * time.Second
	// sandboxGC is how far, in percent, the sandbox's memory grows between collections.
	sandboxGC = 400
)

// candidate is one controller to measure.
type candidate struct {
	name, path string
	flags      []string
}

// Run measures every size and prints the results.
func Run(ctx context.Context, o Options) error {
	all := []candidate{{name: "penstock", path: o.Penstock}}
	if o.Other != "" {
		all = append(all, candidate{filepath.Base(o.Other), o.Other, o.OtherFlags})
	}
	// The machine's time is for the controllers; memory it has.
	defer debug.SetGCPercent(debug.SetGCPercent(sandboxGC))
	fmt.Fprintln(o.Err, "the sandbox is starting")
	b, err := startSandbox(ctx)
	if err != nil {
		return err
	}
	defer b.stop()
	for i, size := range o.Sizes {
		var results []Result
		for j, c := range all {
			last := i == len(o.Sizes)-1 && j == len(all)-1
			r, err := b.measure(ctx, c, size, o, last)
			if err != nil {
				return fmt.Errorf("measure %s with %d rollouts: %w", c.name, size.Rollouts, err)
			}
			r.table(o.Err)
			if err := printJSON(o.Out, r); err != nil {
				return err
			}
			results = append(results, r)
		}
		if len(results) == 2 {
			if err := printJSON(o.Out, compare(results[0], results[1])); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure makes one run. last leaves the cleaning up to the end of the sandbox.
func (b *sandbox) measure(ctx context.Context, c candidate, size Size, o Options, last bool) (Result, error) {
	r := Result{Workload: "W1", Controller: c.name, Rollouts: size.Rollouts, Replicas: size.Replicas}
	f := &fleet{b.client, fmt.Sprintf("w1-%d-%s", size.Rollouts, c.name), size}
	if err := b.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.namespace}}); err != nil {
		return r, err
	}
	p, err := startProcess(c.path, b.kubeconfig, b.dir, o.Profile != "", c.flags)
	if err != nil {
		return r, err
	}
	err = b.drive(ctx, p, f, &r, o)
	p.stop()
	if err == nil && !last {
		err = b.clear(ctx, f.namespace)
	}
	return r, err
}

// drive makes all Rollouts Healthy, releases them, and fills the result.
func (b *sandbox) drive(ctx context.Context, p *process, f *fleet, r *Result, o Options) error {
	ctx, cancel := p.during(ctx)
	defer cancel()
	watch, err := newProgress(b.config, f.namespace)
	if err != nil {
		return err
	}
	go watch.follow(ctx)
	fmt.Fprintf(o.Err, "%s: %d rollouts are being made Healthy\n", r.Controller, r.Rollouts)
	if err := f.create(ctx); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := await(ctx, watch, r.Rollouts); err != nil {
		return fmt.Errorf("make healthy: %w", err)
	}
	if _, err := b.quiet(ctx, time.Time{}); err != nil {
		return err
	}
	watch.leave()
	fmt.Fprintf(o.Err, "%s: the image of all is changed at once\n", r.Controller)
	profiled := profile(ctx, p, o.Profile, r)
	began, before, around := time.Now(), p.cpu(), ownCPU()
	p.forgetPeak()
	if err := f.release(ctx); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if err := await(ctx, watch, r.Rollouts); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	r.Seconds = round(time.Since(began).Seconds(), 2)
	r.CPU = round((p.cpu()-before).Seconds()*1000/float64(r.Rollouts), 2)
	r.SandboxCPU = round((ownCPU() - around).Seconds(), 2)
	r.RSS = round(p.peak(), 1)
	t, err := b.quiet(ctx, began)
	r.take(t)
	return errors.Join(err, <-profiled, p.trouble())
}

func await(ctx context.Context, watch *progress, n int) error {
	ctx, cancel := context.WithTimeout(ctx, phaseLimit)
	defer cancel()
	return watch.wait(ctx, n)
}
