package event

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// server is an API server that keeps events, and answers as a test wants.
type server struct {
	began time.Time
	hold  chan struct{} // nothing is answered before it is closed; nil answers at once

	mu     sync.Mutex
	fail   []error // the answers to come; then all is well
	events map[string]*corev1.Event
	log    []string
	calls  int
}

func newServer() *server {
	return &server{began: time.Now(), events: map[string]*corev1.Event{}}
}

func (s *server) answer(ctx context.Context) error {
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if len(s.fail) == 0 {
		return nil
	}
	err := s.fail[0]
	s.fail = s.fail[1:]
	return err
}

func (s *server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
	clear(s.events)
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

func (s *server) Create(ctx context.Context, e *corev1.Event) error {
	if err := s.answer(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events[e.Name] != nil {
		return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "events"}, e.Name)
	}
	s.events[e.Name] = e.DeepCopy()
	s.log = append(s.log, fmt.Sprintf("%v %s %s ×%d: %s", time.Since(s.began).Round(time.Millisecond), e.InvolvedObject.Name, e.Reason, e.Count, e.Message))
	return nil
}

func (s *server) Patch(ctx context.Context, e *corev1.Event, data []byte) error {
	if err := s.answer(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	there := s.events[e.Name]
	if there == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "events"}, e.Name)
	}
	if err := json.Unmarshal(data, there); err != nil {
		return err
	}
	s.log = append(s.log, fmt.Sprintf("%v %s %s now ×%d", time.Since(s.began).Round(time.Millisecond), there.InvolvedObject.Name, there.Reason, there.Count))
	return nil
}

// told is an event that a test tells.
type told struct {
	at                    time.Duration
	kind, reason, message string
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "u-1"}}
}

func routine(reason string) bool { return reason == "Scaling" || reason == "Step" }

// play tells everything at its time and returns what the server got, a while later.
func play(x *Outbox, s *server, all []told) []string {
	for _, e := range all {
		time.Sleep(e.at - time.Since(s.began))
		x.Event(pod("web"), e.kind, e.reason, e.message)
		synctest.Wait()
	}
	time.Sleep(time.Hour)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log
}

func every(from, pause time.Duration, n int, reason, message string) (all []told) {
	for i := range n {
		all = append(all, told{from + time.Duration(i)*pause, corev1.EventTypeNormal, reason, fmt.Sprintf(message, i+1)})
	}
	return all
}

