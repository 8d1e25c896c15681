package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// Drifts remembers what each router of each Rollout was asked for last, so that it can tell
// when somebody else has changed it, who, and for how long. Nil remembers nothing.
type Drifts struct {
	// Authors tells who wrote; nil knows nobody.
	Authors *Authors
	// Now is the clock; nil means time.Now.
	Now     func() time.Time
	seconds *prometheus.HistogramVec

	mu    sync.Mutex
	asked map[loop.Key]map[string]*asked
}

// asked is what one router was asked for.
type asked struct {
	split  traffic.Split
	pinned bool
	// versions are those of the objects when they were last as asked, before those that
	// were there until then: a cache may still show them.
	versions, before map[string]string
	// drift is the foreign change that stands now.
	drift *drift
}

// drift is a foreign change of what is ours.
type drift struct {
	object, manager string
	since           time.Time
	to              traffic.Split
}

// NewDrifts registers the series.
func NewDrifts(r prometheus.Registerer, authors *Authors) (*Drifts, error) {
	d := &Drifts{Authors: authors, seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "penstock_traffic_drift_seconds", Help: "How long foreign changes of weights and managed routes lasted, in seconds.",
		Buckets: []float64{.01, .05, .1, .5, 1, 10, 60, 600}}, []string{"router", "manager"})}
	return d, loop.Keep(r, &d.seconds)
}

// notice compares what a router sees with what it was asked for last.
func (d *Drifts) notice(s *Seen, table Routing, o traffic.Observation) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := readBack(o.Written, o.Pinned)
	was := d.entry(client.ObjectKeyFromObject(s.Rollout), table.Name)
	switch {
	case was.versions == nil:
		was.split, was.versions, was.pinned = now, o.Versions, o.Pinned
	case now.Equal(was.split):
		// What was changed may be changed back by whoever did it.
		was.versions, was.before, was.drift = o.Versions, nil, nil
	case was.drift == nil || !was.drift.to.Equal(now):
		object := was.changed(o.Versions)
		if object == "" {
			return
		}
		by := d.Authors.of(object, o.Versions[object])
		since := by.since
		switch {
		case was.drift != nil:
			since = was.drift.since
		case since.IsZero():
			since = clock(d.Now)
		}
		was.drift = &drift{object: object, manager: by.manager, since: since, to: now}
	}
}

// changed is the first object of which there is another version than ours, or none.
func (a *asked) changed(now map[string]string) (first string) {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a.versions)), maps.Keys(now))
	for _, name := range names {
		v, there := now[name]
		if ours := v == a.versions[name] || there && v == a.before[name]; !ours && (first == "" || name < first) {
			first = name
		}
	}
	return first
}

// entry is what is remembered of a router, under the lock.
func (d *Drifts) entry(key loop.Key, router string) *asked {
	if d.asked == nil {
		d.asked = map[loop.Key]map[string]*asked{}
	}
	if d.asked[key] == nil {
		d.asked[key] = map[string]*asked{}
	}
	if d.asked[key][router] == nil {
		d.asked[key][router] = &asked{}
	}
	return d.asked[key][router]
}

// wrote remembers what a router has been asked for, and returns the drift that this ended.
func (d *Drifts) wrote(key loop.Key, router string, split traffic.Split, written traffic.Written) (ended *drift, was traffic.Split) {
	if d == nil {
		return nil, was
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.entry(key, router)
	was, ended = a.split, a.drift
	if len(written) == 0 {
		ended = nil
	}
	versions := maps.Clone(a.versions)
	if versions == nil {
		versions = map[string]string{}
	}
	maps.Copy(versions, written)
	*a = asked{split: readBack(split, a.pinned), pinned: a.pinned, versions: versions, before: a.versions}
	return ended, was
}

// forget drops what is remembered of a router, "" for all of the Rollout.
func (d *Drifts) forget(key loop.Key, router string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if router == "" {
		delete(d.asked, key)
		return
	}
	delete(d.asked[key], router)
}

// mended remembers what was written through a router, and tells of the drift that this ended.
func (r *Rollouts) mended(s *Seen, table Routing, split traffic.Split, written traffic.Written) {
	ended, was := r.Drifts.wrote(client.ObjectKeyFromObject(s.Rollout), table.Name, split, written)
	if ended == nil {
		return
	}
	lasted := max(clock(r.Drifts.Now).Sub(ended.since), 0)
	r.Drifts.seconds.WithLabelValues(table.Name, ended.manager).Observe(lasted.Seconds())
	r.tell(s.Rollout, rollout.Note{Kind: rollout.Warning, Reason: rollout.TrafficDrift, Message: fmt.Sprintf(
		"%s was changed by %s: %s instead of %s; set back after %s",
		ended.object, cmp.Or(ended.manager, "somebody"), ended.to, was, lasted.Round(time.Millisecond))})
}

// readBack is a split as a router reads it back: with revisions only where it pins them.
func readBack(s traffic.Split, pinned bool) traffic.Split {
	s.Destinations = slices.Clone(s.Destinations)
	for i := range s.Destinations {
		if d := &s.Destinations[i]; !pinned || d.Role == traffic.Extra {
			d.Hash = ""
		}
	}
	return s
}
