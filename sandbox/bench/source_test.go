package bench

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func ask(t *testing.T, s *source, query string) string {
	t.Helper()
	answer, err := http.PostForm(s.url+"/api/v1/query", url.Values{"query": {query}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestASourceCountsAndTurnsBad(t *testing.T) {
	s, err := startSource()
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	good := ask(t, s, "a")
	if !strings.Contains(good, `"resultType":"vector"`) || !strings.HasSuffix(good, `,"1"]}]}}`) {
		t.Errorf("the good answer is %s", good)
	}
	ask(t, s, "b")
	ask(t, s, "b")
	ask(t, s, "") // nobody's question
	if total, different := s.counts(); total != 3 || different != 2 {
		t.Errorf("counted are %d queries, %d different ones", total, different)
	}
	bad, turned := s.turnBad(), time.Now()
	if text := ask(t, s, "a"); !strings.HasSuffix(text, `,"0"]}]}}`) {
		t.Errorf("the bad answer is %s", text)
	}
	after := time.Now()
	ask(t, s, "a")
	if at := <-bad; at.Before(turned) || at.After(after) {
		t.Errorf("the first bad answer was at %s, not between %s and %s", at, turned, after)
	}
	s.turnGood()
	if text := ask(t, s, "a"); !strings.HasSuffix(text, `,"1"]}]}}`) {
		t.Errorf("it is good again, and says %s", text)
	}
}

func TestADeafSourceHoldsWhoAsks(t *testing.T) {
	d, err := startDeaf(2)
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop()
	if d.url(0) == d.url(1) || d.url(0) != d.url(2) {
		t.Errorf("the addresses are %s, %s and %s", d.url(0), d.url(1), d.url(2))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url(0), nil)
		if err == nil {
			_, err = http.DefaultClient.Do(r) //nolint:bodyclose // there is no answer
		}
		done <- err
	}()
	holds(t, d, 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("who asked got %v", err)
	}
	holds(t, d, 0)
}

func holds(t *testing.T, d *deaf, n int) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return d.held() == n, nil })
	if err != nil {
		t.Errorf("%d are held, not %d", d.held(), n)
	}
}

func TestWhatFinishedRunsLookLike(t *testing.T) {
	now := moment("2026-11-23T10:00:00Z")
	run := finished("a1", 7, now)
	st := run.Status
	if run.Name != "run-0007" || !st.Phase.Completed() || !st.StartedAt.Before(st.CompletedAt) || st.CompletedAt.After(now) || run.Spec.TTLStrategy != nil {
		t.Errorf("it is %s, %s, from %s to %s", run.Name, st.Phase, st.StartedAt, st.CompletedAt)
	}
	if n := len(st.MetricResults[0].Measurements); n != run.Spec.Metrics[0].Count.IntValue() {
		t.Errorf("it has %d measurements", n)
	}
	if m := endless("a2", 7, "http://127.0.0.1:1", time.Second).Spec.Metrics[0]; m.Count != nil || m.Interval != v1alpha1.DurationString("1s") {
		t.Errorf("the endless one is %+v", m)
	}
}
