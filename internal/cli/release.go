package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// givingBack is the finalizer under which the controller gives a Deployment its pods back
// before those of the Rollout go (docs/workload-ref.md).
const givingBack = "penstock.io/workload"

// handingBack is one call of release.
type handingBack struct {
	*session
	name    string
	dry     bool
	timeout time.Duration
}

func (s *session) release() *cobra.Command {
	h := &handingBack{session: s}
	c := &cobra.Command{
		Use: "rollout ROLLOUT_NAME", Aliases: []string{"ro", "rollouts"}, Short: "Give a rollout's pods back to a Deployment, without a lost request",
		Long: `Give a rollout's pods back to a Deployment, without a lost request.

A Rollout of a Deployment (workloadRef) gives them back to it; for another one a Deployment of
its name is made from its template. The Deployment's pods become ready and get their requests
before the Rollout's go: the controller does that while it deletes the Rollout. A call that was
interrupted is simply made again.`,
		Args: exactly(1), ValidArgsFunction: s.complete,
		RunE: func(c *cobra.Command, args []string) error {
			h.name = args[0]
			ctx, cancel := withTimeout(c.Context(), h.timeout)
			defer cancel()
			cl, err := h.connect()
			if err != nil {
				return err
			}
			err = h.run(ctx, cl)
			if c.Context().Err() == nil && ctx.Err() != nil {
				return fmt.Errorf("not done after %s; all pods serve on. Look with `%s why %s`, and call this again", h.timeout, s.display, h.name)
			}
			return err
		},
	}
	c.Flags().BoolVar(&h.dry, "dry-run", false, "say what would be done, and do nothing")
	c.Flags().DurationVarP(&h.timeout, "timeout", "t", 10*time.Minute, "how long to wait for pods; 0 means for ever")
	return group("release", "Give a rollout's pods back to a Deployment", nil, c)
}

func (h *handingBack) run(ctx context.Context, cl *cluster) error {
	r, err := cl.rollout(ctx, h.name)
	if err != nil {
		return err
	}
	deployment := r.Name
	if ref := r.Spec.WorkloadRef; ref != nil {
		if ref.Kind != "Deployment" {
			return fmt.Errorf("rollout %q is of a %s: release it by hand, there is no Deployment to go back to", r.Name, ref.Kind)
		}
		deployment = ref.Name
	}
	if r.DeletionTimestamp == nil {
		if now := observed(r); now.phase != v1alpha1.RolloutPhaseHealthy {
			return fmt.Errorf("rollout %q is not Healthy (%s): finish its update, or abort and undo it, before it is released", r.Name, now.line())
		}
		if h.dry {
			return h.print(plan(r, deployment))
		}
		if err := h.prepare(ctx, cl, r, deployment); err != nil {
			return err
		}
	} else if h.dry {
		return h.print(fmt.Sprintf("rollout '%s' is on its way out; nothing is left to be done but to wait\n", r.Name))
	}
	if err := h.remove(ctx, cl, deployment); err != nil {
		return err
	}
	return h.print(fmt.Sprintf("rollout '%s' released: deployment.apps/%s serves\n", h.name, deployment))
}

// plan is what --dry-run prints.
func plan(r *v1alpha1.Rollout, deployment string) string {
	text := ""
	if r.Spec.WorkloadRef == nil {
		text = fmt.Sprintf("would create deployment.apps/%s from the rollout's template, and let the rollout refer to it\n", deployment)
	} else if !gives(r) {
		text = "would set spec.workloadRef.scaleDown to progressively, so that the controller gives the pods back\n"
	}
	return text + fmt.Sprintf("would delete rollout '%s'; the controller first scales deployment.apps/%s to %d and waits for its pods\n", r.Name, deployment, r.Spec.ReplicasOrDefault())
}

// gives reports whether the controller gives the pods back when the Rollout is deleted.
func gives(r *v1alpha1.Rollout) bool {
	return r.Spec.WorkloadRef != nil && slices.Contains(r.Finalizers, givingBack)
}

// prepare lets the Rollout be one whose Deployment gets its pods back.
func (h *handingBack) prepare(ctx context.Context, cl *cluster, r *v1alpha1.Rollout, deployment string) error {
	if gives(r) {
		return nil
	}
	if r.Spec.WorkloadRef == nil {
		if err := h.make(ctx, cl, r); err != nil {
			return err
		}
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": nil, "workloadRef": map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment, "scaleDown": "progressively"}}})
	if err != nil {
		return err
	}
	if err := cl.Patch(ctx, r.DeepCopy(), client.RawPatch(types.MergePatchType, patch)); err != nil {
		return err
	}
	return h.await(ctx, cl, aRollout, r.Name, func(o client.Object) (string, bool, error) {
		now, is := o.(*v1alpha1.Rollout)
		if !is {
			return "", true, aRollout.missing(r.Name)
		}
		return "the rollout refers to deployment.apps/" + deployment + "; the controller takes that in", gives(now) && observed(now).phase == v1alpha1.RolloutPhaseHealthy, nil
	})
}

// make creates the Deployment, without pods. One of an earlier call is taken as it is.
func (h *handingBack) make(ctx context.Context, cl *cluster, r *v1alpha1.Rollout) error {
	const mark = "penstock.io/released-from"
	none := int32(0)
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name, Labels: r.Labels, Annotations: map[string]string{mark: string(r.UID)}},
		Spec: appsv1.DeploymentSpec{Replicas: &none, Selector: r.Spec.Selector, Template: r.Spec.Template, MinReadySeconds: r.Spec.MinReadySeconds,
			RevisionHistoryLimit: r.Spec.RevisionHistoryLimit, ProgressDeadlineSeconds: r.Spec.ProgressDeadlineSeconds}}
	err := cl.Create(ctx, d)
	if apierrors.IsAlreadyExists(err) {
		there := &appsv1.Deployment{}
		if err := cl.Get(ctx, client.ObjectKeyFromObject(d), there); err != nil {
			return err
		}
		if there.Annotations[mark] == string(r.UID) {
			return nil
		}
		return fmt.Errorf("deployment %q is there already: remove it, or let the rollout refer to it by spec.workloadRef", r.Name)
	}
	if err != nil {
		return err
	}
	return h.print(fmt.Sprintf("deployment.apps/%s created, without pods yet\n", r.Name))
}

// remove deletes the Rollout, and waits until the controller has given the pods back.
func (h *handingBack) remove(ctx context.Context, cl *cluster, deployment string) error {
	r := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: cl.namespace, Name: h.name}}
	if err := cl.Delete(ctx, r); client.IgnoreNotFound(err) != nil {
		return err
	}
	return h.await(ctx, cl, aRollout, h.name, func(o client.Object) (string, bool, error) {
		if o == nil {
			return "", true, nil
		}
		d := &appsv1.Deployment{}
		err := cl.Get(ctx, client.ObjectKey{Namespace: cl.namespace, Name: deployment}, d)
		if apierrors.IsNotFound(err) {
			return "", true, fmt.Errorf("deployment %q has gone meanwhile, and the rollout's pods will go too: create it anew", deployment)
		}
		if err != nil || d.Spec.Replicas == nil {
			return "", false, err
		}
		return fmt.Sprintf("%d of %d pods of deployment.apps/%s are available", d.Status.AvailableReplicas, *d.Spec.Replicas, deployment), false, nil
	})
}
