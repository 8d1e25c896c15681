package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// The exit codes of status, beside 0. Published are 0 and 1 alone: 1 is still the one of a
// degraded rollout.
const (
	exitDegraded  = 1
	exitPaused    = 2
	exitTimeout   = 3 // or not there yet, when nobody waits
	exitNotFound  = 4
	exitOther     = 5 // no verdict: no cluster, no rights, a wrong command line, an interrupt
	exitOtherwise = 6 // healthy, where something else was asked for
)

var (
	errStatusTimeout     = errors.New("Rollout status watch exceeded timeout") //nolint:staticcheck // published text
	errStatusInterrupted = errors.New("rollout status watch was interrupted")
)

// waiting is one call of status.
type waiting struct {
	*session
	watch   bool
	timeout time.Duration
	phases  []string
}

func (s *session) status() *cobra.Command {
	w := &waiting{session: s}
	c := &cobra.Command{
		Use: "status ROLLOUT_NAME", Short: "Print the phase until the rollout is healthy or degraded",
		Long: `Print the phase until the rollout is healthy or degraded, or what --for says.

Exit codes: 0 as asked for (without --for: healthy, or with --watch=false not degraded),
1 degraded, 2 paused (with --for), 3 timeout or not there yet, 4 no such rollout, 5 no
answer (no cluster, no rights, a wrong command line), 6 healthy though --for asks for
something else.`,
		Args: exactly(1), ValidArgsFunction: s.complete, Annotations: map[string]string{usageExit: fmt.Sprint(exitOther)},
		RunE: func(c *cobra.Command, args []string) error {
			err := w.run(c, args[0])
			switch {
			case err == nil, errors.As(err, new(exit)), errors.As(err, new(*usageError)):
				return err
			case apierrors.IsNotFound(err):
				return exit{exitNotFound, err}
			}
			return exit{exitOther, err}
		},
	}
	c.Flags().BoolVarP(&w.watch, "watch", "w", true, "wait until the rollout is healthy or degraded")
	c.Flags().DurationVarP(&w.timeout, "timeout", "t", 0, "how long to wait, e.g. 90s or 5m; 0 means for ever")
	c.Flags().StringSliceVar(&w.phases, "for", nil, "the phases that are success: healthy, paused, degraded or progressing, with commas between them")
	return c
}

func (w *waiting) run(c *cobra.Command, name string) error {
	for i, p := range w.phases {
		w.phases[i] = strings.ToLower(p)
		if !slices.Contains([]string{"healthy", "paused", "degraded", "progressing"}, w.phases[i]) {
			return &usageError{c, fmt.Sprintf("--for: want healthy, paused, degraded or progressing, got %q", p)}
		}
	}
	cl, err := w.connect()
	if err != nil {
		return err
	}
	if w.watch {
		return w.follow(c.Context(), cl, name)
	}
	r, err := cl.rollout(c.Context(), name)
	if err != nil {
		return err
	}
	now := observed(r)
	line := now.line()
	if now.phase == v1alpha1.RolloutPhaseDegraded || now.phase == v1alpha1.RolloutPhaseHealthy {
		line = string(now.phase)
	}
	return errors.Join(w.print(line+"\n"), w.verdict(now, true))
}

// follow prints every new state until one is an answer.
func (w *waiting) follow(parent context.Context, c *cluster, name string) error {
	ctx, cancel := withTimeout(parent, w.timeout)
	defer cancel()
	updates := make(chan update)
	go c.named(aRollout, name).follow(ctx, c, updates)
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
			return exit{exitTimeout, errStatusTimeout}
		case u.err != nil:
			return u.err
		case len(u.objects) == 0:
			return aRollout.missing(name)
		}
		for _, o := range u.objects {
			now := observed(o.(*v1alpha1.Rollout))
			if line := now.line(); line != shown {
				if err := w.print(line + "\n"); err != nil {
					return err
				}
				shown = line
			}
			if w.wants(now.phase) || now.phase == v1alpha1.RolloutPhaseHealthy || now.phase == v1alpha1.RolloutPhaseDegraded {
				return w.verdict(now, false)
			}
		}
	}
}

// wants: the phase is one that --for names.
func (w *waiting) wants(p v1alpha1.RolloutPhase) bool {
	return slices.Contains(w.phases, strings.ToLower(string(p)))
}

// verdict is the error of a state that is not what was asked for; early says that a later
// state might have been.
func (w *waiting) verdict(now state, early bool) error {
	switch {
	case w.wants(now.phase):
	case now.phase == v1alpha1.RolloutPhaseDegraded:
		return exit{exitDegraded, fmt.Errorf("The rollout is in a degraded state with message: %s", now.message)} //nolint:staticcheck // published text
	case len(w.phases) == 0:
	case now.phase == v1alpha1.RolloutPhaseHealthy:
		return exit{exitOtherwise, fmt.Errorf("the rollout is healthy; asked for was %s", strings.Join(w.phases, " or "))}
	case early && now.phase == v1alpha1.RolloutPhasePaused:
		return exit{exitPaused, fmt.Errorf("the rollout is paused: %s", now.message)}
	case early:
		return exit{exitTimeout, fmt.Errorf("the rollout is not %s yet: %s", strings.Join(w.phases, " or "), now.line())}
	}
	return nil
}
