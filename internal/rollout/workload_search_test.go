package rollout

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// handover is a small world: a blue-green Rollout of three pods takes over from a
// Deployment, and is deleted in the end. Pods come and go, writes get lost, and somebody
// applies the Deployment's manifest again.
type handover struct {
	now                time.Time
	desired, available int32 // of the Deployment
	pods               int32 // available pods of the Rollout
	finalizer, gone    bool
	status             v1alpha1.RolloutStatus
	hash               string // in the selector of the active Service
	since              time.Time
	deleted            time.Time
	number             int64
	mode               string
	faults             []string
}

const (
	handPods   = int32(3)
	handSettle = 2 * time.Second
)

func (h *handover) fault(format string, args ...any) {
	h.faults = append(h.faults, fmt.Sprintf(format, args...))
}

func (h *handover) snapshot() Snapshot {
	n := handPods
	s := Snapshot{Now: h.now, Namespace: "shop", Name: "web", Generation: 1, Number: h.number, TemplateHash: "v1",
		Finalizer: h.finalizer, Deleting: !h.deleted.IsZero(), DeletedAt: h.deleted, Status: *h.status.DeepCopy()}
	s.Spec = v1alpha1.RolloutSpec{Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		Template: corev1.PodTemplateSpec{}, TemplateResolvedFromRef: true,
		WorkloadRef: &v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", ScaleDown: h.mode},
		Strategy:    v1alpha1.RolloutStrategy{BlueGreen: &v1alpha1.BlueGreenStrategy{ActiveService: "web"}}}
	s.Workload = &Workload{Generation: 1, Scalable: true, Desired: h.desired, Available: h.available}
	s.Revisions = []Revision{{Hash: "v1", Name: "web-v1", Number: h.number, Born: 1, Current: true, Desired: n, Actual: n,
		Ready: h.pods, Available: h.pods, Observed: true, Created: epoch}}
	s.Services = []Service{{Name: "web", Exists: true, Hash: h.hash, Managed: h.hash != ""}}
	s.Routed = true
	w := traffic.Two(100, 0, traffic.Destination{Service: "web", Hash: h.hash}, traffic.Destination{})
	s.Traffic = traffic.State{Written: w, Live: []traffic.Split{w}, Known: true}
	if at := h.since.Add(handSettle); at.After(h.now) {
		s.SettledAt = at
	}
	return s
}

// do carries one action out and holds it against the laws of the handover.
func (h *handover) do(s *Snapshot, a Action) {
	overdue := !h.deleted.IsZero() && !h.now.Before(h.deleted.Add(10*time.Minute))
	safe := overdue || h.available >= handPods && h.desired >= handPods || h.pods == 0
	switch a := a.(type) {
	case ScaleWorkload:
		if a.To < a.From && !h.finalizer {
			h.fault("%s without the finalizer", a)
		}
		if have := min(h.available, a.To) + h.pods; a.To < a.From && have < min(handPods, h.available+h.pods) {
			h.fault("%s leaves %d pods", a, have)
		}
		h.desired = a.To
	case SetFinalizer:
		if h.finalizer = a.On; !a.On && !h.deleted.IsZero() {
			h.gone = true
			if !safe || !overdue && (h.hash != "" || !s.SettledAt.IsZero()) {
				h.fault("the Rollout goes with %d pods of the Deployment, a Service at %q, settled at %s", h.available, h.hash, s.SettledAt)
			}
		}
	case SetSelector:
		if a.Hash == "" && !safe {
			h.fault("%s with %d pods of the Deployment", a, h.available)
		}
		h.hash, h.since = a.Hash, h.now
	}
}

// pass is one pass of the controller, of which every part may get lost.
func (h *handover) pass(plan planner, lost func() bool) {
	s := h.snapshot()
	p := plan(s)
	for _, a := range p.Actions {
		if !lost() && !h.gone {
			h.do(&s, a)
		}
	}
	if !lost() {
		h.status = p.Status
	}
}

// run plays one handover and returns what was wrong with it.
func (h *handover) run(r *rand.Rand, plan planner) []string {
	quiet := func() bool { return false }
	lossy := func() bool { return r.IntN(4) == 0 }
	h.since = h.now.Add(-time.Hour)
	for range 30 {
		h.disturb(r)
		h.pass(plan, lossy)
	}
	for range 12 { // all is well again
		h.now = h.now.Add(time.Second)
		h.pods, h.available = handPods, h.desired
		h.pass(plan, quiet)
	}
	if h.desired != 0 || !h.finalizer || h.status.Phase != v1alpha1.RolloutPhaseHealthy {
		h.fault("in the end the Deployment has %d pods, finalizer %v, phase %s", h.desired, h.finalizer, h.status.Phase)
	}
	h.deleted = h.now
	stuck, cascade := r.IntN(3) == 0, r.IntN(3) == 0 // its pods never come up; ours are taken at once
	for i := 0; i < 600 && !h.gone; i++ {
		h.now = h.now.Add(time.Duration(r.IntN(4)) * time.Second)
		if h.available = min(h.available, h.desired); !stuck && h.available < h.desired {
			h.available += int32(r.IntN(2))
		}
		if cascade && r.IntN(20) == 0 {
			h.pods = 0
		}
		h.pass(plan, lossy)
	}
	if !h.gone || h.desired < handPods && h.pods > 0 {
		h.fault("the deletion ends with the Rollout gone: %v, %d pods of the Deployment", h.gone, h.desired)
	}
	return h.faults
}

