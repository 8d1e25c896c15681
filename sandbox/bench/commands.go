package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/creack/pty"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	// commandRuns are how often each command is timed.
	commandRuns = 50
	// manyPods are those of the one Rollout that is watched.
	manyPods = 200
	// watchRows and watchColumns are the terminal of a watch.
	watchRows, watchColumns = 50, 160
)

// Commands says what the command line costs its user.
type Commands struct {
	Workload string `json:"workload"`
	Rollouts int    `json:"rollouts"`
	Pods     int32  `json:"pods"`
	// Start is of a command that asks no cluster; Get of one Rollout among the others, Large of
	// the one that has the pods, List of all.
	Start Spread `json:"start_ms"`
	Get   Spread `json:"get_ms"`
	Large Spread `json:"get_large_ms"`
	List  Spread `json:"list_ms"`
	// Watch is the CPU time of a watch of the large one, in percent of a core, start included;
	// Release is that while it is released, which takes ReleaseSeconds.
	Watch          float64 `json:"watch_core_percent"`
	Release        float64 `json:"watch_release_core_percent"`
	ReleaseSeconds float64 `json:"release_seconds"`
}

// commands is workload C1. Only our controller makes what is looked at.
func (b *sandbox) commands(ctx context.Context, all []candidate, o Options, last bool) error {
	if _, err := exec.LookPath(o.Plugin); err != nil {
		return fmt.Errorf("find the plugin: %w", err)
	}
	sizes := o.Sizes
	if len(sizes) == 0 {
		sizes = Sizes(500)
	}
	for i, size := range sizes {
		size.Replicas = o.pods
		namespace := fmt.Sprintf("c1-%d", i)
		r, err := b.command(ctx, all[0], namespace, size, o)
		if err != nil {
			return fmt.Errorf("measure the command line with %d rollouts: %w", size.Rollouts, err)
		}
		if err := printJSON(o.Out, r); err != nil {
			return err
		}
		if !last || i < len(sizes)-1 {
			if err := b.clear(ctx, namespace); err != nil {
				return err
			}
		}
	}
	return nil
}

// command makes one Rollout with all the replicas, and the others with one each.
func (b *sandbox) command(ctx context.Context, c candidate, namespace string, size Size, o Options) (*Commands, error) {
	r := &Commands{Workload: "C1", Rollouts: size.Rollouts, Pods: size.Replicas}
	if err := b.namespace(ctx, namespace); err != nil {
		return nil, err
	}
	p, err := b.start(ctx, c, o)
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	ctx, cancel := p.During(ctx)
	defer cancel()
	watch, err := newProgress(b.config, namespace)
	if err != nil {
		return nil, err
	}
	go watch.follow(ctx)
	f := &fleet{client: b.client, namespace: namespace, size: size, make: func(namespace, name string, replicas int32) []client.Object {
		if name != appName(0) {
			replicas = 1
		}
		ro := basic(namespace, name, replicas)
		surge := intstr.FromString("25%")
		ro.Spec.Strategy.Canary.MaxSurge = &surge
		return []client.Object{ro}
	}}
	if err := f.create(ctx); err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	if err := await(ctx, watch, size.Rollouts); err != nil {
		return nil, fmt.Errorf("make healthy: %w", err)
	}
	fmt.Fprintf(o.Err, "C1: %d rollouts are Healthy, one with %d pods\n", size.Rollouts, size.Replicas)
	u := person{program: o.Plugin, kubeconfig: b.plane.Kubeconfig(), namespace: namespace}
	for _, t := range []struct {
		into *Spread
		args []string
	}{
		{&r.Start, []string{"version", "--client"}}, {&r.Get, []string{"get", "rollout", appName(size.Rollouts - 1)}},
		{&r.Large, []string{"get", "rollout", appName(0)}}, {&r.List, []string{"list", "rollouts"}},
	} {
		if *t.into, err = u.timed(ctx, t.args); err != nil {
			return nil, err
		}
	}
	return r, b.watched(ctx, u, f, watch, o, r)
}

// watched measures a watch of the large Rollout, first while nothing happens.
func (b *sandbox) watched(ctx context.Context, u person, f *fleet, watch *progress, o Options, r *Commands) (err error) {
	r.Watch, _, err = u.watches(ctx, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(o.Analysis.Window):
			return nil
		}
	})
	if err != nil {
		return err
	}
	var took time.Duration
	r.Release, took, err = u.watches(ctx, func(ctx context.Context) error {
		ro := &v1alpha1.Rollout{}
		ro.Namespace, ro.Name = f.namespace, appName(0)
		if err := b.client.Get(ctx, client.ObjectKeyFromObject(ro), ro); err != nil {
			return err
		}
		before := ro.Status.StableRS
		if err := b.client.Patch(ctx, ro, client.RawPatch("application/json-patch+json", []byte(newImage))); err != nil {
			return err
		}
		return b.until(ctx, phaseLimit, func() (bool, error) {
			err := b.client.Get(ctx, client.ObjectKeyFromObject(ro), ro)
			return ro.Status.Phase == v1alpha1.RolloutPhaseHealthy && ro.Status.StableRS != before, err
		})
	})
	r.ReleaseSeconds = round(took.Seconds(), 1)
	return err
}

// person types commands.
type person struct{ program, kubeconfig, namespace string }

func (u person) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, u.program, append(args, "-n", u.namespace)...)
	c.Env = append(os.Environ(), "KUBECONFIG="+u.kubeconfig, "TERM=xterm")
	return c
}

func (u person) timed(ctx context.Context, args []string) (Spread, error) {
	var all []time.Duration
	for range commandRuns {
		from := time.Now()
		if out, err := u.command(ctx, args...).CombinedOutput(); err != nil {
			return Spread{}, fmt.Errorf("%q: %w\n%s", args, err, out)
		}
		all = append(all, time.Since(from))
	}
	return spread(all), nil
}

// watches runs a watch on a terminal until something is done, and returns the share of a core
// that it used, in percent, and how long it ran.
func (u person) watches(ctx context.Context, until func(context.Context) error) (percent float64, took time.Duration, err error) {
	c := u.command(ctx, "get", "rollout", appName(0), "-w")
	from := time.Now()
	tty, err := pty.StartWithSize(c, &pty.Winsize{Rows: watchRows, Cols: watchColumns})
	if err != nil {
		return 0, 0, fmt.Errorf("start a watch: %w", err)
	}
	defer tty.Close()           //nolint:errcheck // it has been read to its end
	go io.Copy(io.Discard, tty) //nolint:errcheck // it ends with the watch
	err = until(ctx)
	took = time.Since(from)
	if _, werr := tty.Write([]byte{3}); err == nil { // ^C
		err = werr
	}
	if werr := c.Wait(); err == nil && werr != nil {
		err = fmt.Errorf("the watch: %w", werr)
	}
	if c.ProcessState == nil {
		return 0, took, err
	}
	used := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	return round(100*used.Seconds()/took.Seconds(), 2), took, err
}
