package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	// calm is the least time between two pictures; ages are drawn anew every tick.
	calm = 200 * time.Millisecond
	tick = time.Second
	// clear is the published sequence that empties the terminal.
	clear = "\x1b[H\x1b[2J\x1b[0;0H"
)

func (s *session) get() *cobra.Command {
	var watch, plain bool
	var seconds int
	c := &cobra.Command{
		Use: "rollout ROLLOUT_NAME", Aliases: []string{"ro", "rollouts"}, Short: "Show a rollout and all that belongs to it",
		Args: exactly(1), ValidArgsFunction: s.complete,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := s.connect()
			if err != nil {
				return err
			}
			colour := paint(s.escapes() && !plain && s.Getenv("NO_COLOR") == "")
			if !watch {
				w, err := cl.world(c.Context(), args[0])
				if err != nil {
					return err
				}
				w.now = s.Now()
				return s.print(render(w, colour))
			}
			ctx, cancel := withTimeout(c.Context(), time.Duration(seconds)*time.Second)
			defer cancel()
			err = s.watchRollout(ctx, cl, args[0], colour)
			if err == nil && c.Context().Err() == nil {
				return fmt.Errorf("the watch of rollout %q ended after its timeout of %d s", args[0], seconds)
			}
			return err
		},
	}
	c.Flags().BoolVarP(&watch, "watch", "w", false, "keep the picture up to date")
	c.Flags().BoolVar(&plain, "no-color", false, "print no colours")
	c.Flags().IntVar(&seconds, "timeout-seconds", 0, "end the watch with an error after so many seconds; 0 means never")
	return group("get", "Show a rollout", nil, c)
}

// escapes: the output is a terminal that understands escape sequences.
func (s *session) escapes() bool { return s.Terminal && s.Getenv("TERM") != "dumb" }

// withTimeout is context.WithTimeout where 0 means none.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// world lists everything once.
func (c *cluster) world(ctx context.Context, name string) (*world, error) {
	r, err := c.rollout(ctx, name)
	if err != nil {
		return nil, err
	}
	feeds, err := childFeeds(c, r)
	if err != nil {
		return nil, err
	}
	w := &world{rollout: *r}
	for _, f := range feeds {
		u, _, err := f.read(ctx, c)
		if err != nil {
			return nil, err
		}
		w.take(u)
	}
	return w, nil
}

// take replaces the objects of one kind; it is false when the Rollout itself is gone.
func (w *world) take(u update) bool {
	switch u.kind {
	case "rollouts":
		for _, o := range u.objects {
			w.rollout = *o.(*v1alpha1.Rollout)
		}
		return len(u.objects) > 0
	case "replicasets":
		w.replicaSets = nil
		for _, o := range u.objects {
			w.replicaSets = append(w.replicaSets, *o.(*appsv1.ReplicaSet))
		}
	case "pods":
		w.pods = nil
		for _, o := range u.objects {
			w.pods = append(w.pods, *o.(*corev1.Pod))
		}
	case "analysisruns":
		w.runs = nil
		for _, o := range u.objects {
			w.runs = append(w.runs, *o.(*v1alpha1.AnalysisRun))
		}
	}
	return true
}

// watchRollout draws until ctx ends, which is no error, or the Rollout is gone.
func (s *session) watchRollout(ctx context.Context, c *cluster, name string, colour paint) error {
	r, err := c.rollout(ctx, name)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	feeds, err := childFeeds(c, r)
	if err != nil {
		return err
	}
	feeds = append(feeds, rolloutFeed(c, name))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	updates := make(chan update)
	for _, f := range feeds {
		go f.follow(ctx, c, updates)
	}
	return s.draw(ctx, name, len(feeds), updates, colour)
}

func (s *session) draw(ctx context.Context, name string, feeds int, updates <-chan update, colour paint) error {
	w, seen, shown, dirty := &world{}, map[string]bool{}, "", false
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case u := <-updates:
			if u.err != nil {
				return quietly(ctx, u.err)
			}
			if !w.take(u) {
				return missing(name)
			}
			if seen[u.kind] = true; !dirty && len(seen) == feeds {
				dirty = true
				timer.Reset(calm)
			}
			continue
		case <-timer.C:
		}
		dirty = false
		timer.Reset(tick)
		if len(seen) < feeds {
			continue
		}
		w.now = s.Now()
		if picture := render(w, colour); picture != shown {
			if err := s.print(s.between(shown) + picture); err != nil {
				return err
			}
			shown = picture
		}
	}
}

// between separates a picture from the one before: by an empty terminal, or in a file
// or pipe by an empty line.
func (s *session) between(before string) string {
	switch {
	case s.escapes():
		return clear
	case before == "":
		return ""
	}
	return "\n"
}

// quietly drops an error that only says that ctx ended.
func quietly(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
