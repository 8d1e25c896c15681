package rollout

import (
	"slices"

	"github.com/penstock-io/penstock/internal/traffic"
)

// TargetsDue says which Service's endpoints the load balancers must serve before anything
// goes that served them until now, and which revision's these endpoints are: with blue-green
// the active Service once it was switched, with an AWS load balancer stable's once the update
// is through (core.md §6.7). A load balancer that sends to pods has a list of its own, which
// follows a Service late.
func TargetsDue(s Snapshot) (service, hash string, due bool) {
	v := newView(&s)
	d, _ := v.Traffic.Written.Of(traffic.Stable)
	switch {
	case s.Deleting, s.Invalid != "", d.Service == "", v.current == nil, d.Hash != v.hash, v.mode != done && (v.blue == nil || v.mode != stepping):
		return "", "", false
	case v.blue == nil && (v.canary.TrafficRouting == nil || v.canary.TrafficRouting.ALB == nil):
		return "", "", false
	}
	former := slices.ContainsFunc(s.Revisions, func(r Revision) bool { return r.Hash != v.hash && r.Desired > 0 })
	return d.Service, v.hash, former || v.blue == nil && v.Traffic.Largest(traffic.Canary) > 0
}

// unserved reports that the load balancers do not serve all that they should yet.
func (v *view) unserved() (why Note, waits bool) {
	if v.Targets == nil || v.Targets.Served {
		return Note{}, false
	}
	return Note{Waiting, TargetGroupUnverified, v.Targets.Why}, true
}

// cutoverBehind reports that the wanted revision is behind the active Service, and the load
// balancers know of it. Once the analysis after the cutover has begun, that one judges.
func (v *view) cutoverBehind() bool {
	if v.activeHash() != v.hash {
		return false
	}
	_, waits := v.unserved()
	return !waits || v.runNamed(*refOf(&v.Status, PostPromotion))
}

// targetsServed: the load balancers serve the endpoints of the active Service.
func targetsServed(v *view, _ goal, _ tests) (Note, bool) {
	why, waits := v.unserved()
	return why, !waits
}
