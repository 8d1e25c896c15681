package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/penstock-io/penstock/sandbox/mesh"
)

// Words for what the load generators see and the gateway does not.
const (
	noAnswer = "no answer"
	notSent  = "not sent"
)

// busy are failures that a machine explains which stalls for seconds: clients that gave up,
// and pods that had ended before the gateway was told. They are counted and told, but are
// no problem: what a controller does wrong makes a Service, a subset or a weight lead to
// no ready pod.
var busy = map[string]bool{
	noAnswer: true, notSent: true, string(mesh.ClientLeft): true,
	string(mesh.Unreachable): true, string(mesh.NoListener): true,
}

// Result is what a run came to.
type Result struct {
	Seed                  uint64
	Kills, Leaders, Ended int // Leaders were killed while another one stood by, Ended gave up by themselves
	Rollouts              int
	Healthy, Aborted      int // ends of releases
	Requests, NoReadyPod  uint64
	// Starved are moments at which a host led to no ready pod, whether or not anybody asked.
	Starved  uint64
	Failures map[string]uint64 // all others, by what happened
	Took     time.Duration
	// Wrong are releases that did not end where they must, and what no controller should say.
	Wrong []string
}

// count notes the end of a release.
func (r *Result) count(want end, err error) {
	switch {
	case err != nil:
		r.Wrong = append(r.Wrong, err.Error())
	case want.aborted:
		r.Aborted++
	default:
		r.Healthy++
	}
}

// Problems is empty when nobody noticed anything.
func (r Result) Problems() (all []string) {
	if r.NoReadyPod > 0 {
		all = append(all, fmt.Sprintf("%d requests were answered with no ready pod", r.NoReadyPod))
	}
	if r.Starved > 0 {
		all = append(all, fmt.Sprintf("%d times a host led to no ready pod", r.Starved))
	}
	for _, what := range slices.Sorted(maps.Keys(r.Failures)) {
		if busy[what] {
			continue
		}
		all = append(all, fmt.Sprintf("%d requests failed: %s", r.Failures[what], what))
	}
	return append(all, r.Wrong...)
}

// Table is the result for people.
func (r Result) Table() string {
	var failures uint64
	var named []string
	for _, what := range slices.Sorted(maps.Keys(r.Failures)) {
		failures += r.Failures[what]
		named = append(named, fmt.Sprintf("%s %d", what, r.Failures[what]))
	}
	var b strings.Builder
	row := func(name string, value any) { fmt.Fprintf(&b, "%-24s %v\n", name, value) }
	row("seed", r.Seed)
	row("kills", fmt.Sprintf("%d, of them %d leaders with a standby", r.Kills, r.Leaders))
	row("leases lost", r.Ended)
	row("rollouts", fmt.Sprintf("%d, released %d times", r.Rollouts, r.Healthy+r.Aborted))
	row("ended Healthy", r.Healthy)
	row("ended aborted", r.Aborted)
	row("ended elsewhere", len(r.Wrong))
	row("requests", r.Requests)
	row("no ready pod", r.NoReadyPod)
	row("hosts without pods", r.Starved)
	row("other failures", strings.TrimSpace(fmt.Sprintf("%d %s", failures, strings.Join(named, ", "))))
	row("seconds", int(r.Took.Seconds()))
	return b.String()
}
