// Command kubectl-penstock is the kubectl plugin. Under the file name
// kubectl-argo-rollouts it answers to `kubectl argo rollouts`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/penstock-io/penstock/internal/app"
	"github.com/penstock-io/penstock/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, cli.Options{
		Args: os.Args, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Terminal: cli.Terminal(os.Stdout),
		Size: cli.Size(os.Stdout),
		Look: app.Look,
	})
	stop()
	os.Exit(code)
}