func TestWhenEventsAreSent(t *testing.T) {
	const n, w = corev1.EventTypeNormal, corev1.EventTypeWarning
	for name, c := range map[string]struct {
		told []told
		want []string
	}{
		"the first goes out at once": {
			[]told{{0, n, "Scaling", "to 1"}},
			[]string{"0s web Scaling ×1: to 1"},
		},
		"seconds apart, all go out at once, alone and to the letter": {
			every(0, 3*time.Second, 3, "Scaling", "to %d"),
			[]string{"0s web Scaling ×1: to 1", "3s web Scaling ×1: to 2", "6s web Scaling ×1: to 3"},
		},
		"others of one pass follow 2 s later, alone, in their order": {
			[]told{{0, n, "Updated", "to revision 2"}, {0, n, "Scaling", "to 1"}, {0, n, "Step", "1/4"}},
			[]string{"0s web Updated ×1: to revision 2", "2s web Scaling ×1: to 1", "2s web Step ×1: 1/4"},
		},
		"what waits together is joined by reason, and routine waits longer from then on": {
			append(append([]told{{0, n, "Updated", "a"}}, every(100*time.Millisecond, 100*time.Millisecond, 3, "Scaling", "to %d")...),
				every(3*time.Second, time.Second, 2, "Step", "%d/4")...),
			[]string{"0s web Updated ×1: a", "2s web Scaling ×3: to 1; to 2; to 3", "12s web Step ×2: 1/4; 2/4"},
		},
		"what people wait for takes the routine before it along, after 2 s at most": {
			append(append([]told{{0, n, "Updated", "a"}}, every(100*time.Millisecond, 100*time.Millisecond, 2, "Scaling", "to %d")...),
				told{2500 * time.Millisecond, n, "Scaling", "to 3"}, told{3 * time.Second, n, "Completed", "done"}),
			[]string{"0s web Updated ×1: a", "2s web Scaling ×2: to 1; to 2", "4s web Scaling ×1: to 3", "4s web Completed ×1: done"},
		},
		"a warning is never routine": {
			[]told{{0, n, "Scaling", "a"}, {1, n, "Scaling", "b"}, {2, n, "Scaling", "c"}, {3 * time.Second, w, "Scaling", "cannot"}},
			[]string{"0s web Scaling ×1: a", "2s web Scaling ×2: b; c", "4s web Scaling ×1: cannot"},
		},
		"a warning and a normal event of one reason stay two": {
			[]told{{0, n, "Updated", "a"}, {1, n, "Scaling", "a"}, {2, w, "Scaling", "b"}, {3, n, "Scaling", "c"}},
			[]string{"0s web Updated ×1: a", "2s web Scaling ×2: a; c", "2s web Scaling ×1: b"},
		},
		"equal messages are said once and counted": {
			[]told{{0, n, "Updated", "a"}, {1, w, "Error", "no"}, {2, w, "Error", "no"}, {3, w, "Error", "oh no"}, {4, w, "Error", "no"}},
			[]string{"0s web Updated ×1: a", "2s web Error ×4: no; oh no"},
		},
		"the same again counts in the event that is there": {
			[]told{{0, w, "Error", "no"}, {time.Minute, w, "Error", "no"}, {time.Minute + 1, w, "Error", "no"}, {time.Minute + 2, w, "Error", "no"}},
			[]string{"0s web Error ×1: no", "1m0s web Error now ×2", "1m2s web Error now ×4"},
		},
		"after a quiet time everything is as at first": {
			append(every(0, time.Millisecond, 3, "Scaling", "to %d"), told{15 * time.Second, n, "Scaling", "to 4"}, told{17 * time.Second, n, "Scaling", "to 5"}),
			[]string{"0s web Scaling ×1: to 1", "2s web Scaling ×2: to 2; to 3", "15s web Scaling ×1: to 4", "17s web Scaling ×1: to 5"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer()
				x := New(Options{Sink: s, Scheme: scheme.Scheme, Component: "test", Routine: routine})
				got := play(x, s, c.told)
				x.Close()
				if d := cmp.Diff(c.want, got); d != "" {
					t.Error(d)
				}
				if len(x.boxes) > 0 || x.waiting != 0 {
					t.Errorf("kept are %d boxes and %d entries", len(x.boxes), x.waiting)
				}
			})
		})
	}
}

func TestAnEventHasAllFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		x := New(Options{Sink: s, Scheme: scheme.Scheme, Component: "rollouts-controller"})
		x.Event(pod("web"), corev1.EventTypeNormal, "Updated", "a")
		synctest.Wait()
		x.Eventf(pod("web"), corev1.EventTypeNormal, "Scaling", "to %d", 1)
		time.Sleep(time.Second)
		x.Eventf(pod("web"), corev1.EventTypeNormal, "Scaling", "to %d", 2)
		x.AnnotatedEventf(pod("web"), map[string]string{"revision": "2"}, corev1.EventTypeNormal, "Scaling", "to %d", 3)
		x.Close()
		var got []corev1.Event
		for _, e := range s.events {
			if !strings.HasPrefix(e.Name, "web.") || e.Namespace != "shop" {
				t.Errorf("its name is %s/%s", e.Namespace, e.Name)
			}
			if e.Message == "to 1; to 2" {
				got = append(got, *e)
			}
		}
		if len(s.events) != 3 || len(got) != 1 {
			t.Fatalf("the server got %q", s.log)
		}
		at := func(d time.Duration) metav1.Time { return metav1.NewTime(s.began.Add(d)) }
		want := corev1.Event{
			InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "shop", Name: "web", UID: "u-1"},
			Type:           corev1.EventTypeNormal, Reason: "Scaling", Message: "to 1; to 2", Count: 2,
			FirstTimestamp: at(0), LastTimestamp: at(time.Second),
			Source: corev1.EventSource{Component: "rollouts-controller"}, ReportingController: "rollouts-controller",
		}
		got[0].ObjectMeta = metav1.ObjectMeta{}
		if d := cmp.Diff(want, got[0]); d != "" {
			t.Error(d)
		}
	})
}

