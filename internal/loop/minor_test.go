package loop

import (
	"context"
	"errors"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// look is one pass at a moment, with the plan of that moment and what must come of it.
type look struct {
	at       time.Duration // since the start
	replicas int32
	minor    bool
	events   []Event
	conflict bool          // somebody else writes in between
	written  int32         // status.replicas on the server afterwards
	again    time.Duration // when the loop looks again by itself
	told     int           // events so far
}

func TestMinorDifferencesAreCollected(t *testing.T) {
	told := []Event{{"Normal", "A", "a"}}
	for name, looks := range map[string][]look{
		"a minor difference is written some time after it was first seen": {
			{at: 0, replicas: 1, minor: true, again: minorDelay},
			{at: 300 * time.Millisecond, replicas: 2, minor: true, again: minorDelay - 300*time.Millisecond},
			{at: minorDelay - 1, replicas: 3, minor: true, again: time.Millisecond},
			{at: minorDelay, replicas: 3, minor: true, written: 3, again: defaultResync},
		},
		"a second one waits a time of its own": {
			{at: 0, replicas: 1, minor: true, again: minorDelay},
			{at: minorDelay, replicas: 1, minor: true, written: 1, again: defaultResync},
			{at: minorDelay + 1, replicas: 2, minor: true, written: 1, again: minorDelay},
		},
		"any other difference is written at once, with everything": {
			{at: 0, replicas: 1, minor: true, again: minorDelay},
			{at: 10 * time.Millisecond, replicas: 2, written: 2, again: defaultResync},
			{at: 20 * time.Millisecond, replicas: 3, minor: true, written: 2, again: minorDelay},
		},
		"one that is taken back is forgotten": {
			{at: 0, replicas: 1, minor: true, again: minorDelay},
			{at: 500 * time.Millisecond, replicas: 0, minor: true, again: defaultResync},
			{at: 900 * time.Millisecond, replicas: 1, minor: true, again: minorDelay},
		},
		"no difference is nothing to wait for": {
			{at: 0, replicas: 0, minor: true, again: defaultResync},
		},
		"what is to be told waits with it": {
			{at: 0, replicas: 1, minor: true, events: told, again: minorDelay},
			{at: 1, replicas: 2, minor: true, events: told, again: minorDelay - 1},
			{at: 2, replicas: 3, events: told, written: 3, again: defaultResync, told: 1},
		},
		"an event is told again after a pass without it": {
			{at: 0, replicas: 1, events: told, written: 1, again: defaultResync, told: 1},
			{at: 1, replicas: 2, minor: true, written: 1, again: minorDelay, told: 1},
			{at: 2, replicas: 3, events: told, written: 3, again: defaultResync, told: 2},
		},
		"after a conflict it is not put off once more": {
			{at: 0, replicas: 1, minor: true, again: minorDelay},
			{at: minorDelay, replicas: 1, minor: true, conflict: true, again: soon},
			{at: minorDelay + soon, replicas: 1, minor: true, written: 1, again: defaultResync},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.controller()
			explain, start, minor := c.Explain, w.now, false
			c.Explain = func(s state, p step) Outcome {
				o := explain(s, p)
				o.Minor = minor
				return o
			}
			for i, l := range looks {
				w.now, minor = start.Add(l.at), l.minor
				w.next = step{replicas: l.replicas, events: l.events}
				w.fail = nil
				if l.conflict {
					w.fail = func(string, client.Object) error {
						return apierrors.NewConflict(schema.GroupResource{}, "web", nil)
					}
				}
				r, err := w.pass(c)
				if r.RequeueAfter != l.again || err != nil {
					t.Errorf("look %d: %v, again after %v, want %v", i, err, r.RequeueAfter, l.again)
				}
				w.sync()
				if got := w.written(); got != l.written || len(w.recorder.Events) != l.told {
					t.Errorf("look %d: written is %d and %d events are told, want %d and %d", i, got, len(w.recorder.Events), l.written, l.told)
				}
			}
		})
	}
}

// written is the status on the server.
func (w *world) written() int32 {
	var rs appsv1.ReplicaSet
	if err := w.server.Get(context.Background(), key, &rs); err != nil {
		w.t.Fatal(err)
	}
	return rs.Status.Replicas
}

