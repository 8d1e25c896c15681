package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// tell logs what a status write changed, and the events that come with it.
func (w *World) tell(before *v1alpha1.RolloutStatus, p rollout.Plan) {
	st := &p.Status
	for _, n := range p.Notes {
		if n.Kind != rollout.Waiting {
			w.Events = append(w.Events, string(n.Reason))
			w.log("  %s %s: %s", strings.ToLower(string(n.Kind)), n.Reason, w.name(n.Message))
		}
	}
	if before.Phase != st.Phase || before.Message != st.Message {
		line := string(st.Phase)
		if st.Message != "" {
			line += ": " + w.name(st.Message)
		}
		w.log("  phase %s", line)
	}
}

// described is the action's own line, with its moment on the clock of the world.
func described(a rollout.Action) string {
	if r, ok := a.(rollout.Retire); ok && !r.At.IsZero() {
		return fmt.Sprintf("retire %s at %s", r.Hash, Clock(r.At.Sub(Start)))
	}
	return a.String()
}

// name puts the image's tag where a line holds a pod template hash, so that a person can
// follow: checkout-6f7d9c-2 becomes checkout-v2-2.
func (w *World) name(line string) string {
	var pairs []string
	for _, r := range w.revs {
		pairs = append(pairs, r.hash, tag(r.image))
	}
	pairs = append(pairs, v1alpha1.PodTemplateHash(&w.Rollout.Spec.Template, w.Rollout.Status.CollisionCount), tag(image(&w.Rollout.Spec)))
	return strings.NewReplacer(pairs...).Replace(line)
}

func tag(image string) string {
	if i := strings.LastIndexByte(image, ':'); i >= 0 {
		return image[i+1:]
	}
	return image
}

// Clock prints a moment of the world as "+mm:ss", or "+h:mm:ss" from the first hour on.
func Clock(d time.Duration) string {
	s := int(d.Seconds())
	if s >= 3600 {
		return fmt.Sprintf("+%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("+%02d:%02d", s/60, s%60)
}

// Describe is one line on where the world stands: pods by revision, traffic, weights.
func (w *World) Describe() string {
	var parts []string
	revs := slices.Clone(w.revs)
	slices.SortFunc(revs, func(a, b *replicaSet) int { return int(a.number - b.number) })
	for _, r := range revs {
		if r.desired == 0 && len(r.pods) == 0 && r.hash != w.Rollout.Status.StableRS {
			continue
		}
		s := fmt.Sprintf("%s %d/%d", tag(r.image), r.available(w.Now), r.desired)
		if !r.retireAt.IsZero() {
			s += fmt.Sprintf(" until %s", Clock(r.retireAt.Sub(Start)))
		}
		parts = append(parts, s)
	}
	switch {
	case w.blue():
		stable, canary := rollout.Roles(&w.Rollout.Spec, &w.Rollout.Status)
		parts = append(parts, "active "+w.Serves(stable))
		if canary != "" {
			parts = append(parts, "preview "+w.Serves(canary))
		}
	case w.routed():
		parts = append(parts, fmt.Sprintf("weight %d, live %d", w.Weight(), w.Live()))
	}
	for _, d := range w.plane.extras {
		parts = append(parts, fmt.Sprintf("%s %d", d.Service, d.Weight))
	}
	return strings.Join(parts, ", ")
}
