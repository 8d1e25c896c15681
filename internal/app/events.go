package app

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// eventCache is how many objects' events are remembered for joining repeated ones.
const eventCache = 1024

// newEvents makes the broadcaster of events. It is not the manager's: with leader
// election the manager connects its own to the API server twice, and every event is then
// sent twice, of which the second is refused.
func newEvents(m manager.Manager) (record.EventBroadcaster, error) {
	config := rest.CopyConfig(m.GetConfig())
	config.ContentType = runtime.ContentTypeProtobuf
	client, err := typedcorev1.NewForConfigAndClient(config, m.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("make the client of events: %w", err)
	}
	// One rollout can tell far more than client-go's default of 25 events in a burst.
	b := record.NewBroadcasterWithCorrelatorOptions(record.CorrelatorOptions{
		QPS: 1, BurstSize: 300, LRUCacheSize: eventCache,
	})
	b.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.Events("")})
	return b, nil
}
