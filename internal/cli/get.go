package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

const (
	// calm is the least time between two pictures; ages are drawn anew every tick.
	calm = 200 * time.Millisecond
	tick = time.Second
	// clear is the published sequence that empties the terminal.
	clear = "\x1b[H\x1b[2J\x1b[0;0H"
)

// getting is one call of get.
type getting struct {
	*session
	noun    noun
	draw    func(w *world, st style) string
	scope   scope
	output  output
	watch   bool
	plain   bool
	seconds int
}

func (s *session) get() *cobra.Command {
	r := s.getOf(aRollout, render, "Show a rollout and all that belongs to it", "ro", "rollouts")
	x := s.getOf(anExperiment, renderExperiment, "Show an experiment and all that belongs to it", "exp", "experiments")
	return group("get", "Show a rollout or an experiment", nil, r, x)
}

func (s *session) getOf(n noun, draw func(*world, style) string, short string, aliases ...string) *cobra.Command {
	g := &getting{session: s, noun: n, draw: draw}
	c := &cobra.Command{
		Use: n.use(), Aliases: aliases, Short: short, ValidArgsFunction: s.completes(n),
		Args: func(c *cobra.Command, args []string) error {
			if g.scope.wide() && len(args) == 0 {
				return nil
			}
			return exactly(1)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error { return g.run(c, args) },
	}
	g.scope.flags(c)
	g.output.flags(c)
	c.Flags().BoolVarP(&g.watch, "watch", "w", false, "keep the picture up to date")
	c.Flags().BoolVar(&g.plain, "no-color", false, "print no colours")
	c.Flags().IntVar(&g.seconds, "timeout-seconds", 0, "end the watch with an error after so many seconds; 0 means never")
	return c
}

func (g *getting) run(c *cobra.Command, args []string) error {
	encode, err := g.output.printer(c)
	if err != nil {
		return err
	}
	cl, err := g.connect()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return g.every(c, cl, encode)
	}
	if !g.watch {
		return g.once(c.Context(), cl, args[0], encode)
	}
	ctx, cancel := withTimeout(c.Context(), time.Duration(g.seconds)*time.Second)
	defer cancel()
	if encode != nil {
		err = g.follow(ctx, cl, args[0], encode)
	} else {
		err = g.show(ctx, cl, args[0])
	}
	if err == nil && c.Context().Err() == nil {
		return fmt.Errorf("the watch of %s %q ended after its timeout of %d s", g.noun.word, args[0], g.seconds)
	}
	return err
}

// once prints one object, or the picture of it.
func (g *getting) once(ctx context.Context, cl *cluster, name string, encode printer) error {
	if encode != nil {
		o, err := cl.raw(ctx, g.noun, name)
		if err != nil {
			return err
		}
		return encode(o, g.Out)
	}
	w, err := g.gathering(cl, g.noun, name).once(ctx)
	if err != nil {
		return err
	}
	w.now = g.Now()
	return g.print(g.draw(w, style{colour: g.colour() && paint(!g.plain), wide: g.output.wide()}))
}

// every prints all objects in scope, one after the other.
func (g *getting) every(c *cobra.Command, cl *cluster, encode printer) error {
	if g.watch {
		return &usageError{c, "--watch follows one object: name it, or use list"}
	}
	n := g.noun
	if encode != nil {
		n = n.untyped()
	}
	f, err := g.scope.feed(cl, n)
	if err != nil {
		return err
	}
	if encode != nil {
		return cl.printList(c.Context(), f, encode, g.Out)
	}
	u, _, err := f.read(c.Context(), cl)
	if err != nil {
		return err
	}
	if len(u.objects) == 0 {
		return g.nothing()
	}
	for i, o := range sorted(u.objects) {
		if i > 0 {
			if err := g.print("\n"); err != nil {
				return err
			}
		}
		if err := g.once(c.Context(), cl.in(o.GetNamespace()), o.GetName(), nil); err != nil {
			return err
		}
	}
	return nil
}

// follow prints an object whenever it changes, until ctx ends or it is gone.
func (g *getting) follow(ctx context.Context, cl *cluster, name string, encode printer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	updates := make(chan update)
	go cl.named(g.noun.untyped(), name).follow(ctx, cl, updates)
	for shown := ""; ; {
		select {
		case <-ctx.Done():
			return nil
		case u := <-updates:
			if u.err != nil {
				return quietly(ctx, u.err)
			}
			if len(u.objects) == 0 {
				return g.noun.missing(name)
			}
			for _, o := range u.objects {
				if o.GetResourceVersion() == shown {
					continue
				}
				if shown = o.GetResourceVersion(); encode(o, g.Out) != nil {
					return errors.New("cannot print") // somebody closed the pipe
				}
			}
		}
	}
}

// show draws until ctx ends, which is no error, or the object is gone.
func (g *getting) show(ctx context.Context, cl *cluster, name string) error {
	parent, all := ctx, g.gathering(cl, g.noun, name)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	following := all.following(ctx)
	if err := following.begin(); err != nil {
		return err
	}
	shown, dirty := "", false
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case u := <-following.updates:
			if err := following.take(u); err != nil {
				return quietly(parent, err)
			}
			if !dirty && following.whole() {
				dirty = true
				timer.Reset(calm)
			}
			continue
		case <-timer.C:
		}
		dirty = false
		timer.Reset(tick)
		if !following.whole() {
			continue
		}
		w := all.world()
		w.now = g.Now()
		picture := g.draw(w, g.fitting())
		if picture == shown {
			continue
		}
		if err := g.print(g.between(shown) + picture); err != nil {
			return err
		}
		shown = picture
	}
}

// fitting is the style of a picture that is to fit into the terminal.
func (g *getting) fitting() style {
	st := style{colour: g.colour() && paint(!g.plain), wide: g.output.wide()}
	if g.escapes() {
		st.columns, st.lines = g.Size()
	}
	return st
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

// escapes: the output is a terminal that understands escape sequences.
func (s *session) escapes() bool { return s.Terminal && s.Getenv("TERM") != "dumb" }

// colour: the output is a terminal of somebody who wants colours.
func (s *session) colour() paint { return paint(s.escapes() && s.Getenv("NO_COLOR") == "") }

// nothing says that there is nothing to show, which is no error.
func (s *session) nothing() error {
	_, err := fmt.Fprintln(s.Err, "No resources found.")
	return err
}

// withTimeout is context.WithTimeout where 0 means none.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// quietly drops an error that only says that ctx ended.
func quietly(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
