package event

import (
	"context"
	"errors"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record/util"
)

const (
	// maxTries bounds the tries for one event: about a minute with the waits between them.
	maxTries = 10
	// maxWait is the longest wait before another try; the first is the pause.
	maxWait = 10 * time.Second
)

func (x *Outbox) work(ctx context.Context) {
	for {
		key, over := x.queue.Get()
		if over {
			return
		}
		// The queue gives a key to one sender at a time, so that order is kept.
		if batch := x.take(key); len(batch) > 0 {
			left, err := x.send(ctx, batch)
			x.settle(key, batch, left, err)
		}
		x.queue.Done(key)
	}
}

// take empties a box whose time has come. An empty one is forgotten.
func (x *Outbox) take(key corev1.ObjectReference) []*entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	b := x.boxes[key]
	if b == nil {
		return nil
	}
	now := x.options.Now()
	if x.due(b).After(now) && !x.closed {
		x.queue.AddAfter(key, x.due(b).Sub(now))
		return nil
	}
	x.drawTurn(b, now)
	if b.turn.After(now) && !x.closed {
		x.queue.AddAfter(key, b.turn.Sub(now))
		return nil
	}
	if len(b.waiting) == 0 {
		delete(x.boxes, key)
	}
	batch := b.waiting
	b.waiting, b.turn = nil, time.Time{}
	return batch
}

// send sends one after the other, and returns those that are left when the API server
// could not be reached, or is too busy.
func (x *Outbox) send(ctx context.Context, batch []*entry) (left []*entry, err error) {
	for i, e := range batch {
		err := x.post(ctx, e)
		switch {
		case err == nil:
		case transient(err):
			return batch[i:], err
		case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
			x.lose("namespace ends", e.count, nil)
		default:
			x.lose("refused", e.count, err)
		}
	}
	return nil, nil
}

// settle puts back what is left and says when to go on.
func (x *Outbox) settle(key corev1.ObjectReference, batch, left []*entry, failure error) {
	x.mu.Lock()
	now, b := x.options.Now(), x.boxes[key]
	if len(left) < len(batch) {
		b.tries = 0
	}
	b.sent, b.joined, b.retry = now, holdsJoined(batch), time.Time{}
	var lost []*entry
	if len(left) > 0 {
		b.tries++
		b.retry = now.Add(min(pause<<(b.tries-1), maxWait))
		switch {
		case x.closed:
			lost, left = left, nil
		case b.tries >= maxTries:
			lost, left = left[:1], left[1:]
			b.tries = 0
		}
	}
	x.waiting -= len(batch) - len(left)
	for _, e := range b.waiting {
		grown := false
		if left, grown = add(left, e); !grown {
			x.waiting--
		}
	}
	b.waiting = left
	x.queue.AddAfter(key, x.due(b).Sub(now))
	x.mu.Unlock()
	for _, e := range lost {
		x.lose("unreachable", e.count, failure)
	}
}

func holdsJoined(batch []*entry) bool {
	for _, e := range batch {
		if e.count > 1 {
			return true
		}
	}
	return false
}

// post makes an Event object of an entry, or lets an earlier one that says the same count
// further.
func (x *Outbox) post(ctx context.Context, e *entry) error {
	key := said{e.about.UID, e.about.Namespace, e.about.Name, e.kind, e.reason, e.message()}
	if was, ok := x.known.get(key); ok && e.annotations == nil {
		was.count += e.count
		err := x.options.Sink.Patch(ctx, was.object(e), was.patch(e.last))
		if err == nil {
			x.known.put(key, was)
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	now := posted{name: util.GenerateEventName(e.about.Name, x.unique()), count: e.count}
	event := now.object(e)
	event.Annotations = e.annotations
	event.Type, event.Reason, event.Message, event.Count = e.kind, e.reason, key.message, int32(e.count)
	event.FirstTimestamp, event.LastTimestamp = metav1.NewTime(e.first), metav1.NewTime(e.last)
	event.InvolvedObject = e.about
	event.Source.Component, event.ReportingController = x.options.Component, x.options.Component
	if err := x.options.Sink.Create(ctx, event); err != nil {
		return err
	}
	x.known.put(key, now)
	return nil
}

// unique is a moment that no other event has in its name.
func (x *Outbox) unique() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stamp = max(x.stamp+1, x.options.Now().UnixNano())
	return x.stamp
}

// transient reports whether the same request may succeed later.
func transient(err error) bool {
	if construction := (*rest.RequestConstructionError)(nil); errors.As(err, &construction) {
		return false
	}
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return true // nobody answered
	}
	code := status.Status().Code
	return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout ||
		code == http.StatusUnauthorized // the token is being renewed
}

// lose counts events that nobody will see. The first of each sort is worth a line.
func (x *Outbox) lose(why string, n int, err error) {
	x.options.Dropped(why, n)
	sort := why
	if err != nil {
		sort += " " + string(apierrors.ReasonForError(err))
	}
	x.mu.Lock()
	logged := x.losses[sort]
	x.losses[sort] = true
	x.mu.Unlock()
	if !logged && err != nil {
		x.options.Logger.Error(err, "events are dropped; further ones like this are only counted", "why", why)
	}
}
