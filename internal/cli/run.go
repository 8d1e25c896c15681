package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
)

// Options are what the plugin takes from its surroundings. Args, Out and Err must be set.
type Options struct {
	// Args is the whole command line; the file name in Args[0] gives the plugin its name.
	Args     []string
	Out, Err io.Writer
	// In is standard input; nil means that there is none.
	In io.Reader
	// Getenv reads TERM and NO_COLOR; nil means that neither is set.
	Getenv func(string) string
	// Terminal says that Out is one: only then is there colour and redrawing in place.
	Terminal bool
	// Size is how many characters and lines the terminal has; nil, or 0, means any number.
	Size func() (columns, lines int)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Look lets `why` see a Rollout as a controller does; nil does without that command.
	Look Look
	// WrapConfig changes how the API server is reached; nil leaves it.
	WrapConfig func(*rest.Config) *rest.Config
}

// Terminal reports whether the file is a terminal (or another character device).
func Terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Size is how many characters and lines the terminal behind a file has, or 0.
func Size(f *os.File) func() (columns, lines int) {
	return func() (int, int) {
		columns, lines, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0, 0
		}
		return columns, lines
	}
}

// session is one call of the plugin.
type session struct {
	Options
	file, display string // kubectl-argo-rollouts, kubectl argo rollouts
	flags         *genericclioptions.ConfigFlags
	verbosity     int
	cluster       *cluster // once it was asked for
}

// usageError is a wrong command line; the usage of the command follows it.
type usageError struct {
	command *cobra.Command
	text    string
}

func (e *usageError) Error() string { return e.text }

// exit is an error with an exit code of its own.
type exit struct {
	code int
	error
}

func (e exit) Unwrap() error { return e.error }

// usageExit annotates a command with the exit code of its wrong command lines, if not 1.
const usageExit = "penstock.io/usage-exit"

// Run runs the plugin until it is done or ctx ends, and returns the exit code: 0, or 1
// after any error, which it has then printed as "Error: <message>". The help of status and
// of lint tells of further codes.
func Run(ctx context.Context, o Options) int {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Size == nil {
		o.Size = func() (int, int) { return 0, 0 }
	}
	s := &session{Options: o}
	s.file, s.display = names(o.Args)
	args, file := completing(o.Args, s.file)
	s.file, s.display = names([]string{file})
	root := s.root()
	if len(args) > 0 {
		root.SetArgs(args[1:])
	}
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var usage *usageError
	if !errors.As(err, &usage) {
		fmt.Fprintln(o.Err, "Error:", s.plainly(err))
		if hint := s.hint(ctx, err); hint != "" {
			fmt.Fprintln(o.Err, hint)
		}
		own := exit{code: 1}
		errors.As(err, &own)
		return own.code
	}
	if usage.text != "" {
		fmt.Fprintln(o.Err, "Error:", usage.text)
	}
	// The thirty flags of every command would push the error off the screen; --help has them.
	usage.command.InheritedFlags().VisitAll(func(f *pflag.Flag) { f.Hidden = true })
	fmt.Fprint(o.Err, usage.command.UsageString())
	if code, err := strconv.Atoi(usage.command.Annotations[usageExit]); err == nil {
		return code
	}
	return 1
}

// names gives the file's name and what a user types: kubectl finds the plugin
// "kubectl-argo-rollouts" for "kubectl argo rollouts", and "_" in a file's name for "-".
func names(args []string) (file, display string) {
	file = "kubectl-penstock"
	if len(args) > 0 && args[0] != "" {
		file = strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	}
	if rest, ok := strings.CutPrefix(file, "kubectl-"); ok {
		return file, "kubectl " + strings.NewReplacer("-", " ", "_", "-").Replace(rest)
	}
	return file, file
}

func (s *session) root() *cobra.Command {
	c := group(s.file, "Follow and steer Rollouts", nil,
		s.get(), s.list(), s.promote(), s.abort(), s.retry(), s.pause(), s.restart(), s.terminate(), s.set(), s.undo(), s.status(),
		s.create(), s.convert(), s.adopt(), s.release(), s.why(), s.history(), s.diff(), s.lint(), s.guard(), s.notifications(), s.completion(), s.version())
	c.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: s.display}
	c.SilenceUsage, c.SilenceErrors = true, true
	c.SetOut(s.Out)
	c.SetErr(s.Err)
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return &usageError{c, err.Error()} })
	c.SetHelpFunc(func(c *cobra.Command, _ []string) {
		about := c.Short
		if c.Long != "" {
			about = c.Long
		}
		fmt.Fprintf(s.Err, "%s\n\n%s", about, c.UsageString())
	})
	s.flags = genericclioptions.NewConfigFlags(true)
	s.flags.WrapConfigFn = s.WrapConfig
	s.flags.AddFlags(c.PersistentFlags())
	c.PersistentFlags().IntVarP(&s.verbosity, "kloglevel", "v", 0, "verbosity of the Kubernetes client")
	c.PersistentFlags().String("loglevel", "info", "accepted for compatibility; the plugin keeps no log")
	return c
}

// group is a command that only holds others: alone it prints its usage and is an error.
func group(use, short string, aliases []string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Aliases: aliases, Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{c, fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())}
			}
			return &usageError{command: c}
		},
	}
	c.AddCommand(children...)
	return c
}

// exactly and atLeast check the number of names; a wrong one is a usage error.
func exactly(n int) cobra.PositionalArgs { return asUsage(cobra.ExactArgs(n)) }
func atLeast(n int) cobra.PositionalArgs { return asUsage(cobra.MinimumNArgs(n)) }

func asUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return &usageError{c, err.Error()}
		}
		return nil
	}
}

func (s *session) print(text string) error {
	_, err := io.WriteString(s.Out, text)
	return err
}
