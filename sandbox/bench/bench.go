package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/sandbox/process"
)

// Options of Run.
type Options struct {
	// Penstock is the program of our controller, Other that of one to compare with; ""
	// for none.
	Penstock, Other string
	// Plugin is the program of the command line, for C1.
	Plugin string
	// OtherFlags are further flags of the other controller.
	OtherFlags []string
	// Workloads are W1 to W4, A1 to A3, C1 and N1, in any case, "traffic" for W2 to W4, or
	// "analysis" for A1 to A3; none means W1.
	Workloads []string
	// Sizes are the runs of W1 to W4 and C1, one after the other; none means each one's own.
	Sizes []Size
	// Analysis says how much there is to do in the other workloads.
	Analysis Load
	// Profile is a directory for CPU and heap profiles of the controllers; "" takes none.
	Profile string
	// Out gets one JSON object a line, Err progress and tables.
	Out, Err io.Writer

	// These are less in tests; 0 means the constants.
	quiet, profileFor, interval time.Duration
	pods                        int32
	kills                       int
}

const (
	// phaseLimit bounds the creation of all Rollouts and their release, each.
	phaseLimit = 15 * time.Minute
	// quietFor is how long the controller must have written nothing, after everything is
	// Healthy, before its requests are counted: events come up to 10 s late.
	quietFor = 12 * time.Second
	// quietLimit is how long that is waited for.
	quietLimit = time.Minute
	// sandboxGC is how far, in percent, the sandbox's memory grows between collections.
	sandboxGC = 400
)

// candidate is one controller to measure.
type candidate struct {
	name, path string
	flags      []string
	namespace  string // what its namespaces begin with
}

// candidates are ours and, if there is one, the other.
func (o *Options) candidates() ([]candidate, error) {
	all := []candidate{{name: "penstock", path: o.Penstock, namespace: "ours"}}
	if o.Other != "" {
		other := candidate{name: filepath.Base(o.Other), path: o.Other, flags: o.OtherFlags, namespace: "other"}
		if other.name == all[0].name {
			other.name += "-other"
		}
		all = append(all, other)
	}
	for _, c := range all {
		if _, err := exec.LookPath(c.path); err != nil {
			return nil, fmt.Errorf("find the controller %s: %w", c.name, err)
		}
	}
	return all, nil
}

// Run measures every workload and prints the results.
func Run(ctx context.Context, o Options) error {
	o.quiet, o.profileFor, o.interval = cmp.Or(o.quiet, quietFor), cmp.Or(o.profileFor, profileFor), cmp.Or(o.interval, interval)
	o.pods, o.kills = cmp.Or(o.pods, manyPods), cmp.Or(o.kills, deaths)
	todo, err := workloads(o.Workloads)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(todo, func(w workload) bool { return strings.HasPrefix(w.name, "A") }) {
		if err := o.Analysis.check(); err != nil {
			return err
		}
	}
	all, err := o.candidates()
	if err != nil {
		return err
	}
	// The machine's time is for the controllers; memory it has.
	defer debug.SetGCPercent(debug.SetGCPercent(sandboxGC))
	fmt.Fprintln(o.Err, "the sandbox is starting")
	b, err := startSandbox(ctx)
	if err != nil {
		return err
	}
	defer b.stop()
	for i, w := range todo {
		if err := w.run(b, ctx, all, o, i == len(todo)-1); err != nil {
			return err
		}
	}
	return nil
}

// workload is one way to give a controller work. last leaves the cleaning up to the end of
// the sandbox.
type workload struct {
	name string
	run  func(b *sandbox, ctx context.Context, all []candidate, o Options, last bool) error
}

var known = []workload{
	{"W1", func(b *sandbox, ctx context.Context, all []candidate, o Options, last bool) error {
		return b.releases(ctx, release{"W1", []int{100, 500}, replicasOnly, state.healthy, false}, all, o, last)
	}},
	{"W2", func(b *sandbox, ctx context.Context, all []candidate, o Options, last bool) error {
		return b.routed(ctx, release{"W2", []int{100}, nil, state.healthy, false}, all, o, last)
	}},
	{"W3", func(b *sandbox, ctx context.Context, all []candidate, o Options, last bool) error {
		return b.routed(ctx, release{"W3", []int{50}, nil, state.takenBack, true}, all, o, last)
	}},
	{"W4", (*sandbox).latencies},
	{"A1", (*sandbox).finishedRuns}, {"A2", (*sandbox).runningRuns}, {"A3", (*sandbox).hangingRuns},
	{"C1", (*sandbox).commands},
	{"N1", (*sandbox).notices},
}

// groups are workloads that have a name together.
var groups = map[string][]string{"TRAFFIC": {"W2", "W3", "W4"}, "ANALYSIS": {"A1", "A2", "A3"}}

