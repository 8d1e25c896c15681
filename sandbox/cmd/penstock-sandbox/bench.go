package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/sandbox/bench"
)

func newBench() *cobra.Command {
	var (
		o           bench.Options
		sizes, runs []int
	)
	c := &cobra.Command{
		Use: "bench", Short: "Measure what a controller costs, and compare it with another one", Args: cobra.NoArgs,
		Long: "Release many Rollouts at once and count the controller's requests, CPU time and memory. Each line on\n" +
			"standard output is a JSON object; docs/bench.md says what the fields mean.",
		RunE: func(c *cobra.Command, _ []string) error {
			o.Out, o.Err, o.Sizes = c.OutOrStdout(), c.ErrOrStderr(), bench.Sizes(sizes...)
			if len(runs) != 3 {
				return fmt.Errorf("--runs has %d numbers, not one each for A1, A2 and A3", len(runs))
			}
			o.Analysis.Finished, o.Analysis.Running, o.Analysis.Hanging = runs[0], runs[1], runs[2]
			return bench.Run(c.Context(), o)
		},
	}
	c.Flags().StringVar(&o.Penstock, "penstock", "bin/controller", "our controller's program")
	c.Flags().StringVar(&o.Plugin, "plugin", "bin/kubectl-penstock", "our plugin's program, for C1")
	c.Flags().StringVar(&o.Other, "controller", "", "program of a controller to compare with")
	c.Flags().StringSliceVar(&o.OtherFlags, "controller-flags", nil, "further flags of that controller, separated by commas")
	c.Flags().IntSliceVar(&sizes, "rollouts", nil, "sizes: how many Rollouts are released at once (default 100 and 500 in W1, 100 in W2, 50 in W3, 20 and 150 in W4, 500 in C1)")
	c.Flags().StringSliceVar(&o.Workloads, "workload", []string{"W1"}, "what to measure: W1 to W4, A1 to A3, C1, N1, traffic for W2 to W4, or analysis for A1 to A3")
	c.Flags().IntSliceVar(&runs, "runs", []int{6600, 1000, 500}, "AnalysisRuns: finished in A1, running in A2, hanging in A3")
	c.Flags().DurationVar(&o.Analysis.Window, "window", time.Minute, "how long A1, A2 and the watch of C1 measure")
	c.Flags().IntVar(&o.Analysis.Repeats, "repeats", 5, "releases that go bad in A3")
	c.Flags().StringVar(&o.Profile, "profile", "", "directory for CPU and heap profiles of the controllers")
	return c
}
