package sim

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// broke records a broken law.
func (w *World) broke(law string) {
	if len(w.laws) < 20 {
		w.laws = append(w.laws, fmt.Sprintf("+%s %s", w.Now.Sub(Start), law))
	}
}

// Broken lists the laws that were broken, with their times; empty for a sound run.
func (w *World) Broken() []string { return w.laws }

func need(n, weight, total int32) int32 {
	return int32((int64(n)*int64(weight) + int64(total) - 1) / int64(total))
}

// arriving is the share that may reach a revision now: from what is written, what the
// data plane does, and what it is on its way to.
func (w *World) arriving(hash string) (share int32) {
	p := &w.plane
	st, ca := w.pointers()
	ls, lc := w.live()
	ss, sc := w.sides()
	most, least := max(p.weight, p.pending, w.route.weight), min(p.weight, p.pending, w.route.weight)
	if w.blue() {
		most, least = 0, 0
	}
	ofStable := min(shares(p.extras), shares(p.coming), shares(w.route.extras))
	if w.flipped(&w.Rollout.Status) {
		most, ofStable = most-ofStable, 0
	}
	if slices.Contains([]string{ca, lc, w.svc(sc).pending}, hash) {
		share += most
	}
	if slices.Contains([]string{st, ls, w.svc(ss).pending}, hash) {
		share += w.total() - least - ofStable
	}
	return min(share, w.total())
}

// shares is what experiments get together, out of stable's share.
func shares(extras []traffic.Destination) (sum int32) {
	for _, d := range extras {
		sum += d.Weight
	}
	return sum
}

// checkAction holds a write against the truth at the moment at which it happens.
func (w *World) checkAction(seen *rollout.Snapshot, a rollout.Action) {
	if !w.routed() {
		w.checkBasic(seen, a)
		return
	}
	n := int32(1)
	if seen.Spec.Replicas != nil {
		n = *seen.Spec.Replicas
	}
	switch x := a.(type) {
	case rollout.Scale:
		if x.To >= x.From || w.overridden() || w.unseen {
			return
		}
		if low := need(n, w.arriving(x.Hash), w.total()); x.To < low {
			w.broke(fmt.Sprintf("%s although %d pods may still receive traffic", x, low))
		}
	case rollout.SetSplit:
		w.checkSplit(seen, n, x.Split)
	case rollout.Delete:
		if r := w.rev(x.Hash); r != nil && r.desired > 0 {
			w.broke(x.String() + " although it has pods")
		}
	}
}

// overridden: at a step with setCanaryScale the user has chosen the pods.
func (w *World) overridden() bool {
	for _, s := range w.canary().Steps {
		if s.SetCanaryScale != nil {
			return true
		}
	}
	return false
}

func (w *World) checkSplit(seen *rollout.Snapshot, n int32, s traffic.Split) {
	sum := int32(0)
	for _, d := range s.Destinations {
		sum += d.Weight
		if d.Weight < 0 {
			w.broke("a weight below zero was written")
		}
	}
	if sum != s.Total {
		w.broke(fmt.Sprintf("the weights add up to %d of %d", sum, s.Total))
	}
	now, next := seen.Traffic.Written.Weight(traffic.Canary), s.Weight(traffic.Canary)
	if next <= now || w.overridden() {
		return
	}
	ca, _ := s.Of(traffic.Canary)
	for _, r := range seen.Revisions {
		if r.Hash == ca.Hash && r.Available < need(n, next, s.Total) {
			w.broke(fmt.Sprintf("weight %d went to %d available pods", next, r.Available))
		}
	}
	if live, weight := w.canarySide(); live != ca.Hash && weight > 0 {
		w.broke("weight rose while an older canary still received traffic")
	}
}

// checkBasic: without a router availability never falls below n - maxUnavailable by the
// controller's doing.
func (w *World) checkBasic(seen *rollout.Snapshot, a rollout.Action) {
	x, ok := a.(rollout.Scale)
	if !ok {
		return
	}
	if x.To >= x.From {
		w.checkSurge(seen, x)
		return
	}
	var avail, lost int32
	for _, r := range seen.Revisions {
		avail += r.Available
		if r.Hash == x.Hash {
			lost = max(0, r.Available-x.To)
		}
	}
	n := int32(1)
	if seen.Spec.Replicas != nil {
		n = *seen.Spec.Replicas
	}
	if low := n - scaled(w.canary().MaxUnavailable, n, false) - 1; lost > 0 && avail-lost < low {
		w.broke(fmt.Sprintf("%s leaves %d available pods of %d", x, avail-lost, n))
	}
}

// scaled is a count or percentage of n; 25 % where the user gave none.
func scaled(of *intstr.IntOrString, n int32, up bool) int32 {
	quarter := intstr.FromString("25%")
	if of == nil {
		of = &quarter
	}
	v, err := intstr.GetScaledValueFromIntOrPercent(of, int(n), up)
	if err != nil {
		return n
	}
	return int32(v)
}

// checkSurge: without a router a scale-up never makes more pods than n + maxSurge.
func (w *World) checkSurge(seen *rollout.Snapshot, x rollout.Scale) {
	n, sum := int32(1), x.To-x.From
	if seen.Spec.Replicas != nil {
		n = *seen.Spec.Replicas
	}
	for _, r := range seen.Revisions {
		sum += r.Desired
	}
	if most := n + scaled(w.canary().MaxSurge, n, true); sum > most {
		w.broke(fmt.Sprintf("%s makes %d pods, more than %d", x, sum, most))
	}
}

// checkServed: whoever the data plane sends traffic to has pods, unless pods died by chance.
func (w *World) checkServed() {
	if !w.routed() || !w.deaths.IsZero() {
		return
	}
	stable, canary := w.live()
	weight := w.plane.weight
	if w.blue() {
		weight = 0
	}
	for _, d := range []struct {
		hash  string
		share int32
	}{{canary, weight}, {stable, w.total() - weight}} {
		if d.hash == "" || d.share == 0 {
			continue
		}
		if r := w.rev(d.hash); r.available(w.Now) == 0 && w.replicas() > 0 {
			w.broke(fmt.Sprintf("%d of %d parts of the traffic go to revision %s, which has no available pod", d.share, w.total(), d.hash))
		}
	}
}

// canarySide is the revision that serves as canary in the data plane, and its share.
func (w *World) canarySide() (hash string, weight int32) {
	stable, canary := w.live()
	if w.flipped(&w.Rollout.Status) {
		return stable, w.total() - w.plane.weight
	}
	return canary, w.plane.weight
}

// stableSide is the revision that serves as stable in the data plane, and its share.
func (w *World) stableSide() (hash string, weight int32) {
	stable, canary := w.live()
	switch {
	case w.blue():
		return stable, w.total()
	case w.flipped(&w.Rollout.Status):
		return canary, w.plane.weight
	}
	return stable, w.total() - w.plane.weight
}
