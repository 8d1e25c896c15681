package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/penstock-io/penstock/sandbox/cluster"
)

// Options of Run.
type Options struct {
	// Controller is the program; Dir takes what it says.
	Controller, Dir string
	// Kills and Rollouts are how many. Releases go on until there were enough kills.
	Kills, Rollouts int
	// Seed decides what is done and when.
	Seed uint64
	// PerHost is how many requests every host gets a second.
	PerHost float64
	// Say is told what happens.
	Say func(format string, args ...any)
}

// Run needs a cluster without a controller, and leaves it with everything that it made.
func Run(ctx context.Context, c *cluster.Cluster, o Options) (r Result, err error) {
	began := time.Now()
	r = Result{Seed: o.Seed, Rollouts: o.Rollouts}
	kubeconfig, err := c.ControllerKubeconfig()
	if err != nil {
		return r, err
	}
	crew := &crew{
		program: o.Controller, kubeconfig: kubeconfig, dir: o.Dir, say: o.Say,
		random: rand.New(rand.NewPCG(o.Seed, 0)),
	}
	defer crew.stop()
	if err := crew.start(); err != nil {
		return r, err
	}
	f := newFleet(c, kinds, o)
	defer f.judge.Close()
	if err := f.create(ctx); err != nil {
		return r, fmt.Errorf("make every rollout healthy: %w", err)
	}
	users, err := arrive(ctx, f, o.PerHost)
	if err != nil {
		return r, err
	}
	defer users.leave()
	if err := storm(ctx, f, crew, o.Kills, &r); err != nil {
		return r, err
	}
	r.Wrong = append(r.Wrong, f.tidy(ctx)...)
	users.leave()
	users.count(&r)
	crew.stop()
	r.Kills, r.Leaders, r.Ended = crew.kills, crew.leaders, crew.ended
	r.Wrong = append(r.Wrong, crew.complaint...)
	r.Took = time.Since(began)
	return r, nil
}

// storm makes releases while controllers are killed. Those that are under way at the last
// kill come to their end afterwards.
func storm(ctx context.Context, f *fleet, crew *crew, kills int, r *Result) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var failed error
	over := make(chan struct{})
	go func() {
		defer close(over)
		if failed = crew.run(ctx, kills); failed != nil {
			cancel(failed)
		}
	}()
	f.run(ctx, over, r)
	cancel(errors.New("all releases have gone wrong")) // else it has ended before
	<-over
	return failed
}
