package event

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

func TestInACrowdTheRoutineWaitsLonger(t *testing.T) {
	const n = corev1.EventTypeNormal
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		x := New(Options{Sink: s, Scheme: scheme.Scheme, Component: "test", Routine: routine})
		for i := range crowded {
			x.Event(pod(fmt.Sprint("other-", i)), n, "Updated", "a")
		}
		synctest.Wait()
		s.forget()
		got := aboutWeb(play(x, s, []told{{0, n, "Scaling", "to 1"}, {time.Second, n, "Step", "1/4"}, {time.Second, n, "Scaling", "to 2"},
			{2 * time.Second, n, "Completed", "done"}}))
		want := []string{"2s web Scaling ×2: to 1; to 2", "2s web Step ×1: 1/4", "2s web Completed ×1: done"}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		x.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		x := New(Options{Sink: s, Scheme: scheme.Scheme, Component: "test", Routine: routine})
		for i := range 2 * crowded {
			x.Event(pod(fmt.Sprint("other-", i)), n, "Scaling", "a")
			x.Event(pod(fmt.Sprint("other-", i)), n, "Step", "a")
		}
		synctest.Wait()
		s.forget()
		all := append([]told{{0, n, "Completed", "done"}}, every(3*time.Second, 8*time.Second, 4, "Scaling", "to %d")...)
		got := aboutWeb(play(x, s, all))
		want := []string{"2s web Completed ×1: done", "33s web Scaling ×4: to 1; to 2; to 3; to 4"}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		x.Close()
	})
}

// aboutWeb are the lines about web, in whole seconds: in a crowd its turn is not exact.
func aboutWeb(log []string) (lines []string) {
	for _, l := range log {
		at, said, _ := strings.Cut(l, " ")
		if when, err := time.ParseDuration(at); err == nil && strings.HasPrefix(said, "web ") {
			lines = append(lines, fmt.Sprint(when.Truncate(time.Second), " ", said))
		}
	}
	return lines
}

// A thousand releases that pause at the same moment leave the API server to what they do.
func TestACrowdTellsAtARate(t *testing.T) {
	const objects, rounds = 500, 2
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		x := New(Options{Sink: s, Scheme: scheme.Scheme, Component: "test", Routine: routine})
		most, before := 0, 0
		for round := range rounds {
			for i := range objects {
				for range 2 {
					x.Event(pod(fmt.Sprint("web-", i)), corev1.EventTypeNormal, "Paused", fmt.Sprint("round ", round))
				}
			}
			for before < objects*(round+1) {
				time.Sleep(time.Second)
				synctest.Wait()
				most, before = max(most, s.count()-before), s.count()
			}
		}
		if took := time.Since(s.began); most > crowdRate+several || took > rounds*(objects/crowdRate*time.Second+2*pause) {
			t.Errorf("%d events went out in a second, and all took %s", most, took)
		}
		x.Close()
		if s.count() != objects*rounds || x.waiting != 0 {
			t.Errorf("the server has %d events, and %d wait", s.count(), x.waiting)
		}
	})
}