var (
	busy      = apierrors.NewTooManyRequests("busy", 1)
	forbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "", errors.New("no"))
	ends      = &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonForbidden, Code: 403,
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}}}}
	unreached = errors.New("connection refused")
)

func times(n int, err error) (all []error) {
	for range n {
		all = append(all, err)
	}
	return all
}

// This is about a server that is slow, away, or says no.
func TestAnswersOfTheServer(t *testing.T) {
	burst := []told{{0, "Normal", "Updated", "a"}, {1, "Normal", "Scaling", "to 1"}, {2, "Normal", "Step", "1/4"}}
	for name, c := range map[string]struct {
		answers []error
		want    []string
		dropped map[string]int
		logged  int
	}{
		"busy twice: tried again, and the order is kept": {
			answers: times(2, busy),
			want:    []string{"6s web Updated ×1: a", "6s web Scaling ×1: to 1", "6s web Step ×1: 1/4"},
		},
		"away for a while: nothing is lost": {
			answers: times(9, unreached),
			want:    []string{"1m14s web Updated ×1: a", "1m14s web Scaling ×1: to 1", "1m14s web Step ×1: 1/4"},
		},
		"away for too long: the oldest is given up, the others get their turn": {
			answers: times(10, unreached),
			want:    []string{"1m24s web Scaling ×1: to 1", "1m24s web Step ×1: 1/4"},
			dropped: map[string]int{"unreachable": 1}, logged: 1,
		},
		"forbidden: dropped at once, said once": {
			answers: times(2, forbidden),
			want:    []string{"2s web Step ×1: 1/4"},
			dropped: map[string]int{"refused": 2}, logged: 1,
		},
		"the namespace ends: dropped without a word": {
			answers: times(3, ends),
			dropped: map[string]int{"namespace ends": 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dropped, logged := newServer(), map[string]int{}, 0
				s.fail = c.answers
				x := New(Options{Sink: s, Scheme: scheme.Scheme, Dropped: func(why string, n int) { dropped[why] += n },
					Logger: funcr.New(func(string, string) { logged++ }, funcr.Options{})})
				got := play(x, s, burst)
				x.Close()
				if d := cmp.Diff(c.want, got); d != "" {
					t.Error(d)
				}
				if c.dropped == nil {
					c.dropped = map[string]int{}
				}
				if d := cmp.Diff(c.dropped, dropped); d != "" || logged != c.logged {
					t.Errorf("%d lines are in the log, dropped are %s", logged, d)
				}
			})
		})
	}
}

func TestAnEventThatHasGoneIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		x := New(Options{Sink: s, Scheme: scheme.Scheme})
		x.Event(pod("web"), corev1.EventTypeWarning, "Error", "no")
		time.Sleep(time.Hour)
		if s.count() != 1 {
			t.Fatalf("the server has %d events", s.count())
		}
		s.forget() // events live for an hour
		got := play(x, s, []told{{2 * time.Hour, corev1.EventTypeWarning, "Error", "no"}})
		x.Close()
		if d := cmp.Diff([]string{"2h0m0s web Error ×1: no"}, got); d != "" {
			t.Error(d)
		}
	})
}

func TestCloseSendsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		x := New(Options{Sink: s, Scheme: scheme.Scheme})
		for i := range several {
			for _, message := range []string{"first", "second"} {
				x.Event(pod(fmt.Sprint("web-", i)), corev1.EventTypeNormal, "Updated", message)
				synctest.Wait()
			}
		}
		x.Close()
		if took := time.Since(s.began); took > 0 || len(s.log) != 2*several {
			t.Errorf("%d events were sent in %v", len(s.log), took)
		}
	})
}

func TestCloseEndsThoughTheServerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dropped := newServer(), atomic.Int64{}
		s.hold = make(chan struct{})
		x := New(Options{Sink: s, Scheme: scheme.Scheme, Dropped: func(_ string, n int) { dropped.Add(int64(n)) }})
		for i := range 20 {
			x.Event(pod(fmt.Sprint("web-", i)), corev1.EventTypeNormal, "Updated", "a")
		}
		x.Close()
		x.Event(pod("web"), corev1.EventTypeNormal, "Updated", "too late")
		if took := time.Since(s.began); took != closeWithin || dropped.Load() != 21 {
			t.Errorf("%d events were dropped after %v", dropped.Load(), took)
		}
	})
}

func TestNothingGrowsWithoutBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const objects, each = 200, 50
		s, dropped := newServer(), atomic.Int64{}
		s.hold = make(chan struct{})
		x := New(Options{Sink: s, Scheme: scheme.Scheme, MaxWaiting: 150, Dropped: func(_ string, n int) { dropped.Add(int64(n)) }})
		for i := range objects {
			for j := range each {
				x.Event(pod(fmt.Sprint("web-", i)), corev1.EventTypeNormal, "Updated", strings.Repeat("long ", 40)+fmt.Sprint(j))
			}
		}
		synctest.Wait()
		x.mu.Lock()
		// Entries that are being sent count too.
		if x.waiting > 150 {
			t.Errorf("%d entries wait", x.waiting)
		}
		for _, b := range x.boxes {
			for _, e := range b.waiting {
				if len(e.message()) > maxJoined {
					t.Errorf("a message has %d bytes", len(e.message()))
				}
			}
		}
		x.mu.Unlock()
		close(s.hold)
		time.Sleep(time.Minute)
		x.Close()
		sent, gone := 0, int(dropped.Load())
		for _, e := range s.events {
			sent += int(e.Count)
		}
		if sent+gone != objects*each || gone == 0 {
			t.Errorf("%d were sent and %d dropped, of %d", sent, gone, objects*each)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	for i := range 2 * remembered {
		m.put(said{name: fmt.Sprint(i)}, posted{count: i})
	}
	if _, ok := m.get(said{name: "0"}); ok || len(m.known) != remembered {
		t.Errorf("%d are known", len(m.known))
	}
	if p, ok := m.get(said{name: fmt.Sprint(2*remembered - 1)}); !ok || p.count != 2*remembered-1 {
		t.Error("the newest is not known")
	}
}

func TestNoEventIsLostWhenMuchChangesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.hold = make(chan struct{})
		x := New(Options{Sink: s, Scheme: scheme.Scheme, Dropped: func(why string, n int) { t.Errorf("%d were dropped: %s", n, why) }})
		want := []string{"updated", "created", "scaled up", "scaled down", "scaled up again", "completed"}
		for _, message := range want {
			for i := range 500 {
				x.Event(pod(fmt.Sprint("web-", i)), corev1.EventTypeNormal, "Test", message)
			}
		}
		close(s.hold)
		time.Sleep(time.Minute)
		x.Close()
		said := map[string][]string{}
		for _, line := range s.log {
			object, text, _ := strings.Cut(strings.SplitN(line, " ", 2)[1], " ")
			_, message, _ := strings.Cut(text, ": ")
			said[object] = append(said[object], strings.Split(message, between)...)
		}
		for object, got := range said {
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s: %s", object, d)
			}
		}
		if len(said) != 500 {
			t.Errorf("something is told of %d objects", len(said))
		}
	})
}

func TestAnUnknownObjectIsNoReasonToPanic(t *testing.T) {
	dropped := 0
	x := New(Options{Sink: newServer(), Scheme: runtime.NewScheme(), Dropped: func(_ string, n int) { dropped += n }})
	defer x.Close()
	x.Event(pod("web"), corev1.EventTypeNormal, "Updated", "a")
	x.Event(nil, corev1.EventTypeNormal, "Updated", "a")
	if dropped != 2 {
		t.Errorf("%d were dropped", dropped)
	}
}
