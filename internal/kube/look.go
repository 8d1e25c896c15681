package kube

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
)

// Look sees one Rollout once, past all caches, and tells what would be done about it. It
// writes nothing. What proxies still did a moment ago it cannot know: what is written counts
// as followed. The error is loop.ErrGone where there is no such Rollout.
func Look(ctx context.Context, reader client.Reader, routers []Routing, key loop.Key, now time.Time) (Seen, rollout.Plan, error) {
	r := NewRollouts(Clients{Reader: reader, Live: reader})
	r.Routers, r.Unindexed = routers, true
	s, err := r.Observe(ctx, key, now)
	if err != nil {
		return Seen{}, rollout.Plan{}, err
	}
	return s, r.Decide(s), nil
}

// AnalysisRuns are the owned ones, by name.
func (s Seen) AnalysisRuns() []*v1alpha1.AnalysisRun {
	list := slices.Collect(maps.Values(s.Runs))
	slices.SortFunc(list, func(a, b *v1alpha1.AnalysisRun) int { return strings.Compare(a.Name, b.Name) })
	return list
}
