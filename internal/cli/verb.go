package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

func (s *session) abort() *cobra.Command {
	return s.forEach("abort ROLLOUT_NAME...", "Send traffic and pods back to the stable version", "aborted", rollout.Abort)
}

func (s *session) pause() *cobra.Command {
	return s.forEach("pause ROLLOUT_NAME...", "Hold a rollout where it is", "paused", rollout.Pause)
}

func (s *session) retry() *cobra.Command {
	c := s.forEach("rollout ROLLOUT_NAME...", "Start an aborted update anew", "retried", rollout.Retry)
	c.Aliases = []string{"ro", "rollouts"}
	return c
}

// forEach is a verb that sends the same patches to every named Rollout, up to the first error.
func (s *session) forEach(use, short, done string, verb func() []rollout.Patch) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: atLeast(1), ValidArgsFunction: s.complete,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := s.connect()
			if err != nil {
				return err
			}
			for _, name := range args {
				if err := cl.send(c.Context(), name, verb()); err != nil {
					return err
				}
				if err := s.print(fmt.Sprintf("rollout '%s' %s\n", name, done)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (s *session) promote() *cobra.Command {
	var o rollout.PromoteOptions
	c := &cobra.Command{
		Use: "promote ROLLOUT_NAME", Short: "Let a paused or running update go on",
		Args: exactly(1), ValidArgsFunction: s.complete,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := s.connect()
			if err != nil {
				return err
			}
			r, err := cl.rollout(c.Context(), args[0])
			if err != nil {
				return err
			}
			patches, err := rollout.Promote(r, o)
			if err != nil {
				return err
			}
			if err := cl.send(c.Context(), args[0], patches); err != nil {
				return err
			}
			return s.print(fmt.Sprintf("rollout '%s' %s\n", args[0], outcome(r, o, patches)))
		},
	}
	c.Flags().BoolVar(&o.Full, "full", false, "skip all that is left: steps, pauses, analysis")
	c.Flags().BoolVarP(&o.SkipCurrent, "skip-current-step", "c", false, "skip the current step (deprecated: promote does that)")
	c.Flags().BoolVarP(&o.SkipAll, "skip-all-steps", "a", false, "skip all steps (deprecated: use --full)")
	return c
}

// outcome says what was done; where nothing was, it says that.
func outcome(r *v1alpha1.Rollout, o rollout.PromoteOptions, patches []rollout.Patch) string {
	switch {
	case o.Full && r.Status.CurrentPodHash == r.Status.StableRS && len(patches) > 0:
		return "unpaused; it was already fully promoted"
	case o.Full && len(patches) == 0:
		return "already fully promoted"
	case len(patches) == 0:
		return "has nothing to promote"
	case o.Full:
		return "fully promoted"
	}
	return "promoted"
}

// send applies the patches in their order, with the older form where the API server has
// no status subresource.
func (c *cluster) send(ctx context.Context, name string, patches []rollout.Patch) error {
	for _, p := range patches {
		err := c.patch(ctx, name, p.Subresource, p.Body)
		if apierrors.IsNotFound(err) && p.Unified != nil {
			return c.patch(ctx, name, "", p.Unified)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) patch(ctx context.Context, name, subresource string, body []byte) error {
	r := &v1alpha1.Rollout{}
	r.Namespace, r.Name = c.namespace, name
	patch := client.RawPatch(types.MergePatchType, body)
	if subresource == "" {
		return c.Patch(ctx, r, patch)
	}
	return c.SubResource(subresource).Patch(ctx, r, patch)
}
