package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

var (
	errStatusTimeout     = errors.New("Rollout status watch exceeded timeout") //nolint:staticcheck // published text
	errStatusInterrupted = errors.New("rollout status watch was interrupted")
)

func (s *session) status() *cobra.Command {
	var watch bool
	var timeout time.Duration
	c := &cobra.Command{
		Use: "status ROLLOUT_NAME", Short: "Print the phase until the rollout is healthy or degraded",
		Args: exactly(1), ValidArgsFunction: s.complete,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := s.connect()
			if err != nil {
				return err
			}
			if watch {
				return s.watchStatus(c.Context(), cl, args[0], timeout)
			}
			r, err := cl.rollout(c.Context(), args[0])
			if err != nil {
				return err
			}
			now := observed(r)
			line := now.line()
			if now.phase == v1alpha1.RolloutPhaseDegraded || now.phase == v1alpha1.RolloutPhaseHealthy {
				line = string(now.phase)
			}
			return errors.Join(s.print(line+"\n"), verdict(now))
		},
	}
	c.Flags().BoolVarP(&watch, "watch", "w", true, "wait until the rollout is healthy or degraded")
	c.Flags().DurationVarP(&timeout, "timeout", "t", 0, "how long to wait, e.g. 90s or 5m; 0 means for ever")
	return c
}

// verdict is the error of a degraded rollout.
func verdict(now state) error {
	if now.phase == v1alpha1.RolloutPhaseDegraded {
		return fmt.Errorf("The rollout is in a degraded state with message: %s", now.message) //nolint:staticcheck // published text
	}
	return nil
}

// watchStatus prints every new state until one is final.
func (s *session) watchStatus(parent context.Context, c *cluster, name string, timeout time.Duration) error {
	ctx, cancel := withTimeout(parent, timeout)
	defer cancel()
	updates := make(chan update)
	go rolloutFeed(c, name).follow(ctx, c, updates)
	for shown := ""; ; {
		var u update
		select {
		case <-ctx.Done():
		case u = <-updates:
		}
		switch {
		case parent.Err() != nil:
			return errStatusInterrupted
		case ctx.Err() != nil:
			return errStatusTimeout
		case u.err != nil:
			return u.err
		}
		w := &world{}
		if !w.take(u) {
			return missing(name)
		}
		now := observed(&w.rollout)
		if line := now.line(); line != shown {
			if err := s.print(line + "\n"); err != nil {
				return err
			}
			shown = line
		}
		if now.phase == v1alpha1.RolloutPhaseHealthy || now.phase == v1alpha1.RolloutPhaseDegraded {
			return verdict(now)
		}
	}
}