func TestMinorDifferenceDoesNotPutOffTheWake(t *testing.T) {
	w := newWorld(t)
	c := w.controller()
	explain := c.Explain
	c.Explain = func(s state, p step) Outcome {
		o := explain(s, p)
		o.Minor, o.Wake = true, w.now.Add(200*time.Millisecond)
		return o
	}
	w.next = step{replicas: 1}
	if r, err := w.pass(c); err != nil || r.RequeueAfter != 200*time.Millisecond {
		t.Errorf("got %v, %v", r, err)
	}
}

func TestPersistedIsNotCalledForWhatIsHeldBack(t *testing.T) {
	w := newWorld(t)
	c := w.controller()
	explain, calls := c.Explain, 0
	c.Explain = func(s state, p step) Outcome {
		o := explain(s, p)
		o.Minor, o.Persisted = true, func() { calls++ }
		return o
	}
	w.next = step{replicas: 1}
	mustPass(t, w, c)
	if calls != 0 {
		t.Error("called before the write")
	}
	w.now = w.now.Add(minorDelay)
	mustPass(t, w, c)
	if calls != 1 || w.written() != 1 {
		t.Errorf("%d calls, status %d", calls, w.written())
	}
}

// Covers: edge 158.
func TestPersistedIsNotCalledWhenTheWriteFails(t *testing.T) {
	w := newWorld(t)
	c := w.controller()
	explain, calls := c.Explain, 0
	c.Explain = func(s state, p step) Outcome {
		o := explain(s, p)
		o.Persisted = func() { calls++ }
		return o
	}
	w.next = step{replicas: 1}
	w.fail = func(string, client.Object) error { return apierrors.NewInternalError(context.DeadlineExceeded) }
	if _, err := w.pass(c); err == nil || calls != 0 {
		t.Errorf("%v, %d calls", err, calls)
	}
	w.fail = nil
	mustPass(t, w, c)
	if calls != 1 || w.written() != 1 {
		t.Errorf("%d calls, status %d", calls, w.written())
	}
}

// What was urgent is done; the status follows a second later, whatever comes in between.
func TestTheStatusFollowsAHurriedPass(t *testing.T) {
	w := newWorld(t)
	c := w.controller()
	explain, hurried := c.Explain, false
	c.Explain = func(s state, p step) Outcome {
		o := explain(s, p)
		o.Hurried = hurried
		return o
	}
	start := w.now
	for i, l := range []struct {
		look
		hurried bool
	}{
		{look{at: 0, replicas: 1, again: hurriedDelay}, true},
		{look{at: 300 * time.Millisecond, replicas: 1, again: hurriedDelay - 300*time.Millisecond}, false},
		{look{at: 400 * time.Millisecond, replicas: 2, again: hurriedDelay - 400*time.Millisecond}, true},
		{look{at: hurriedDelay, replicas: 2, written: 2, again: defaultResync, told: 1}, true},
		{look{at: 2 * hurriedDelay, replicas: 3, written: 3, again: defaultResync, told: 1}, false},
		{look{at: 3 * hurriedDelay, replicas: 4, written: 3, again: hurriedDelay, told: 1}, true},
	} {
		w.now, hurried = start.Add(l.at), l.hurried
		w.next = step{replicas: l.replicas}
		if l.replicas < 3 {
			w.next.events = []Event{{"Normal", "A", "a"}}
		}
		r, err := w.pass(c)
		if err != nil || r.RequeueAfter != l.again || r.Priority == nil || *r.Priority != 0 {
			t.Errorf("look %d: %+v, %v", i, r, err)
		}
		w.sync()
		if got := w.written(); got != l.written || len(w.recorder.Events) != l.told {
			t.Errorf("look %d: written is %d and %d events are told, want %d and %d", i, got, len(w.recorder.Events), l.written, l.told)
		}
	}
}

// An action that failed has its error told at once, and the status with it.
func TestAHurriedPassThatFailsWritesTheStatus(t *testing.T) {
	w := newWorld(t)
	c := w.controller()
	explain := c.Explain
	c.Explain = func(s state, p step) Outcome {
		o := explain(s, p)
		o.Hurried = true
		return o
	}
	c.Apply = func(context.Context, state, step) error { return errors.New("the mesh is away") }
	w.next = step{replicas: 1}
	if _, err := w.pass(c); err == nil {
		t.Error("the error got lost")
	}
	w.sync()
	if got := w.written(); got != 1 {
		t.Errorf("written is %d", got)
	}
}
