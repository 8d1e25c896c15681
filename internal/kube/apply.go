package kube

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// Apply carries out the plan's actions, one after the other. One that fails stops no
// other, since each is safe alone (L3); all errors come back joined.
func (r *Rollouts) Apply(ctx context.Context, s Seen, p rollout.Plan) error {
	var errs []error
	if err := r.markWorkload(ctx, &s); err != nil {
		errs = append(errs, err)
	}
	for _, a := range p.Actions {
		if err := r.apply(ctx, &s, a); err != nil {
			errs = append(errs, fmt.Errorf("%s of rollout %s/%s: %w", a, s.Rollout.Namespace, s.Rollout.Name, err))
			continue
		}
		if n, ok := rollout.Did(s.Rollout.Name, a); ok {
			r.tell(s.Rollout, n)
		}
	}
	return errors.Join(append(errs, r.giveBack(ctx, &s, &p))...)
}

func (r *Rollouts) apply(ctx context.Context, s *Seen, a rollout.Action) error {
	switch a := a.(type) {
	case rollout.EnsureRevision:
		return r.createSet(ctx, s, a)
	case rollout.Renumber:
		return r.renumber(ctx, s, a)
	case rollout.SetNumber:
		return r.patchRollout(ctx, s, metadata(at(s.Rollout, map[string]any{
			"annotations": map[string]any{revisionKey: strconv.FormatInt(a.Number, 10)}})))
	case rollout.DefaultReplicas:
		return r.patchRollout(ctx, s, map[string]any{
			"metadata": at(s.Rollout, map[string]any{}), "spec": map[string]any{"replicas": 1}})
	case rollout.Scale:
		return r.scale(ctx, s, a)
	case rollout.Retire:
		return r.retire(ctx, s, a)
	case rollout.Delete:
		return r.deleteSet(ctx, s, a)
	case rollout.SetMetadata:
		return r.setMetadata(ctx, s, a)
	case rollout.SetSelector:
		return r.setSelector(ctx, s, a)
	case rollout.SetAffinity:
		return r.setAffinity(ctx, s, a)
	case rollout.Restart:
		return r.restart(ctx, s, a)
	case rollout.CallPlugin:
		return r.callPlugin(s, a)
	case rollout.ScaleWorkload:
		return r.scaleWorkload(ctx, s, a)
	case rollout.SetFinalizer:
		return r.setFinalizer(ctx, s, a)
	case rollout.SetSplit:
		return r.setSplit(ctx, s, a.Split)
	case rollout.StartExperiment:
		return r.startExperiment(ctx, s, a)
	case rollout.StopExperiment:
		return r.stopExperiment(ctx, s, a)
	case rollout.DeleteExperiment:
		return r.deleteExperiment(ctx, s, a)
	case rollout.StartRun:
		return r.startRun(ctx, s, a)
	case rollout.StopRun:
		return r.stopRun(ctx, s, a)
	case rollout.DeleteRun:
		return r.deleteRun(ctx, s, a)
	}
	return fmt.Errorf("no applier for action %T", a)
}

// set returns the ReplicaSet of a revision.
func (s *Seen) set(hash string) (*appsv1.ReplicaSet, error) {
	rs := s.Sets[hash]
	if rs == nil {
		return nil, fmt.Errorf("no replicaset has hash %q", hash)
	}
	return rs, nil
}

// scale sets the size and what it was meant for, in one patch that the API server
// refuses when the ReplicaSet is not the one that was decided upon (core.md §3.6).
func (r *Rollouts) scale(ctx context.Context, s *Seen, a rollout.Scale) error {
	rs, err := s.set(a.Hash)
	if err != nil {
		return err
	}
	n := int32(1)
	if s.Rollout.Spec.Replicas != nil {
		n = *s.Rollout.Spec.Replicas
	}
	annotations := map[string]any{desiredKey: strconv.Itoa(int(n))}
	if _, retired := rs.Annotations[deadlineKey]; retired && a.To == 0 {
		annotations[deadlineKey] = nil
	}
	return patchSet(ctx, r.Writer, rs, map[string]any{
		"metadata": at(rs, map[string]any{"annotations": annotations}), "spec": map[string]any{"replicas": a.To}})
}

