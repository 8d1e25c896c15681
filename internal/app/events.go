package app

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/event"
	"github.com/penstock-io/penstock/internal/kube"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
)

// eventTimeout bounds one request of the outbox.
const eventTimeout = 15 * time.Second

// newEvents makes what sends the events of all controllers.
//
// The manager's own recorder will not do: with leader election it sends each event twice,
// of which the second is refused. Nor will client-go's broadcaster: it sends one event
// after the other, of which each is a write, and drops half of them when hundreds of
// Rollouts change at once.
func newEvents(m manager.Manager, o Options, series *loop.Metrics) (*event.Outbox, error) {
	config := rest.CopyConfig(m.GetConfig())
	config.ContentType = runtime.ContentTypeProtobuf
	client, err := typedcorev1.NewForConfigAndClient(config, m.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("make the client of events: %w", err)
	}
	return event.New(event.Options{
		// Published tools look for core/v1 events of this component.
		Sink: sink{client.Events("")}, Scheme: m.GetScheme(), Component: kube.EventsComponent, Routine: routine,
		Dropped: series.Lost, Logger: o.Logger, Now: o.Now,
	}), nil
}

// routine are the reasons of which a release tells many, and for which nobody waits.
func routine(reason string) bool {
	switch rollout.Reason(reason) {
	case rollout.NewReplicaSetCreated, rollout.RolloutUpdated, rollout.RolloutNotCompleted, rollout.ScalingReplicaSet,
		rollout.RolloutStepCompleted, rollout.TrafficWeightUpdated, rollout.RolloutAddedToInformer, rollout.SwitchService,
		rollout.AnalysisRunPrefix + rollout.Reason(v1alpha1.AnalysisPhaseRunning), rollout.AnalysisRunPrefix + rollout.Reason(v1alpha1.AnalysisPhaseSuccessful):
		return true
	}
	return false
}

// sink sends events to the API server.
type sink struct{ client typedcorev1.EventInterface }

func (s sink) Create(ctx context.Context, e *corev1.Event) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	_, err := s.client.CreateWithEventNamespaceWithContext(ctx, e)
	return err
}

func (s sink) Patch(ctx context.Context, e *corev1.Event, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	_, err := s.client.PatchWithEventNamespaceWithContext(ctx, e, data)
	return err
}
