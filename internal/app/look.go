package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/kube"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
)

// Look sees one Rollout as a controller with default options would, and tells what that would
// do: also where no controller runs. It needs the rights to read what belongs to the Rollout.
func Look(ctx context.Context, config *rest.Config, namespace, name string, now time.Time) (rollout.Snapshot, rollout.Plan, []*v1alpha1.AnalysisRun, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return rollout.Snapshot{}, rollout.Plan{}, nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return rollout.Snapshot{}, rollout.Plan{}, nil, fmt.Errorf("prepare the connection to the cluster: %w", err)
	}
	seen, plan, err := kube.Look(ctx, c, Routers(c, c, RouterOptions{}), loop.Key{Namespace: namespace, Name: name}, now)
	if errors.Is(err, loop.ErrGone) {
		err = fmt.Errorf("rollout.argoproj.io %q not found", name)
	}
	return seen.Snapshot, plan, seen.AnalysisRuns(), err
}