// retire writes the scale-down deadline, or takes it away.
func (r *Rollouts) retire(ctx context.Context, s *Seen, a rollout.Retire) error {
	rs, err := s.set(a.Hash)
	if err != nil {
		return err
	}
	return r.deadline(ctx, rs, a.At)
}

// deleteSet removes a ReplicaSet only as it was seen: one that has got pods since stays.
func (r *Rollouts) deleteSet(ctx context.Context, s *Seen, a rollout.Delete) error {
	rs, err := s.set(a.Hash)
	if err != nil {
		return err
	}
	return client.IgnoreNotFound(r.Writer.Delete(ctx, rs, client.PropagationPolicy(metav1.DeletePropagationBackground),
		client.Preconditions{UID: &rs.UID, ResourceVersion: &rs.ResourceVersion}))
}

// setSelector points a Service at a revision and marks it as this Rollout's (core.md
// §5.14). Without a revision it gives the Service back.
func (r *Rollouts) setSelector(ctx context.Context, s *Seen, a rollout.SetSelector) error {
	svc := s.services[a.Service]
	if svc == nil {
		return fmt.Errorf("service %s/%s was not there", s.Rollout.Namespace, a.Service)
	}
	if a.Hash == "" {
		return r.releaseService(ctx, svc)
	}
	// As it was decided upon: a write of a former leader must not land after ours.
	meta := at(svc, map[string]any{})
	if svc.Annotations[managedKey] == "" {
		meta["annotations"] = map[string]any{managedKey: s.Rollout.Name}
	}
	body := metadata(meta)
	body["spec"] = map[string]any{"selector": map[string]any{hashLabel: a.Hash}}
	return mergePatch(ctx, r.Writer, svc, body)
}

// startRun creates the run. One of the same name that is ours already is the same run.
func (r *Rollouts) startRun(ctx context.Context, s *Seen, a rollout.StartRun) error {
	section, err := analysisFor(s.Rollout, a)
	if err != nil {
		return err
	}
	templates, err := r.templates(ctx, s.Rollout.Namespace, section.Templates)
	if err != nil {
		return err
	}
	in := buildInput(s.Rollout, *section, templates)
	in.Latest, in.Stable, in.Type, in.Step, in.Revision = a.Hash, a.Stable, string(a.Kind), a.Step, a.Number
	run, err := buildRun(in)
	if err != nil {
		return fmt.Errorf("build it: %w", err)
	}
	run.Namespace, run.Name = s.Rollout.Namespace, a.Name
	run.OwnerReferences = []metav1.OwnerReference{ownerOf(s.Rollout)}
	there := &v1alpha1.AnalysisRun{}
	return r.create(ctx, run, there, func() bool { return ownedBy(there, s.Rollout) })
}

func analysisFor(ro *v1alpha1.Rollout, a rollout.StartRun) (*v1alpha1.RolloutAnalysis, error) {
	for _, p := range analyses(&ro.Spec) {
		if p.kind == string(a.Kind) && (a.Kind != rollout.StepRun || p.step == a.Step) {
			return p.analysis, nil
		}
	}
	return nil, fmt.Errorf("the spec has no %s analysis at step %d", a.Kind, a.Step)
}

func (r *Rollouts) stopRun(ctx context.Context, s *Seen, a rollout.StopRun) error {
	run := s.Runs[a.Name]
	if run == nil {
		return fmt.Errorf("no analysisrun is named %q", a.Name)
	}
	return r.terminate(ctx, run)
}

func (r *Rollouts) deleteRun(ctx context.Context, s *Seen, a rollout.DeleteRun) error {
	run := s.Runs[a.Name]
	if run == nil {
		return fmt.Errorf("no analysisrun is named %q", a.Name)
	}
	return r.remove(ctx, run)
}
