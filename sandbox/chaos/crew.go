package chaos

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/penstock-io/penstock/sandbox/cluster"
	"github.com/penstock-io/penstock/sandbox/process"
)

const (
	// lifeLimit is the longest that a controller lives, from its start on. It takes about a
	// second to fill its caches, so that some die before they have done anything. One that
	// waits for the Lease lives up to pairLimit.
	lifeLimit, pairLimit = 8 * time.Second, 12 * time.Second
	// turn is how many kills there are before one controller becomes two, or two one.
	turn = 3
	// leads is what a process says when it has the Lease.
	leads = "uccessfully acquired lease"
)

// electionFlags let a standby take over in four seconds instead of 15.
var electionFlags = []string{
	"--leader-elect=true", "--leader-election-lease-duration=4s",
	"--leader-election-renew-deadline=3s", "--leader-election-retry-period=500ms",
}

// crew is the controllers that run: one that never asks for the Lease, or two that take
// turns.
type crew struct {
	program, kubeconfig, dir string
	random                   *rand.Rand
	say                      func(format string, args ...any)

	alive   []*process.Process
	paired  bool
	started int

	kills     int
	leaders   int      // of them, those that had the Lease while another one stood by
	ended     int      // processes that gave up because they had lost the Lease
	complaint []string // what no controller should ever say
}

// start brings the crew up to its number.
func (c *crew) start() error {
	want, flags := 1, []string{"--leader-elect=false"}
	if c.paired {
		want, flags = 2, electionFlags
	}
	for len(c.alive) < want {
		c.started++
		p, err := process.Start(process.Options{
			Path: c.program, Kubeconfig: c.kubeconfig, Home: cluster.SystemNamespace,
			Log: filepath.Join(c.dir, fmt.Sprintf("controller-%03d.log", c.started)), Flags: flags,
		})
		if err != nil {
			return err
		}
		c.alive = append(c.alive, p)
	}
	return nil
}

// run kills and starts until there were enough kills, or ctx ends.
func (c *crew) run(ctx context.Context, kills int) error {
	for c.kills < kills {
		limit := lifeLimit
		if c.paired {
			limit = pairLimit
		}
		if err := c.live(ctx, time.Duration(c.random.Int64N(int64(limit)))); err != nil || ctx.Err() != nil {
			return err
		}
		c.strike()
		if err := c.start(); err != nil {
			return err
		}
	}
	return nil
}

// live lets time pass. One of two that has lost the Lease ends by itself, and is replaced
// as a kubelet would do it.
func (c *crew) live(ctx context.Context, span time.Duration) error {
	timer := time.NewTimer(span)
	defer timer.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			return nil
		case <-tick.C:
		}
		for i, p := range c.alive {
			select {
			case <-p.Done():
			default:
				continue
			}
			if !c.paired || !bytes.Contains(c.words(p), []byte("leader election lost")) {
				return p.Failed()
			}
			c.ended++
			c.bury(i)
			if err := c.start(); err != nil {
				return err
			}
			break
		}
	}
}

// strike kills the one that leads.
func (c *crew) strike() {
	victim, leader := c.leader()
	c.kills++
	c.say("kill %d: controller %s", c.kills, filepath.Base(c.alive[victim].Log()))
	c.alive[victim].Kill()
	c.bury(victim)
	if leader && len(c.alive) > 0 {
		c.leaders++
	}
	if c.kills%turn == 0 {
		// One without election beside one with it would be two at the same time.
		c.stop()
		c.paired = !c.paired
	}
}

// leader is the one that has the Lease, else the oldest. One that had it before has been
// killed or has ended, as nothing takes it from a process that lives.
func (c *crew) leader() (i int, leads bool) {
	for i, p := range c.alive {
		if c.paired && c.has(p) {
			return i, true
		}
	}
	return 0, false
}

func (c *crew) has(p *process.Process) bool { return bytes.Contains(c.words(p), []byte(leads)) }

func (c *crew) words(p *process.Process) []byte {
	text, err := os.ReadFile(p.Log())
	if err != nil {
		c.complaint = append(c.complaint, err.Error())
	}
	return text
}

// bury forgets one that has ended, after a look at what it said.
func (c *crew) bury(i int) {
	c.complaint = append(c.complaint, complaints(c.words(c.alive[i]))...)
	c.alive = append(c.alive[:i:i], c.alive[i+1:]...)
}

// stop kills all that live.
func (c *crew) stop() {
	for len(c.alive) > 0 {
		c.alive[0].Kill()
		c.bury(0)
	}
}

// complaints are lines that say more than that the process was killed: a crash, or a right
// that the role does not give.
func complaints(log []byte) (all []string) {
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "panic") || strings.Contains(line, "forbidden") {
			all = append(all, strings.TrimSpace(line))
		}
	}
	return all
}
