// Command controller runs Penstock in a cluster. Its flags are those of the published
// rollouts-controller, so that its manifests keep working.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	// Roots of trust for an image that has none of its own.
	_ "golang.org/x/crypto/x509roots/fallback"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newCommand(os.Stderr).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}
