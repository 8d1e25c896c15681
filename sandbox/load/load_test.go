package load

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answer responds after a time on the bubble's clock.
func answer(after time.Duration, status int, version string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(after):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		return &http.Response{StatusCode: status, Header: http.Header{headerVersion: {version}}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
	}
}

func TestRateIsKeptWhateverTheLatency(t *testing.T) {
	tests := map[string]struct {
		rate      float64
		latency   time.Duration
		inFlight  int
		sent      uint64
		dropped   uint64
		p50Within [2]time.Duration
	}{
		"a fast server":                         {rate: 200, latency: time.Millisecond, sent: 2000, p50Within: [2]time.Duration{time.Millisecond, 2 * time.Millisecond}},
		"a slow server gets just as many":       {rate: 200, latency: time.Second, sent: 2000, p50Within: [2]time.Duration{time.Second, 1100 * time.Millisecond}},
		"a rate above the tick goes in batches": {rate: 5000, latency: time.Millisecond, sent: 50000, p50Within: [2]time.Duration{time.Millisecond, 4 * time.Millisecond}},
		"a rate below one a second":             {rate: 0.5, latency: time.Millisecond, sent: 5, p50Within: [2]time.Duration{time.Millisecond, 2 * time.Millisecond}},
		"an overloaded server drops the rest":   {rate: 100, latency: time.Second, inFlight: 10, sent: 100, dropped: 900, p50Within: [2]time.Duration{time.Second, 1100 * time.Millisecond}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The last request is due just before the end.
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second-100*time.Microsecond)
				defer cancel()
				r, err := Run(ctx, Options{URL: "http://127.0.0.1:1", RatePerSecond: tc.rate, MaxInFlight: tc.inFlight, Transport: answer(tc.latency, 200, "v1")})
				if err != nil {
					t.Fatal(err)
				}
				slack := uint64(tc.rate * tick.Seconds()) // a batch may be cut off at the end
				if r.Sent+slack < tc.sent || r.Sent > tc.sent || r.Dropped != tc.dropped || r.OK != r.Sent || r.Failed != 0 {
					t.Errorf("report %+v, want %d sent, %d dropped", r, tc.sent, tc.dropped)
				}
				if r.P50 < tc.p50Within[0] || r.P50 > tc.p50Within[1] {
					t.Errorf("p50 = %s, want within %v", r.P50, tc.p50Within)
				}
			})
		})
	}
}

func TestTimeoutIsAFailureWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := Run(ctx, Options{URL: "http://127.0.0.1:1", RatePerSecond: 9.99, Timeout: 100 * time.Millisecond, Transport: answer(time.Hour, 200, "v1")})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[int]uint64{0: 10}, r.ByStatus); d != "" || r.Failed != 10 || len(r.ByVersion) != 0 {
			t.Errorf("report %+v (-want +got):\n%s", r, d)
		}
	})
}

func TestPercentiles(t *testing.T) {
	var h histogram
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("empty histogram has median %s", got)
	}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.001: time.Millisecond, 0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := h.quantile(q); got < want || got > want+want/16 {
			t.Errorf("quantile %v = %s, want %s to %s", q, got, want, want+want/16)
		}
	}
	for us := uint64(0); us < 1<<20; us += 1 + us/50 {
		if b := bucket(us); us > upper(b) || b > 0 && us <= upper(b-1) {
			t.Fatalf("%d µs is in bucket %d, which ends at %d", us, b, upper(b))
		}
	}
	h.add(1 << 62) // must not leave the table
}

func TestReportCountsRealAnswersByStatusAndVersion(t *testing.T) {
	var n atomic.Int64
	var mu sync.Mutex
	hosts := map[string]int{}
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		hosts[r.Host+" "+r.Header.Get("X-User")]++
		mu.Unlock()
		i := n.Add(1)
		if i == 100 {
			cancel()
		}
		if i%4 == 0 {
			w.Header().Set(headerVersion, "v2")
			w.WriteHeader(500)
			return
		}
		io.WriteString(w, `{"version":"v1"}`)
	}))
	defer server.Close()
	g, err := New(Options{URL: server.URL, Host: "web.example", Header: http.Header{"X-User": {"qa"}}, RatePerSecond: 500})
	if err != nil {
		t.Fatal(err)
	}
	g.Run(ctx)
	r := g.Snapshot()
	total := uint64(n.Load())
	want := Report{Sent: total, OK: total - total/4, Failed: total / 4,
		ByStatus:  map[int]uint64{200: total - total/4, 500: total / 4},
		ByVersion: map[string]uint64{"v1": total - total/4, "v2": total / 4}}
	got := r
	got.P50, got.P99, got.Dropped = 0, 0, 0
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("report differs (-want +got):\n%s", d)
	}
	if r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("latencies p50 %s, p99 %s", r.P50, r.P99)
	}
	if d := cmp.Diff(map[string]int{"web.example qa": int(total)}, hosts); d != "" {
		t.Error(d)
	}
	if share := r.Share("v2"); share < 0.2 || share > 0.25 {
		t.Errorf("share of v2 = %v", share)
	}
}

func TestExactlySendsAsManyAsAsked(t *testing.T) {
	var n, now, atOnce atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		atOnce.Store(max(atOnce.Load(), now.Add(1)))
		defer now.Add(-1)
		w.Header().Set(headerVersion, "v1")
		if n.Add(1)%10 == 0 {
			w.WriteHeader(500)
		}
	}))
	defer server.Close()
	r, err := Exactly(t.Context(), Options{URL: server.URL}, 200, 4)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != 200 || r.OK != 180 || r.Failed != 20 || r.ByVersion["v1"] != 200 || n.Load() != 200 {
		t.Errorf("report %+v after %d requests", r, n.Load())
	}
	if atOnce.Load() > 4 {
		t.Errorf("%d requests at once", atOnce.Load())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := Exactly(ended, Options{URL: server.URL}, 200, 4); err != nil || r.Sent != 0 {
		t.Errorf("after the end: %+v, %v", r, err)
	}
	if _, err := Exactly(t.Context(), Options{URL: "http://192.0.2.1"}, 1, 1); err == nil {
		t.Error("it calls what is not loopback")
	}
}

func TestNewRefuses(t *testing.T) {
	for why, o := range map[string]Options{
		"loopback":         {URL: "http://192.0.2.1:80", RatePerSecond: 1},
		"not http":         {URL: "https://127.0.0.1:80", RatePerSecond: 1},
		"parse load URL":   {URL: "http://127.0.0.1:x", RatePerSecond: 1},
		"rate 0/s":         {URL: "http://127.0.0.1:80"},
		"timeout -1s":      {URL: "http://127.0.0.1:80", RatePerSecond: 1, Timeout: -time.Second},
		"rate 1e+06/s":     {URL: "http://localhost:80", RatePerSecond: 1e6},
		"on a loopback ad": {URL: "http://127.0.0.1.example:80", RatePerSecond: 1},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("New(%+v) = %v, want an error that says %q", o, err, why)
		}
	}
}
