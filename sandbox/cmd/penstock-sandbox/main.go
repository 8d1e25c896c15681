// Command penstock-sandbox runs a Kubernetes cluster for trying out progressive delivery,
// in one process and on loopback.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/sandbox/cluster"
	"github.com/penstock-io/penstock/sandbox/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := newCommand().ExecuteContext(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "penstock-sandbox: interrupted; nothing is left behind")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "penstock-sandbox:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "penstock-sandbox", Short: "A Kubernetes cluster in one process, for progressive delivery",
		SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newUp(), newDemo(), newBench())
	return root
}

// place adds the flags that both commands have.
func place(c *cobra.Command, dir *string, portBase *int) {
	c.Flags().StringVar(dir, "dir", "", "state directory (default a temporary one); what was made in it is removed at the end")
	c.Flags().IntVar(portBase, "port-base", 0, "first of three ports: API server, gateway, Prometheus (default free ports)")
}

func newUp() *cobra.Command {
	var o cluster.Options
	c := &cobra.Command{
		Use: "up", Short: "Start a cluster, print its kubeconfig, and stay until interrupted", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return up(c, o) },
	}
	place(c, &o.Dir, &o.PortBase)
	c.Flags().BoolVar(&o.Bare, "bare", false, "leave Penstock out: a plain cluster, with the gateway and Prometheus, for any other controller")
	return c
}

// up prints where things are on standard output, and progress on standard error, so that
// the output can be evaluated by a shell.
func up(c *cobra.Command, o cluster.Options) error {
	o.Progress = func(s string) { fmt.Fprintln(c.ErrOrStderr(), s) }
	k, err := cluster.Start(c.Context(), o)
	if err != nil {
		return err
	}
	defer k.Stop()
	fmt.Fprintf(c.OutOrStdout(), "export KUBECONFIG=%s\nexport GATEWAY=%s\nexport PROMETHEUS=%s\n", k.Kubeconfig(), k.Gateway().URL(), k.PrometheusURL())
	fmt.Fprintf(c.ErrOrStderr(), "up; logs are in %s; Ctrl-C ends it\n", k.Dir())
	select {
	case <-c.Context().Done():
		fmt.Fprintln(c.ErrOrStderr(), "stopping")
		return nil
	case <-k.Done():
		return fmt.Errorf("%w; the logs are in %s", k.Err(), k.KeepLogs())
	}
}

func newDemo() *cobra.Command {
	o := demo.Options{Rate: demo.DefaultRate}
	c := &cobra.Command{
		Use: "demo", Short: "Release a good and a bad version under load, and measure what happens", Args: cobra.NoArgs,
		Long: "Release examples/demo under load: v2, which is healthy, goes to 5, 30, 60 and 100 %, and v3, which fails\n" +
			"5 % of its requests, is stopped by its analysis. The last line on standard output is a JSON object.",
		RunE: func(c *cobra.Command, _ []string) error {
			o.Out, o.Err = c.OutOrStdout(), c.ErrOrStderr()
			return demo.Run(c.Context(), o)
		},
	}
	place(c, &o.Dir, &o.PortBase)
	c.Flags().Float64Var(&o.Rate, "rate", demo.DefaultRate, "load in requests per second")
	c.Flags().BoolVar(&o.Keep, "keep", false, "leave the cluster up until interrupted")
	return c
}
