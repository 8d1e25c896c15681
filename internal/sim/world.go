package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// Start is the moment at which every world begins.
var Start = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// Options say how a world behaves; the zero value is a kind one.
type Options struct {
	// ReadyAfter is how long a new pod takes to become available; 0 means 5 s.
	ReadyAfter time.Duration
	// Lag is how long the data plane takes to follow a write; Settle is what the
	// controller believes of it. 0 means 1 s and 2 s. A world is only honest, and the
	// laws only hold, while Lag is below Settle, as it is for a real router.
	Lag, Settle time.Duration
	// Pinned makes the router pin revisions itself, as Istio's subsets do.
	Pinned bool
	// Verifies makes the router vouch for the data plane.
	Verifies bool
	// Seed makes the world unkind: faults are drawn from it. 0 means no faults.
	Seed uint64
	// Log gets a line for every change, without a time stamp; nil for none.
	Log func(line string)
	// Tick is called at the end of every instant at which something may have happened;
	// nil for none.
	Tick func()
}

// World is everything there is, as it truly is.
type World struct {
	Options
	Now time.Time
	// Rollout is the object on the API server.
	Rollout v1alpha1.Rollout
	// Number is its revision annotation.
	Number int64

	revs     []*replicaSet
	services map[string]*service
	route    route
	plane    plane
	runs     []*run
	trials   []*trial
	// Templates are the AnalysisTemplates of the namespace.
	Templates analysis.Templates
	// Metric answers a measurement; nil means success with value 1.
	Metric func(Question) Reading
	// slow is how long pods of an image's tag take, where that differs from ReadyAfter.
	slow map[string]time.Duration

	caches caches
	// wrote are the caches of kinds that the controller wrote since they were refreshed.
	wrote [cacheRuns + 1]bool
	// catchUp is when caches that were left behind show everything.
	catchUp time.Time
	history traffic.History
	rng     *rand.Rand
	deaths  time.Time // when a pod last died by chance
	laws    []string
	wake    time.Time
	faulty  bool
	// unseen: a person has pointed a Service elsewhere, which the caches do not show yet.
	unseen bool
	// former is the strategy before the last change of it.
	former *v1alpha1.RolloutStrategy
	// stuck: the controller was seen to go round in circles.
	stuck bool
	// plan is rollout.Decide, or a mutant of it in the tests of this package.
	plan func(rollout.Snapshot) rollout.Plan
	// Events are the reasons of all Kubernetes events, in order.
	Events []string
	// Writes counts every write of the controller; Passes every look.
	Writes, Passes int
}

// Question is one measurement that is asked for.
type Question struct {
	// Metric has its args replaced; Image is that of the revision under test.
	Metric v1alpha1.Metric
	Image  string
}

// Reading is what a provider answers in the simulated world.
type Reading struct {
	Value  any
	NoData bool
	Err    string
}

// replicaSet is one revision with its pods.
type replicaSet struct {
	hash     string
	number   int64
	born     int64
	desired  int32
	pods     []pod
	retireAt time.Time
	created  time.Time
	meta     v1alpha1.PodTemplateMetadata
	// minReady is minReadySeconds; image is for the log.
	minReady int32
	image    string
	// readyAfter is the time that its pods take; negative means never.
	readyAfter time.Duration
	// goneAt is when the finalizer of a deleted one is taken off; zero when it is not deleted.
	goneAt time.Time
}

type pod struct{ readyAt, created time.Time }

// service is a Service, or a subset that a router pins, with what proxies use of it.
type service struct {
	hash    string
	managed bool
	// live is the revision that proxies reach over it; pending is on its way until at.
	live, pending string
	at            time.Time
}

// route is the route object: the shares and managed routes that it asks for. Its canary
// is the one of an empty status: with ping-pong the planner's view of it changes sides.
type route struct {
	weight  int32
	extras  []traffic.Destination
	headers []v1alpha1.SetHeaderRoute
	mirrors []v1alpha1.SetMirrorRoute
	problem string
	// stable and canary are what the subsets select, where the router pins.
	stable, canary string
}

