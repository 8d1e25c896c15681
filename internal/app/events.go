package app

import (
	"fmt"
	"hash/maphash"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

const (
	// eventSenders are how many events are under way to the API server at a time: about
	// as many as passes, each of which may tell some.
	eventSenders = 8
	// eventCache is how many events each sender remembers, to join repeated ones.
	eventCache = 256
)

// events takes events from passes and sends them without holding those up. A broadcaster
// of client-go sends one after the other and drops what has queued up behind it, which
// loses half of the events when hundreds of Rollouts change at once; so there are several,
// each for its share of the objects, so that the events of one object stay in order.
//
// None of them is the manager's: with leader election it connects the one that it is given
// to the API server twice, and each event is then sent twice, of which the second is refused.
type events struct {
	senders []record.EventBroadcaster
	seed    maphash.Seed
}

func newEvents(m manager.Manager) (*events, error) {
	config := rest.CopyConfig(m.GetConfig())
	config.ContentType = runtime.ContentTypeProtobuf
	client, err := typedcorev1.NewForConfigAndClient(config, m.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("make the client of events: %w", err)
	}
	return eventsTo(&typedcorev1.EventSinkImpl{Interface: client.Events("")}), nil
}

func eventsTo(sink record.EventSink) *events {
	e := &events{seed: maphash.MakeSeed()}
	for range eventSenders {
		// One rollout can tell far more than client-go's default of 25 events in a burst.
		b := record.NewBroadcasterWithCorrelatorOptions(record.CorrelatorOptions{QPS: 1, BurstSize: 300, LRUCacheSize: eventCache})
		b.StartRecordingToSink(sink)
		e.senders = append(e.senders, b)
	}
	return e
}

// recorder names the component in every event.
func (e *events) recorder(s *runtime.Scheme, component string) record.EventRecorder {
	r := recorder{seed: e.seed}
	for _, b := range e.senders {
		r.senders = append(r.senders, b.NewRecorder(s, corev1.EventSource{Component: component}))
	}
	return r
}

func (e *events) Shutdown() {
	for _, b := range e.senders {
		b.Shutdown()
	}
}

type recorder struct {
	senders []record.EventRecorder
	seed    maphash.Seed
}

// of is the sender of an object's events.
func (r recorder) of(o runtime.Object) record.EventRecorder {
	var name string
	if m, err := meta.Accessor(o); err == nil {
		name = m.GetNamespace() + "/" + m.GetName()
	}
	return r.senders[maphash.String(r.seed, name)%uint64(len(r.senders))]
}

func (r recorder) Event(o runtime.Object, kind, reason, message string) {
	r.of(o).Event(o, kind, reason, message)
}

func (r recorder) Eventf(o runtime.Object, kind, reason, format string, args ...any) {
	r.of(o).Eventf(o, kind, reason, format, args...)
}

func (r recorder) AnnotatedEventf(o runtime.Object, annotations map[string]string, kind, reason, format string, args ...any) {
	r.of(o).AnnotatedEventf(o, annotations, kind, reason, format, args...)
}
