package event

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/tools/reference"
	"k8s.io/client-go/util/workqueue"
)

const (
	// pause is the shortest time between two sendings about one object.
	pause = 2 * time.Second
	// longPause is that time for routine events, once several had to be joined.
	longPause = 10 * time.Second
	// several is how many objects may tell something at a time; beyond, events wait for a
	// pause even if nothing was sent lately: what is told matters less than that it is done.
	several = 8
	// crowded is the same for routine events, which wait for crowdPause then.
	crowded    = 32
	crowdPause = 30 * time.Second
	// crowdRate is how many events a second are sent while more than several tell something.
	crowdRate = 50
	// closeWithin bounds what Close does about events that still wait.
	closeWithin = 5 * time.Second
	// senders are how many events are under way to the API server at a time: about as many
	// as passes, each of which may tell some.
	senders = 8
	// maxWaiting bounds the events that wait, joined ones counting once: some 10 MB.
	maxWaiting = 16384
)

// Sink is where events go.
type Sink interface {
	Create(ctx context.Context, e *corev1.Event) error
	// Patch merges data into the event of this name and namespace.
	Patch(ctx context.Context, e *corev1.Event, data []byte) error
}

// Options of an Outbox.
type Options struct {
	Sink   Sink
	Scheme *runtime.Scheme
	// Component is the source that every event names.
	Component string
	// Routine reports whether a reason of Normal events may wait longer while very much
	// is told; nil means that none may.
	Routine func(reason string) bool
	// Dropped is told how many events were lost, and why, in a word; may be nil.
	Dropped func(why string, n int)
	// Logger gets the first loss of each sort.
	Logger logr.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// MaxWaiting bounds the events that wait; 16384.
	MaxWaiting int
}

// Outbox takes events and sends them later. Its methods never wait for the API server,
// Close excepted.
type Outbox struct {
	options Options
	queue   workqueue.TypedDelayingInterface[corev1.ObjectReference]
	senders sync.WaitGroup
	cancel  context.CancelFunc
	known   *memory
	pace    *rate.Limiter // of events while many objects tell something

	mu      sync.Mutex
	boxes   map[corev1.ObjectReference]*box
	waiting int // entries in all boxes, and those that are being sent
	closed  bool
	stamp   int64           // the newest that names an event
	losses  map[string]bool // the sorts of loss that are in the log
}

var _ record.EventRecorder = (*Outbox)(nil)

// box holds what one object has told, while anything of it waits or was sent lately.
type box struct {
	waiting []*entry
	sent    time.Time // when the last sending ended; zero for never
	joined  bool      // the last sending held joined events
	tries   int       // failed ones of the first entry, in a row
	retry   time.Time // not before this, after a failed one
	turn    time.Time // not before this, in a crowd; zero for none drawn yet
}

// New makes an Outbox that sends until Close.
func New(o Options) *Outbox {
	o.MaxWaiting = cmp.Or(o.MaxWaiting, maxWaiting)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dropped == nil {
		o.Dropped = func(string, int) {}
	}
	if o.Routine == nil {
		o.Routine = func(string) bool { return false }
	}
	ctx, cancel := context.WithCancel(context.Background())
	x := &Outbox{
		options: o, cancel: cancel, known: newMemory(), pace: rate.NewLimiter(crowdRate, several), queue: workqueue.NewTypedDelayingQueue[corev1.ObjectReference](),
		boxes: map[corev1.ObjectReference]*box{}, losses: map[string]bool{},
	}
	for range senders {
		x.senders.Go(func() { x.work(ctx) })
	}
	return x
}

// Event tells something about an object.
func (x *Outbox) Event(about runtime.Object, kind, reason, message string) {
	x.tell(about, nil, kind, reason, message)
}

// Eventf is Event with a format.
func (x *Outbox) Eventf(about runtime.Object, kind, reason, format string, args ...any) {
	x.tell(about, nil, kind, reason, fmt.Sprintf(format, args...))
}

// AnnotatedEventf is Eventf with annotations for the Event object.
func (x *Outbox) AnnotatedEventf(about runtime.Object, annotations map[string]string, kind, reason, format string, args ...any) {
	x.tell(about, annotations, kind, reason, fmt.Sprintf(format, args...))
}

func (x *Outbox) tell(about runtime.Object, annotations map[string]string, kind, reason, message string) {
	ref, err := reference.GetReference(x.options.Scheme, about)
	if err != nil {
		x.lose("object unknown", 1, fmt.Errorf("refer to the object of event %s: %w", reason, err))
		return
	}
	ref.Namespace = cmp.Or(ref.Namespace, metav1.NamespaceDefault)
	key := *ref
	key.ResourceVersion, key.FieldPath = "", ""
	now := x.options.Now()
	e := &entry{about: *ref, kind: kind, reason: reason, annotations: annotations, messages: []string{message}, count: 1, first: now, last: now}
	if why := x.put(key, e, now); why != "" {
		x.lose(why, 1, fmt.Errorf("event %s about %s %s/%s", reason, key.Kind, key.Namespace, key.Name))
	}
}

// put adds an entry to a box, or says in a word why it cannot.
func (x *Outbox) put(key corev1.ObjectReference, e *entry, now time.Time) (why string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return "closed"
	}
	b := x.boxes[key]
	if b == nil {
		b = &box{}
	}
	list, grown := add(b.waiting, e)
	if grown && x.waiting >= x.options.MaxWaiting {
		return "full"
	}
	if grown {
		x.waiting++
	}
	b.waiting, x.boxes[key] = list, b
	x.queue.AddAfter(key, x.due(b).Sub(now))
	return ""
}

// due is when a box may be sent, or forgotten if nothing is in it.
func (x *Outbox) due(b *box) time.Time {
	wait := pause
	if b.joined && !x.urgent(b) {
		wait = longPause
	}
	at := b.sent.Add(wait)
	switch {
	case len(b.waiting) == 0:
	case len(x.boxes) > crowded && !x.urgent(b):
		at = later(at, b.waiting[0].first.Add(crowdPause))
	case len(x.boxes) > several:
		at = later(at, b.waiting[0].first.Add(pause))
	}
	return later(later(at, b.retry), b.turn)
}

// drawTurn gives a box that is due its place among the others of a crowd: what is told
// together must not keep the API server from what is done.
func (x *Outbox) drawTurn(b *box, now time.Time) {
	if b.turn.IsZero() && len(b.waiting) > 0 && len(x.boxes) > several {
		b.turn = now.Add(x.pace.ReserveN(now, min(len(b.waiting), several)).DelayFrom(now))
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// urgent reports whether anything waits that is not routine.
func (x *Outbox) urgent(b *box) bool {
	for _, e := range b.waiting {
		if e.kind != corev1.EventTypeNormal || !x.options.Routine(e.reason) {
			return true
		}
	}
	return false
}

// Close sends what waits, for a bounded time, and returns when all is over.
func (x *Outbox) Close() {
	x.mu.Lock()
	x.closed = true
	for key, b := range x.boxes {
		if len(b.waiting) > 0 {
			x.queue.Add(key)
		}
	}
	x.mu.Unlock()
	x.queue.ShutDown()
	limit := time.AfterFunc(closeWithin, x.cancel)
	x.senders.Wait()
	limit.Stop()
	x.cancel()
}
