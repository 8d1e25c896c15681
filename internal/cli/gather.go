package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// manyHashes is how many hashes one request may name; beyond, it asks for any.
const manyHashes = 100

// gathering is what `get` shows: one Rollout or Experiment, and below it whatever what is
// known so far leads to. It asks for nothing wider than that.
type gathering struct {
	c     *cluster
	n     noun
	name  string
	only  []noun            // the kinds below it; none means all
	parts map[string]update // by the feed's id
	// refused is told what may not be read; the picture goes without it.
	refused func(kind string, err error)
}

func (s *session) gathering(c *cluster, n noun, name string) *gathering {
	warned := map[string]bool{}
	return &gathering{c: c, n: n, name: name, parts: map[string]update{}, refused: func(kind string, err error) {
		if !warned[kind] {
			fmt.Fprintf(s.Err, "Warning: %s are left out: %v\n", kind, err)
		}
		warned[kind] = true
	}}
}

// wanted are the feeds that what is known leads to, the root first.
func (g *gathering) wanted() ([]feed, error) {
	all, w := []feed{g.c.named(g.n, g.name)}, g.world()
	if w.rollout.UID != "" {
		selector, err := selectorOf(&w.rollout)
		if err != nil {
			return nil, err
		}
		sets := g.c.labelled(aReplicaSet, selector)
		all = append(all, sets, g.c.labelled(aPod, selector))
		if _, known := g.parts[sets.id()]; known {
			all = append(all, g.c.labelled(anAnalysisRun, hashesOf(w)), g.c.labelled(anExperiment, hashesOf(w)))
		}
	}
	var theirs []string
	for _, x := range w.trials() {
		for _, t := range x.Status.TemplateStatuses {
			theirs = append(theirs, t.PodTemplateHash)
		}
		for _, run := range x.Status.AnalysisRuns {
			all = append(all, g.c.named(anAnalysisRun, run.AnalysisRun))
		}
	}
	if len(theirs) > 0 {
		all = append(all, g.c.labelled(aReplicaSet, anyOf(theirs)), g.c.labelled(aPod, anyOf(theirs)))
	}
	return slices.DeleteFunc(all, func(f feed) bool {
		return f.kind != g.n.plural() && len(g.only) > 0 && !slices.ContainsFunc(g.only, func(n noun) bool { return n.plural() == f.kind })
	}), nil
}

// about reads a Rollout and these kinds below it.
func (s *session) about(ctx context.Context, c *cluster, name string, only ...noun) (*world, error) {
	g := s.gathering(c, aRollout, name)
	g.only = only
	return g.once(ctx)
}

// selectorOf selects a Rollout's pods, those of a referenced workload too.
func selectorOf(r *v1alpha1.Rollout) (labels.Selector, error) {
	selector, err := labels.Parse(r.Status.Selector)
	if r.Spec.Selector != nil {
		selector, err = metav1.LabelSelectorAsSelector(r.Spec.Selector)
	}
	if err != nil {
		return nil, fmt.Errorf("read the selector of rollout %s/%s: %w", r.Namespace, r.Name, err)
	}
	return selector, nil
}

// hashesOf selects what belongs to the revisions that are known of.
func hashesOf(w *world) labels.Selector {
	hashes := []string{w.rollout.Status.CurrentPodHash, w.rollout.Status.StableRS}
	for _, rs := range w.sets() {
		hashes = append(hashes, rs.Labels[v1alpha1.PodTemplateHashLabel])
	}
	return anyOf(hashes)
}

// anyOf selects objects with one of the pod template hashes.
func anyOf(hashes []string) labels.Selector {
	hashes = slices.DeleteFunc(hashes, func(h string) bool { return h == "" })
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	operator := selection.In
	if len(hashes) > manyHashes || len(hashes) == 0 {
		operator, hashes = selection.Exists, nil
	}
	r, err := labels.NewRequirement(v1alpha1.PodTemplateHashLabel, operator, hashes)
	if err != nil {
		return labels.Nothing() // no hash of ours has a form that labels do not allow
	}
	return labels.NewSelector().Add(*r)
}

// put takes in what a feed has. Without the root itself there is nothing to show.
func (g *gathering) put(u update) error {
	root := u.feed.id() == g.c.named(g.n, g.name).id()
	switch {
	case u.err == nil && root && len(u.objects) == 0:
		return g.n.missing(g.name)
	case u.err != nil && (root || !apierrors.IsForbidden(u.err)):
		return u.err
	case u.err != nil:
		g.refused(u.feed.kind, u.err)
	}
	g.parts[u.feed.id()] = u
	return nil
}

// once reads everything once.
func (g *gathering) once(ctx context.Context) (*world, error) {
	for {
		fresh, err := g.unknown()
		if err != nil || len(fresh) == 0 {
			return g.world(), err
		}
		updates := make([]update, len(fresh))
		var reading sync.WaitGroup
		for i, f := range fresh {
			reading.Go(func() {
				updates[i], _, updates[i].err = f.read(ctx, g.c)
			})
		}
		reading.Wait()
		for _, u := range updates {
			if err := g.put(u); err != nil {
				return nil, err
			}
		}
	}
}

// unknown are the wanted feeds of which nothing was heard.
func (g *gathering) unknown() ([]feed, error) {
	all, err := g.wanted()
	return slices.DeleteFunc(all, func(f feed) bool {
		_, known := g.parts[f.id()]
		return known
	}), err
}

// world is what is known, each object once.
func (g *gathering) world() *world {
	w, seen := &world{}, map[types.UID]bool{}
	for _, id := range slices.Sorted(maps.Keys(g.parts)) {
		for uid, o := range g.parts[id].objects {
			if !seen[uid] {
				w.add(o)
			}
			seen[uid] = true
		}
	}
	return w
}

func (w *world) add(o client.Object) {
	switch o := o.(type) {
	case *v1alpha1.Rollout:
		w.rollout = *o
	case *v1alpha1.Experiment:
		w.experiments = append(w.experiments, *o)
	case *v1alpha1.AnalysisRun:
		w.runs = append(w.runs, *o)
	case *appsv1.ReplicaSet:
		w.replicaSets = append(w.replicaSets, *o)
	case *corev1.Pod:
		w.pods = append(w.pods, *o)
	}
}
