package chaos

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/penstock-io/penstock/sandbox/load"
	"github.com/penstock-io/penstock/sandbox/mesh"
)

// users are the load on every host, and what the gateway counted of it.
type users struct {
	gateway *mesh.Gateway
	loads   []*load.Generator
	before  mesh.Stats
	say     func(format string, args ...any)
	told    mesh.Stats // failures that were told

	mu      sync.Mutex
	starved uint64 // moments at which a request would have found no ready pod
	left    bool

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// arrive starts the load once every host answers.
func arrive(ctx context.Context, f *fleet, perHost float64) (*users, error) {
	u := &users{gateway: f.cluster.Gateway(), say: f.say}
	for _, m := range f.members {
		g, err := load.New(load.Options{URL: u.gateway.URL(), Host: m.host, RatePerSecond: perHost})
		if err != nil {
			return nil, err
		}
		u.loads = append(u.loads, g)
	}
	ctx, u.cancel = context.WithCancel(ctx)
	for i, m := range f.members {
		u.running.Go(func() { u.loads[i].Run(ctx) })
		if err := m.serves(ctx); err != nil {
			u.leave()
			return nil, fmt.Errorf("%s at first: %w", m.name, err)
		}
	}
	u.before = u.gateway.Stats()
	u.told = u.before
	u.running.Go(func() { u.watch(ctx) })
	u.gateway.OnTable(func(t *mesh.Table) {
		for _, m := range f.members {
			u.look(m.host, t.Starved(m.host))
		}
	})
	return u, nil
}

// look sees what a request at this moment would find: those of the load may just miss it.
func (u *users) look(host string, starved []string) {
	if len(starved) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.left {
		u.starved++
		u.say("STARVED: %s: %s", host, strings.Join(starved, "; "))
	}
}

// watch tells of failures while what caused them can still be seen.
func (u *users) watch(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := u.gateway.Stats()
		for k, n := range now.Since(u.told) {
			if k.Class != "2xx" {
				u.say("USERS: %d × %s of %s: service %s, subset %q, hash %s, route %s, reason %q", n, k.Class, k.Host, k.Service, k.Subset, k.Hash, k.Route, k.Reason)
			}
		}
		u.told = now
	}
}

// leave ends the load.
func (u *users) leave() {
	u.gateway.OnTable(nil)
	u.mu.Lock()
	u.left = true
	u.mu.Unlock()
	u.cancel()
	u.running.Wait()
}

// count fills the users' side of a result.
func (u *users) count(r *Result) {
	u.mu.Lock()
	r.Starved = u.starved
	u.mu.Unlock()
	seen := u.gateway.Stats().Since(u.before)
	r.Requests = seen.Total(nil)
	r.Failures = map[string]uint64{}
	for k, n := range seen {
		switch {
		case k.Class == "2xx":
		case k.Reason == mesh.NoEndpoints:
			r.NoReadyPod += n
		case k.Reason != "":
			r.Failures[string(k.Reason)] += n
		default:
			r.Failures["status "+k.Class] += n
		}
	}
	for _, g := range u.loads {
		report := g.Snapshot()
		for name, n := range map[string]uint64{noAnswer: report.ByStatus[0], notSent: report.Dropped} {
			if n > 0 {
				r.Failures[name] += n
			}
		}
	}
}