// disturb is what the world does between two passes.
func (h *handover) disturb(r *rand.Rand) {
	h.now = h.now.Add(time.Duration(r.IntN(3)) * time.Second)
	h.available = min(h.available, h.desired)
	if r.IntN(2) == 0 {
		h.available = h.desired
	}
	switch r.IntN(8) {
	case 0:
		h.pods = int32(r.IntN(int(handPods) + 1))
	case 1, 2:
		h.pods = min(h.pods+1, handPods)
	case 3:
		h.desired = handPods // its manifest is applied again
	}
}

func newHandover(r *rand.Rand) *handover {
	h := &handover{now: epoch, desired: handPods, available: handPods, number: int64(1 + r.IntN(3)),
		mode: []string{v1alpha1.ScaleDownOnSuccess, v1alpha1.ScaleDownProgressively}[r.IntN(2)]}
	if r.IntN(2) == 0 {
		h.hash = "v1"
	}
	return h
}

// searchHandovers plays some handovers and returns the first faults.
func searchHandovers(plan planner) (seed uint64, faults []string) {
	for seed = range 400 {
		r := rand.New(rand.NewPCG(seed, 3))
		if faults = newHandover(r).run(r, plan); len(faults) > 0 {
			return seed, faults
		}
	}
	return 0, nil
}

// Covers: outage 47, edge 137.
func TestHandoversLoseNoCapacity(t *testing.T) {
	if seed, faults := searchHandovers(Decide); len(faults) > 0 {
		t.Errorf("seed %d: %v", seed, faults)
	}
}

func TestHandoverSearchCatchesMutants(t *testing.T) {
	once := map[int64]bool{}
	for name, plan := range map[string]planner{
		"pods go before the finalizer is there": before(func(s *Snapshot) { s.Finalizer = s.Finalizer || !s.Deleting }),
		"pods that are wanted count as there": before(func(s *Snapshot) {
			s.Revisions[0].Available = s.Revisions[0].Desired
		}),
		"one pod too many goes": after(func(_ *Snapshot, p *Plan) {
			for i, a := range p.Actions {
				if x, ok := a.(ScaleWorkload); ok && x.To > 0 && x.To < x.From {
					p.Actions[i] = ScaleWorkload{From: x.From, To: x.To - 1}
				}
			}
		}),
		// Covers: defect 29, outage 44.
		"only the first revision takes over": after(func(s *Snapshot, p *Plan) {
			if s.Number > 1 && !s.Deleting {
				drop[ScaleWorkload](p)
			}
		}),
		// Covers: outage 44.
		"what is scaled up again stays": after(func(s *Snapshot, p *Plan) {
			if s.Status.Phase == v1alpha1.RolloutPhaseHealthy && once[s.Number] && !s.Deleting {
				drop[ScaleWorkload](p)
			}
			once[s.Number] = true
		}),
		// Covers: outage 46.
		"what is at 0 comes back with every pod that is lost": after(func(s *Snapshot, p *Plan) {
			if !s.Deleting && s.Workload.Desired == 0 {
				p.Actions = append(p.Actions, ScaleWorkload{To: 1})
			}
		}),
		"a deleted Rollout goes at once": after(func(s *Snapshot, p *Plan) {
			if s.Deleting {
				p.Actions = append(p.Actions, SetFinalizer{})
			}
		}),
		// Covers: outage 47.
		"a deleted Rollout leaves the Deployment at 0": after(func(s *Snapshot, p *Plan) {
			if s.Deleting {
				drop[ScaleWorkload](p)
			}
		}),
		"the Deployment's pods are not waited for": before(func(s *Snapshot) {
			if s.Deleting {
				s.Workload.Available = s.Workload.Desired
			}
		}),
		"proxies are not waited for": func(s Snapshot) Plan {
			s.SettledAt = time.Time{}
			return Decide(s)
		},
		"the deadline is not kept": before(func(s *Snapshot) { s.DeletedAt = s.Now }),
		"the finalizer is never taken off": after(func(s *Snapshot, p *Plan) {
			if s.Deleting {
				drop[SetFinalizer](p)
			}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			clear(once)
			shared := func(s Snapshot) Plan { // before and after copy what they change, but for this
				w := *s.Workload
				s.Workload = &w
				return plan(s)
			}
			if _, faults := searchHandovers(shared); len(faults) == 0 {
				t.Error("it was not caught")
			}
		})
	}
}
