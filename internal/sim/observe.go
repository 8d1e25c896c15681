package sim

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// caches is what the controller's informers show: each kind may be behind the truth, but
// never behind the controller's own writes (L8).
type caches struct {
	rollout  v1alpha1.Rollout
	number   int64
	revs     []rollout.Revision
	services []rollout.Service
	route    route
	runs     []rollout.Run
	trials   []rollout.Experiment
}

// cache is one of the controller's caches: each catches up on its own.
type cache int

const (
	cacheRollout cache = iota
	cacheRevisions
	cacheServices
	cacheRoute
	cacheRuns
)

// refresh brings caches up to date: all of them, or a random part. A cache of a kind that
// the controller has just written is never left behind (L8).
func (w *World) refresh(all bool) {
	due := func(c cache) bool {
		must := all || w.wrote[c]
		w.wrote[c] = false
		return must || w.rng.IntN(3) > 0
	}
	if due(cacheRollout) {
		w.caches.rollout, w.caches.number = *w.Rollout.DeepCopy(), w.Number
	}
	if due(cacheRevisions) {
		w.caches.revs = w.revisions()
	}
	if due(cacheServices) {
		w.caches.services, w.unseen = w.seenServices(), false
	}
	if due(cacheRoute) {
		w.caches.route = w.route
	}
	if due(cacheRuns) {
		w.caches.runs, w.caches.trials = w.seenRuns(), w.seenTrials()
	}
}

// cacheOf is the cache that shows what an action writes.
func cacheOf(a rollout.Action) cache {
	switch a.(type) {
	case rollout.SetNumber, rollout.DefaultReplicas:
		return cacheRollout
	case rollout.SetSelector:
		return cacheServices
	case rollout.SetSplit:
		return cacheRoute
	case rollout.StartRun, rollout.StopRun, rollout.DeleteRun,
		rollout.StartExperiment, rollout.StopExperiment, rollout.DeleteExperiment:
		return cacheRuns
	}
	return cacheRevisions
}

func (w *World) revisions() []rollout.Revision {
	out := make([]rollout.Revision, 0, len(w.revs))
	for _, r := range w.revs {
		avail := r.available(w.Now)
		out = append(out, rollout.Revision{Hash: r.hash, Name: w.Rollout.Name + "-" + r.hash, Number: r.number,
			Desired: r.desired, Actual: int32(len(r.pods)), Ready: avail, Available: avail, Observed: true,
			Created: r.created, Born: r.born, RetireAt: r.retireAt, Metadata: *r.meta.DeepCopy(), MinReadySeconds: r.minReady, Deleting: !r.goneAt.IsZero()})
	}
	slices.SortStableFunc(out, func(a, b rollout.Revision) int { return int(b.Number - a.Number) })
	return out
}

func (w *World) seenServices() []rollout.Service {
	names := []string{}
	if c := w.canary(); c.PingPong != nil {
		names = append(names, c.PingPong.PingService, c.PingPong.PongService)
	} else {
		stable, canary := rollout.Roles(&w.Rollout.Spec, &w.Rollout.Status)
		names = append(names, stable, canary)
	}
	var out []rollout.Service
	for _, name := range names {
		if name != "" {
			s := w.svc(name)
			out = append(out, rollout.Service{Name: name, Exists: true, Hash: s.hash, Managed: s.managed})
		}
	}
	return out
}

// freshTrials reads those Experiments from the API server that the status lists and the
// routes do not lead to yet, as the shell does.
func (w *World) freshTrials(s *rollout.Snapshot) {
	if weights := s.Status.Canary.Weights; weights != nil && len(weights.Additional) > len(w.caches.route.extras) {
		s.Experiments = w.seenTrials()
	}
}

