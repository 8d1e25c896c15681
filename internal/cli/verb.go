package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

func (s *session) abort() *cobra.Command {
	return s.forEach(aRollout, "abort ROLLOUT_NAME...", "Send traffic and pods back to the stable version", "aborted", rollout.Abort)
}

func (s *session) pause() *cobra.Command {
	return s.forEach(aRollout, "pause ROLLOUT_NAME...", "Hold a rollout where it is", "paused", rollout.Pause)
}

func (s *session) retry() *cobra.Command {
	c := s.forEach(aRollout, "rollout ROLLOUT_NAME...", "Start an aborted update anew", "retried", rollout.Retry)
	c.Aliases = []string{"ro", "rollouts"}
	x := s.forEach(anExperiment, "experiment EXPERIMENT_NAME...", "Start an experiment anew", "retried", rollout.RetryExperiment)
	x.Aliases = []string{"exp", "experiments"}
	return group("retry", "Start an aborted update or an experiment anew", nil, c, x)
}

func (s *session) terminate() *cobra.Command {
	r := s.forEach(anAnalysisRun, "analysisrun ANALYSISRUN_NAME...", "End a run with what it has measured so far", "terminated", rollout.Terminate)
	r.Aliases = []string{"ar", "analysisruns"}
	x := s.forEach(anExperiment, "experiment EXPERIMENT_NAME...", "End an experiment", "terminated", rollout.Terminate)
	x.Aliases = []string{"exp", "experiments"}
	return group("terminate", "End an analysis run or an experiment", nil, r, x)
}

func (s *session) restart() *cobra.Command {
	var in string
	c := &cobra.Command{
		Use: "restart ROLLOUT_NAME", Short: "Replace all pods, as many at a time as may be missing",
		Args: exactly(1), ValidArgsFunction: s.complete,
		RunE: func(c *cobra.Command, args []string) error {
			after, err := delay(in)
			if err != nil {
				return err
			}
			cl, err := s.connect()
			if err != nil {
				return err
			}
			if err := cl.send(c.Context(), aRollout, args[0], rollout.RestartAt(s.Now().Add(after))); err != nil {
				return err
			}
			return s.print(fmt.Sprintf("rollout '%s' restarts in %s\n", args[0], cmp.Or(in, "0s")))
		},
	}
	c.Flags().StringVarP(&in, "in", "i", "", "how long to wait first, e.g. 30s, 5m or 1h; a number alone is seconds")
	return c
}

// delay is a time to come: a Go duration, or seconds.
func delay(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if seconds, bad := strconv.ParseUint(text, 10, 31); bad == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--in: want a time to come, such as 30s, 5m or 1h, got %q", text)
	}
	return d, nil
}

// forEach is a verb that sends the same patches to every named object, up to the first error.
func (s *session) forEach(n noun, use, short, done string, verb func() []rollout.Patch) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: atLeast(1), ValidArgsFunction: s.completes(n),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := s.connect()
			if err != nil {
				return err
			}
			for _, name := range args {
				if err := cl.send(c.Context(), n, name, verb()); err != nil {
					return err
				}
				if err := s.print(fmt.Sprintf("%s '%s' %s\n", n.word, name, done)); err != nil {
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
			if err := cl.send(c.Context(), aRollout, args[0], patches); err != nil {
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
func (c *cluster) send(ctx context.Context, n noun, name string, patches []rollout.Patch) error {
	for _, p := range patches {
		err := c.patch(ctx, n, name, p.Subresource, p.Body)
		if apierrors.IsNotFound(err) && p.Unified != nil {
			return c.patch(ctx, n, name, "", p.Unified)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) patch(ctx context.Context, n noun, name, subresource string, body []byte) error {
	r := n.empty()
	r.SetNamespace(c.namespace)
	r.SetName(name)
	patch := client.RawPatch(types.MergePatchType, body)
	if subresource == "" {
		return c.Patch(ctx, r, patch)
	}
	return c.SubResource(subresource).Patch(ctx, r, patch)
}