// plane is what proxies do with the shares: they follow the route object after a while.
type plane struct {
	weight, pending int32
	at              time.Time
	// extras are an experiment's; coming are those on their way.
	extras, coming []traffic.Destination
}

type run struct {
	name    string
	kind    string
	step    int32
	hash    string
	number  int64
	created time.Time
	spec    v1alpha1.AnalysisRunSpec
	status  v1alpha1.AnalysisRunStatus
	wake    time.Time
}

// New makes a world with a Rollout that has just been applied.
func New(r v1alpha1.Rollout, o Options) *World {
	if o.ReadyAfter == 0 {
		o.ReadyAfter = 5 * time.Second
	}
	if o.Lag == 0 {
		o.Lag = time.Second
	}
	if o.Settle == 0 {
		o.Settle = 2 * time.Second
	}
	w := &World{Options: o, Now: Start, Rollout: *r.DeepCopy(), services: map[string]*service{}, plan: rollout.Decide}
	w.Rollout.Generation = 1
	if w.Rollout.Name == "" {
		w.Rollout.Name = "demo"
	}
	if o.Seed != 0 {
		w.rng, w.faulty = rand.New(rand.NewPCG(o.Seed, 1)), true
	}
	w.refresh(true)
	return w
}

func (w *World) log(format string, args ...any) {
	if w.Options.Log != nil {
		w.Options.Log(fmt.Sprintf(format, args...))
	}
}

// canary is the canary strategy; an empty one for blue-green.
func (w *World) canary() *v1alpha1.CanaryStrategy {
	if c := w.Rollout.Spec.Strategy.Canary; c != nil {
		return c
	}
	return &v1alpha1.CanaryStrategy{}
}

func (w *World) blue() bool { return w.Rollout.Spec.Strategy.BlueGreen != nil }

// routed: traffic goes to revisions one by one, by a router or by an active Service.
func (w *World) routed() bool { return w.blue() || w.canary().TrafficRouting != nil }

func (w *World) pinned() bool { return w.Pinned && !w.blue() }

// sides are the names behind the two sides of the traffic. They never change places.
func (w *World) sides() (stable, canary string) {
	if w.pinned() {
		return "subset/stable", "subset/canary"
	}
	return rollout.Roles(&w.Rollout.Spec, &v1alpha1.RolloutStatus{})
}

// flipped: with ping-pong every other release has the sides of the traffic change roles.
func (w *World) flipped(st *v1alpha1.RolloutStatus) bool {
	return w.canary().PingPong != nil && st.Canary.StablePingPong == v1alpha1.PPPing
}

// svc is the Service of a name; it has always been there.
func (w *World) svc(name string) *service {
	if w.services[name] == nil {
		w.services[name] = &service{}
	}
	return w.services[name]
}

func (w *World) replicas() int32 {
	if n := w.Rollout.Spec.Replicas; n != nil {
		return *n
	}
	return 1
}

func (w *World) rev(hash string) *replicaSet {
	for _, r := range w.revs {
		if r.hash == hash {
			return r
		}
	}
	return nil
}

// available is the number of pods that are ready for long enough.
func (r *replicaSet) available(now time.Time) (n int32) {
	if r == nil {
		return 0
	}
	for _, p := range r.pods {
		if !p.readyAt.IsZero() && !now.Before(p.readyAt.Add(time.Duration(r.minReady)*time.Second)) {
			n++
		}
	}
	return n
}

// scale makes or takes pods; those that are not ready go first, as the ReplicaSet
// controller does it.
func (w *World) scale(r *replicaSet, to int32) {
	r.desired = to
	for int32(len(r.pods)) < to {
		p := pod{created: w.Now}
		if r.readyAfter >= 0 {
			p.readyAt = w.Now.Add(r.readyAfter)
		}
		r.pods = append(r.pods, p)
	}
	for int32(len(r.pods)) > to {
		worst := 0
		for i, p := range r.pods {
			if p.readyAt.IsZero() || !r.pods[worst].readyAt.IsZero() && p.readyAt.After(r.pods[worst].readyAt) {
				worst = i
			}
			if r.pods[worst].readyAt.IsZero() {
				break
			}
		}
		r.pods = append(r.pods[:worst:worst], r.pods[worst+1:]...)
	}
}
