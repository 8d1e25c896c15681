package traffic

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Target names what a router works on: one rollout's traffic section.
type Target struct {
	// Namespace and Name are the Rollout's.
	Namespace, Name string
	// UID is the Rollout's, for what a router makes and the Rollout owns.
	UID types.UID
	// StableService and CanaryService are the Services of the two roles now, which change
	// places with ping-pong; empty with routers that address subsets.
	StableService, CanaryService string
	// Rollout is the whole of it, for programs of others that are told of it; nil where there
	// are none. Read only.
	Rollout *v1alpha1.Rollout
	// Routing is the rollout's spec.strategy.canary.trafficRouting. Read only.
	Routing *v1alpha1.RolloutTrafficRouting
}

// Observation is one look of a router at its objects.
type Observation struct {
	// Written is the split that the objects ask for. A destination's Hash is filled
	// only where the router itself pins revisions (Istio subsets); elsewhere the
	// Service selectors do, and the observer of the rollout fills it in.
	Written Split
	// Pinned says that the router pins revisions itself.
	Pinned bool
	// Confirmed is true only when the router has proof that the data plane follows
	// Written. A router that cannot know says false and states a Settle time.
	Confirmed bool
	// Settle is how long after a write the data plane may lag behind; it counts
	// where Confirmed is false.
	Settle time.Duration
	// Problem is set when the objects are there but cannot carry the split: a missing
	// route name, a missing destination. One sentence, with the object and the mend.
	Problem string
	// Versions are the resourceVersions of the objects read, by "Kind/namespace/name":
	// the loop waits until its caches show its own writes.
	Versions map[string]string
	// ALBs are the load balancers of AWS that a verifying router has found; nil where it has
	// found none yet, or is not one.
	ALBs []v1alpha1.ALBStatus
	// Notes are what a verifying router has to tell now: the same ones at every look until
	// something changes, so that each is told once.
	Notes []Note
}

// Note is one event with its published reason.
type Note struct {
	Warning         bool
	Reason, Message string
}

// TargetGroup is a load balancer's own list of the endpoints of a Service.
type TargetGroup struct {
	// ARN names it in AWS, Service the Service that it follows.
	ARN, Service string
	// Endpoints are those of the Service, as "address:port".
	Endpoints []string
}

// Proof is what is known of a question that is answered in the background.
type Proof struct {
	// Holds: what was asked about is so. False also means that it is not known yet.
	Holds bool
	ALBs  []v1alpha1.ALBStatus
	Notes []Note
}

// Router reads and writes the objects of one traffic provider.
//
// Both methods may block on the API server and honour ctx. Neither keeps state.
// An error means that the object could not be read or written; a broken object is
// an Observation with a Problem, not an error.
type Router interface {
	// Observe reads and never writes.
	Observe(ctx context.Context, t Target) (Observation, error)
	// Apply makes it so. It is idempotent, sends nothing when nothing differs, and
	// touches only the fields it owns: the weights of the destinations, the hash labels of
	// our subsets, and the routes whose names stand in trafficRouting.managedRoutes. Extra
	// destinations and managed routes that the Split does not have are taken out, so that
	// reading what was rendered gives the Split back. The zero Split means: remove what is
	// ours.
	Apply(ctx context.Context, t Target, s Split) (Written, error)
}

// ServiceSettle is how long proxies may go on using the former endpoints of a Service
// whose selector was changed: the endpoints are recomputed at once, and proxies take
// them up within a second or two.
const ServiceSettle = 3 * time.Second

// Written names the objects that an Apply wrote, by "Kind/namespace/name", with the
// resourceVersion that the API server answered. Empty when nothing differed.
type Written map[string]string