// workloads are those of the names, each once, in the order of their numbers.
func workloads(names []string) (todo []workload, err error) {
	if len(names) == 0 {
		names = []string{"W1"}
	}
	wanted := map[string]bool{}
	for _, name := range names {
		name = strings.ToUpper(strings.TrimSpace(name))
		one := slices.ContainsFunc(known, func(w workload) bool { return w.name == name })
		if !one && groups[name] == nil {
			return nil, fmt.Errorf("there is no workload %q; there are W1, W2, W3, W4, traffic, A1, A2, A3, analysis, C1 and N1", name)
		}
		for _, w := range append(groups[name], name) {
			wanted[w] = true
		}
	}
	for _, w := range known {
		if wanted[w.name] {
			todo = append(todo, w)
		}
	}
	return todo, nil
}

// release is a workload that releases a fleet at once.
type release struct {
	name  string
	sizes []int
	make  func(namespace, name string, replicas int32) []client.Object
	ended func(state) bool
	// bad: the metrics tell against it.
	bad bool
}

// releases measures a release of every size with every controller.
func (b *sandbox) releases(ctx context.Context, w release, all []candidate, o Options, last bool) error {
	sizes := o.Sizes
	if len(sizes) == 0 {
		sizes = Sizes(w.sizes...)
	}
	for i, size := range sizes {
		var results []Result
		for j, c := range all {
			last := last && i == len(sizes)-1 && j == len(all)-1
			r, err := b.measure(ctx, w, c, size, o, last)
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

// measure makes one run of a release.
func (b *sandbox) measure(ctx context.Context, w release, c candidate, size Size, o Options, last bool) (Result, error) {
	r := Result{Workload: w.name, Controller: c.name, Rollouts: size.Rollouts, Replicas: size.Replicas}
	f := &fleet{b.client, fmt.Sprintf("%s-%s-%d", c.namespace, strings.ToLower(w.name), size.Rollouts), size, w.make, w.ended}
	if err := b.namespace(ctx, f.namespace); err != nil {
		return r, err
	}
	p, err := b.start(ctx, c, o)
	if err != nil {
		return r, err
	}
	err = b.drive(ctx, p, f, &r, o)
	p.Stop()
	if err == nil && !last {
		err = b.clear(ctx, f.namespace)
	}
	return r, err
}

// start starts a controller, which does not wait for the Lease of the one before it.
func (b *sandbox) start(ctx context.Context, c candidate, o Options) (*process.Process, error) {
	if err := b.client.DeleteAllOf(ctx, &coordinationv1.Lease{}, client.InNamespace(home)); err != nil {
		return nil, fmt.Errorf("delete the lease: %w", err)
	}
	return process.Start(process.Options{
		Path: c.path, Kubeconfig: b.kubeconfig, Home: home, Log: filepath.Join(b.dir, "controller.log"),
		Profiled: o.Profile != "", Flags: c.flags,
	})
}

// drive makes all Rollouts Healthy, releases them, and fills the result.
func (b *sandbox) drive(ctx context.Context, p *process.Process, f *fleet, r *Result, o Options) error {
	ctx, cancel := p.During(ctx)
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
	if _, err := b.quiet(ctx, time.Time{}, o.quiet); err != nil {
		return err
	}
	watch.leave(f.ended)
	fmt.Fprintf(o.Err, "%s: the image of all is changed at once\n", r.Controller)
	profiled := profile(ctx, p, o, fmt.Sprintf("%s-%s-%d", r.Workload, r.Controller, r.Rollouts))
	began, before, around := time.Now(), p.CPU(), ownCPU()
	p.ForgetPeak()
	if err := f.release(ctx); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if err := await(ctx, watch, r.Rollouts); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	r.Seconds = round(time.Since(began).Seconds(), 2)
	r.CPU = round((p.CPU()-before).Seconds()*1000/float64(r.Rollouts), 2)
	r.SandboxCPU = round((ownCPU() - around).Seconds(), 2)
	r.RSS = round(p.Peak(), 1)
	t, err := b.quiet(ctx, began, o.quiet)
	r.take(t)
	r.told, err = b.told(ctx, f.namespace, began, err)
	return errors.Join(err, <-profiled, p.Trouble())
}

// told counts the events of a namespace by their reasons.
func (b *sandbox) told(ctx context.Context, namespace string, since time.Time, before error) (map[string]int, error) {
	list := &corev1.EventList{}
	if err := b.client.List(ctx, list, client.InNamespace(namespace)); before != nil || err != nil {
		return nil, errors.Join(before, err)
	}
	reasons := map[string]int{}
	for i := range list.Items {
		if e := &list.Items[i]; !e.CreationTimestamp.Time.Before(since.Truncate(time.Second)) && strings.HasSuffix(e.InvolvedObject.APIVersion, "v1alpha1") {
			reasons["event "+e.InvolvedObject.Kind+" "+e.Reason]++
		}
	}
	return reasons, nil
}

func await(ctx context.Context, watch *progress, n int) error {
	ctx, cancel := context.WithTimeout(ctx, phaseLimit)
	defer cancel()
	return watch.wait(ctx, n)
}
