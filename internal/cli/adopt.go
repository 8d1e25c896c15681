package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/convert"
)

// unseenFor is how long a new Rollout may be without an answer before adopt says that no
// controller seems to run.
const unseenFor = 30 * time.Second

// taking is one call of adopt.
type taking struct {
	*session
	name    string
	dry     bool
	timeout time.Duration
	asked   time.Time
}

func (s *session) adopt() *cobra.Command {
	a := &taking{session: s}
	c := &cobra.Command{
		Use: "deployment DEPLOYMENT_NAME", Aliases: []string{"deploy", "deployments"}, Short: "Put a rollout in a deployment's place, without a lost request",
		Long: `Put a rollout in a deployment's place, without a lost request.

The Rollout refers to the Deployment (workloadRef), so whoever writes the Deployment's template
goes on doing so. Its pods take the place of the Deployment's one for one, as they become
available; the same Services reach both. A call that was interrupted is simply made again.
"release rollout" takes it back.`,
		Args: exactly(1), ValidArgsFunction: s.completes(aDeployment),
		RunE: func(c *cobra.Command, args []string) error {
			a.name, a.asked = args[0], a.Now()
			ctx, cancel := withTimeout(c.Context(), a.timeout)
			defer cancel()
			cl, err := a.connect()
			if err != nil {
				return err
			}
			err = a.run(ctx, cl)
			if c.Context().Err() == nil && ctx.Err() != nil {
				return fmt.Errorf("not done after %s; the pods of both serve. Look with `%s why %s`; `%[2]s release rollout %[3]s` goes back", a.timeout, s.display, a.name)
			}
			return err
		},
	}
	c.Flags().BoolVar(&a.dry, "dry-run", false, "print the rollout that would be created, and create nothing")
	c.Flags().DurationVarP(&a.timeout, "timeout", "t", 10*time.Minute, "how long to wait for pods; 0 means for ever")
	return group("adopt", "Put a rollout in a deployment's place", nil, c)
}

func (a *taking) run(ctx context.Context, cl *cluster) error {
	d := &appsv1.Deployment{}
	if err := cl.fetch(ctx, aDeployment, a.name, d); err != nil {
		return err
	}
	there, err := a.already(ctx, cl)
	if err != nil {
		return err
	}
	if there == nil {
		if err := a.ready(ctx, cl, d); err != nil {
			return err
		}
		made, err := convert.Deployment(convert.Input{Deployment: d, Reference: true})
		if err != nil {
			return err
		}
		if a.dry {
			return a.manifestsOf(made.Objects)
		}
		r, _ := made.Objects[len(made.Objects)-1].(*v1alpha1.Rollout)
		if err := cl.Create(ctx, r); err != nil {
			return err
		}
		if err := a.print(fmt.Sprintf("rollout.argoproj.io/%s created\n", r.Name)); err != nil {
			return err
		}
	} else if a.dry {
		return a.print(fmt.Sprintf("rollout '%s' is there already; nothing is left to be done but to wait\n", a.name))
	}
	if err := a.takeOver(ctx, cl); err != nil {
		return err
	}
	return a.print(fmt.Sprintf("deployment '%s' adopted: rollout.argoproj.io/%[1]s serves\n", a.name))
}

// already finds the Rollout of an earlier call.
func (a *taking) already(ctx context.Context, cl *cluster) (*v1alpha1.Rollout, error) {
	list := &v1alpha1.RolloutList{}
	if err := cl.List(ctx, list, client.InNamespace(cl.namespace)); err != nil {
		return nil, err
	}
	for i := range list.Items {
		r := &list.Items[i]
		ref := r.Spec.WorkloadRef
		its := ref != nil && ref.Kind == "Deployment" && ref.Name == a.name
		switch {
		case its && r.Name == a.name:
			return r, nil
		case its:
			return nil, fmt.Errorf("rollout %q has adopted deployment %q already", r.Name, a.name)
		case r.Name == a.name:
			return nil, fmt.Errorf("there is a rollout %q that is not of this deployment: rename or remove it first", r.Name)
		}
	}
	return nil, nil
}

// ready says why a Deployment cannot be adopted now.
func (a *taking) ready(ctx context.Context, cl *cluster, d *appsv1.Deployment) error {
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	switch {
	case d.Spec.Paused:
		return fmt.Errorf("deployment %q is paused: resume it first, so that all its pods are of one version", a.name)
	case wanted == 0:
		return fmt.Errorf("deployment %q has no pods: scale it up first", a.name)
	case d.Status.ObservedGeneration < d.Generation, d.Status.UpdatedReplicas < wanted, d.Status.AvailableReplicas < wanted:
		return fmt.Errorf("deployment %q is not rolled out: %d of %d pods are of its template and available. Wait for `kubectl rollout status deployment %[1]s`",
			a.name, min(d.Status.UpdatedReplicas, d.Status.AvailableReplicas), wanted)
	}
	list := &autoscalingv2.HorizontalPodAutoscalerList{}
	if err := cl.List(ctx, list, client.InNamespace(cl.namespace)); apierrors.IsForbidden(err) || meta.IsNoMatchError(err) {
		fmt.Fprintf(a.Err, "Warning: autoscalers are not looked at: %v\n", err)
		return nil
	} else if err != nil {
		return err
	}
	for _, h := range list.Items {
		if t := h.Spec.ScaleTargetRef; t.Kind == "Deployment" && t.Name == a.name {
			return fmt.Errorf("the autoscaler %q drives deployment %q: point its spec.scaleTargetRef at apiVersion argoproj.io/v1alpha1, kind Rollout, name %[2]s, and call this again; until then it does nothing",
				h.Name, a.name)
		}
	}
	return nil
}

// takeOver waits until the Rollout is Healthy and the Deployment has no pods left.
func (a *taking) takeOver(ctx context.Context, cl *cluster) error {
	return a.await(ctx, cl, aRollout, a.name, func(o client.Object) (string, bool, error) {
		r, is := o.(*v1alpha1.Rollout)
		if !is {
			return "", true, aRollout.missing(a.name)
		}
		if r.Status.ObservedGeneration == "" {
			if a.Now().Sub(a.asked) > unseenFor {
				return "", true, fmt.Errorf("no controller has looked at the rollout yet: is one running? The deployment serves as before; `kubectl delete rollout %s` takes this back", a.name)
			}
			return "", false, nil
		}
		now := observed(r)
		if now.phase == v1alpha1.RolloutPhaseDegraded {
			return "", true, fmt.Errorf("the rollout is Degraded (%s); the deployment's pods serve on. `%s release rollout %s` goes back", now.message, a.display, a.name)
		}
		d := &appsv1.Deployment{}
		if err := cl.fetch(ctx, aDeployment, a.name, d); err != nil {
			return "", true, err
		}
		say := fmt.Sprintf("%d of %d pods of the rollout are available, the deployment has %d", r.Status.AvailableReplicas, r.Spec.ReplicasOrDefault(), d.Status.Replicas)
		return say, now.phase == v1alpha1.RolloutPhaseHealthy && d.Status.Replicas == 0, nil
	})
}
