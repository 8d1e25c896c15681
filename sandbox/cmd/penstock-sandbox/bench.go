package main

import (
	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/sandbox/bench"
)

func newBench() *cobra.Command {
	var (
		o     bench.Options
		sizes []int
	)
	c := &cobra.Command{
		Use: "bench", Short: "Measure what a controller costs, and compare it with another one", Args: cobra.NoArgs,
		Long: "Release many Rollouts at once and count the controller's requests, CPU time and memory. Each line on\n" +
			"standard output is a JSON object; docs/bench.md says what the fields mean.",
		RunE: func(c *cobra.Command, _ []string) error {
			o.Out, o.Err, o.Sizes = c.OutOrStdout(), c.ErrOrStderr(), bench.Sizes(sizes...)
			return bench.Run(c.Context(), o)
		},
	}
	c.Flags().StringVar(&o.Penstock, "penstock", "bin/controller", "our controller's program")
	c.Flags().StringVar(&o.Other, "controller", "", "program of a controller to compare with")
	c.Flags().StringSliceVar(&o.OtherFlags, "controller-flags", nil, "further flags of that controller, separated by commas")
	c.Flags().IntSliceVar(&sizes, "rollouts", []int{100, 500}, "sizes: how many Rollouts are released at once")
	c.Flags().StringVar(&o.Profile, "profile", "", "directory for CPU and heap profiles of the controllers")
	return c
}