// seenPods are the pods, read from the API server and not from a cache.
func (w *World) seenPods() []rollout.Pod {
	pods := []rollout.Pod{}
	for _, r := range w.revs {
		for i, p := range r.pods {
			up := !p.readyAt.IsZero() && !w.Now.Before(p.readyAt.Add(time.Duration(r.minReady)*time.Second))
			pods = append(pods, rollout.Pod{Name: fmt.Sprintf("%s-%d", r.hash, i), Hash: r.hash, Created: p.created, Available: up})
		}
	}
	return pods
}

func (w *World) seenRuns() []rollout.Run {
	out := make([]rollout.Run, 0, len(w.runs))
	for _, r := range w.runs {
		if r.kind == "Experiment" {
			continue // the Experiment's own
		}
		out = append(out, rollout.Run{Name: r.name, Kind: rollout.RunKind(r.kind), Step: r.step, Hash: r.hash,
			Number: r.number, Phase: r.status.Phase, Message: r.status.Message, Terminating: r.spec.Terminate, Created: r.created})
	}
	return out
}

// split is the written split as the caches show it.
func (w *World) split(c *caches) traffic.Split {
	stable, canary := rollout.Roles(&c.rollout.Spec, &c.rollout.Status)
	st, ca := traffic.Destination{Service: stable}, traffic.Destination{Service: canary}
	if w.pinned() {
		st.Hash, ca.Hash = c.route.stable, c.route.canary
	} else {
		for _, s := range c.services {
			if s.Name == st.Service {
				st.Hash = s.Hash
			}
			if s.Name == ca.Service {
				ca.Hash = s.Hash
			}
		}
	}
	if w.blue() {
		return traffic.Two(traffic.DefaultTotal, 0, st, ca)
	}
	weight := c.route.weight
	if w.flipped(&c.rollout.Status) {
		weight = w.total() - weight
	}
	out := traffic.Two(w.total(), weight, st, ca)
	for _, x := range c.route.extras {
		out.Destinations[0].Weight -= x.Weight
		out.Destinations = append(out.Destinations, x)
	}
	out.Headers, out.Mirrors = c.route.headers, c.route.mirrors
	return out
}

func (w *World) total() int32 {
	if tr := w.canary().TrafficRouting; tr != nil && tr.MaxTrafficWeight != nil {
		return *tr.MaxTrafficWeight
	}
	return traffic.DefaultTotal
}

// snapshot is what the observer reports.
func (w *World) snapshot() rollout.Snapshot {
	c := &w.caches
	s := rollout.Snapshot{Now: w.Now, Namespace: "default", Name: w.Rollout.Name, Generation: c.rollout.Generation,
		Number: c.number, Spec: *c.rollout.Spec.DeepCopy(), Status: *c.rollout.Status.DeepCopy(),
		Revisions: slices.Clone(c.revs), Services: c.services, Routed: w.routed(), Pinned: w.pinned(), Runs: c.runs, Experiments: c.trials}
	if k := s.Spec.Strategy.Canary; k != nil {
		s.StepsHash = v1alpha1.StepHash(k.Steps)
	}
	s.TemplateHash = v1alpha1.PodTemplateHash(&s.Spec.Template, s.Status.CollisionCount)
	for i := range s.Revisions {
		s.Revisions[i].Current = s.Revisions[i].Hash == s.TemplateHash
	}
	w.freshTrials(&s)
	if rollout.RestartDue(&s.Spec, &s.Status, w.Now) {
		s.Pods = w.seenPods()
	}
	w.unsteer()
	if s.Routed {
		confirmed := w.Verifies && !w.blue() && w.planeFollows() && reflect.DeepEqual(c.route, w.route)
		w.history, s.Traffic = w.history.See(w.Now, w.split(c), confirmed, w.Settle)
		s.Traffic.Problem = c.route.problem
		s.SettledAt, s.Verifies = w.history.Settled(w.Settle), w.Verifies && !w.blue()
	} else if s.Status.Canary.Weights != nil {
		w.history, s.Traffic = w.history.See(w.Now, traffic.Split{}, false, w.Settle)
		s.SettledAt = w.history.Settled(w.Settle)
	}
	return s
}
