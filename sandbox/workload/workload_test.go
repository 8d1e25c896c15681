package workload

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	app := map[string]string{"app": "web"}
	tests := map[string]struct {
		image       string
		annotations map[string]string
		labels      map[string]string
		want        Spec
		notDemo     bool
		err         string
	}{
		"a bare version is healthy":          {image: "penstock/demo:v1", labels: app, want: Spec{Service: "web", Version: "v1", Latency: DefaultLatency}},
		"short faults":                       {image: "r.example:5000/x/penstock/demo:v3-e5-l300ms", labels: app, want: Spec{Service: "web", Version: "v3", ErrorRate: 0.05, Latency: 300 * time.Millisecond}},
		"readable faults":                    {image: "penstock/demo:v3-fails-2.5pct-slow-1.5s", labels: app, want: Spec{Service: "web", Version: "v3", ErrorRate: 0.025, Latency: 1500 * time.Millisecond}},
		"a version may have dashes":          {image: "penstock/demo:1.2.3-rc1-e2e-e1", labels: app, want: Spec{Service: "web", Version: "1.2.3-rc1-e2e", ErrorRate: 0.01, Latency: DefaultLatency}},
		"a digest is ignored":                {image: "penstock/demo:v1@sha256:00", labels: app, want: Spec{Service: "web", Version: "v1", Latency: DefaultLatency}},
		"no tag is latest":                   {image: "host:5000/penstock/demo", want: Spec{Service: "demo", Version: "latest", Latency: DefaultLatency}},
		"the recommended label is a service": {image: "penstock/demo:v1", labels: map[string]string{"app.kubernetes.io/name": "cart"}, want: Spec{Service: "cart", Version: "v1", Latency: DefaultLatency}},
		"annotations override the tag": {image: "penstock/demo:v1-e50-l1s", labels: app,
			annotations: map[string]string{AnnotationErrorRate: "5%", AnnotationLatency: "20ms"},
			want:        Spec{Service: "web", Version: "v1", ErrorRate: 0.05, Latency: 20 * time.Millisecond}},
		"a share is a rate":                      {image: "penstock/demo:v1", labels: app, annotations: map[string]string{AnnotationErrorRate: "0.2"}, want: Spec{Service: "web", Version: "v1", ErrorRate: 0.2, Latency: DefaultLatency}},
		"another image is not ours":              {image: "library/nginx:v1", notDemo: true},
		"a longer name is not ours":              {image: "notpenstock/demo:v1", notDemo: true},
		"too many failures":                      {image: "penstock/demo:v1-e101", err: "outside 0% to 100%"},
		"a fault without a version":              {image: "penstock/demo:e5", err: "no version"},
		"a word after the faults":                {image: "penstock/demo:v1-e5-rc1", err: `"rc1" is no fault`},
		"latency without a unit":                 {image: "penstock/demo:v1-l300", err: "no latency"},
		"a word that looks like a fault is told": {image: "penstock/demo:v1-errors-5pct", err: "not in the grammar"},
		"fails without a value":                  {image: "penstock/demo:v1-fails", err: "needs a value"},
		"fails without pct":                      {image: "penstock/demo:v1-fails-5", err: "such as 5pct"},
		"a rate that is no number":               {image: "penstock/demo:v1", annotations: map[string]string{AnnotationErrorRate: "some"}, err: AnnotationErrorRate},
		"a rate that is not a number":            {image: "penstock/demo:v1", annotations: map[string]string{AnnotationErrorRate: "NaN"}, err: "outside"},
		"a latency beyond bounds":                {image: "penstock/demo:v1", annotations: map[string]string{AnnotationLatency: "1h"}, err: "outside"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok, err := Parse(tc.image, tc.annotations, tc.labels)
			if ok == tc.notDemo {
				t.Fatalf("Parse(%q) ok = %v", tc.image, ok)
			}
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("Parse(%q) error = %v, want one that says %q", tc.image, err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("Parse(%q) differs (-want +got):\n%s", tc.image, d)
			}
		})
	}
}

func TestFaultsAreExactInEveryWindow(t *testing.T) {
	for _, rate := range []float64{0, 0.001, 0.05, 1.0 / 3, 0.5, 0.99, 1} {
		for _, pod := range []string{"a", "b", "c"} {
			f := newFaults(Spec{Pod: pod, ErrorRate: rate, Latency: 100 * time.Millisecond})
			failures := []int{0} // failures among the first i
			var latencies []time.Duration
			for range 3000 {
				fails, latency := f.next()
				n := failures[len(failures)-1]
				if fails {
					n++
				}
				failures, latencies = append(failures, n), append(latencies, latency)
			}
			for _, window := range []int{1, 10, 100, 1000} {
				for i := 0; i+window < len(failures); i++ {
					got := float64(failures[i+window] - failures[i])
					if math.Abs(got-float64(window)*rate) > 1.01 {
						t.Fatalf("rate %v pod %s: %v failures in requests %d to %d", rate, pod, got, i, i+window)
					}
				}
			}
			slices.Sort(latencies)
			if p50 := latencies[len(latencies)/2]; p50 < 99*time.Millisecond || p50 > 101*time.Millisecond {
				t.Errorf("median latency = %s, want 100ms", p50)
			}
			if least, most := latencies[0], latencies[len(latencies)-1]; least < 75*time.Millisecond || most > 125*time.Millisecond || most-least < 40*time.Millisecond {
				t.Errorf("latencies are %s to %s, want 75ms to 125ms", least, most)
			}
		}
	}
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestServerAnswersFailsAndCounts(t *testing.T) {
	s, err := Start(Spec{Service: "web", Version: "v3", Pod: "web-1", ErrorRate: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	if !strings.HasPrefix(s.Addr(), "127.0.0.1:") {
		t.Fatalf("Addr() = %s, want loopback", s.Addr())
	}
	statuses := map[int]int{}
	for range 100 {
		resp, body := get(t, "http://"+s.Addr()+"/any/path")
		statuses[resp.StatusCode]++
		var a Answer
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Fatalf("body %q: %v", body, err)
		}
		if d := cmp.Diff(Answer{"web", "v3", "web-1"}, a); d != "" {
			t.Fatal(d)
		}
		if resp.Header.Get(HeaderVersion) != "v3" || resp.Header.Get(HeaderPod) != "web-1" {
			t.Fatalf("headers %v lack version or pod", resp.Header)
		}
	}
	if d := cmp.Diff(map[int]int{200: 90, 500: 10}, statuses); d != "" {
		t.Errorf("statuses differ (-want +got):\n%s", d)
	}
	get(t, "http://"+s.Addr()+"/healthz")
	_, metrics := get(t, "http://"+s.Addr()+"/metrics")
	for _, line := range []string{
		`http_requests_total{service="web",status="200",version="v3"} 90`,
		`http_requests_total{service="web",status="500",version="v3"} 10`,
		`http_request_duration_seconds_bucket{service="web",version="v3",le="+Inf"} 100`,
		`http_request_duration_seconds_count{service="web",version="v3"} 100`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("metrics lack %s:\n%s", line, metrics)
		}
	}
}

func TestEveryStatusExistsBeforeTheFirstRequest(t *testing.T) {
	s, err := Start(Spec{Service: "web", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	_, metrics := get(t, "http://"+s.Addr()+"/metrics")
	if line := `http_requests_total{service="web",status="500",version="v1"} 0`; !strings.Contains(metrics, line) {
		t.Errorf("metrics lack %s:\n%s", line, metrics)
	}
}

func TestDrainStillServesAndClosesConnections(t *testing.T) {
	s, err := Start(Spec{Service: "web", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	if resp, _ := get(t, "http://"+s.Addr()); resp.Close {
		t.Fatal("connection is closed before Drain")
	}
	s.Drain()
	resp, _ := get(t, "http://"+s.Addr())
	if resp.StatusCode != 200 || !resp.Close {
		t.Errorf("after Drain: status %d, close %v, want 200 and a closed connection", resp.StatusCode, resp.Close)
	}
}

func TestStopRefusesNewRequestsAndFinishesOldOnes(t *testing.T) {
	s, err := Start(Spec{Service: "web", Version: "v1", Latency: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	inFlight := make(chan int, 1)
	go func() {
		resp, err := http.Get("http://" + s.Addr())
		if err != nil {
			inFlight <- 0
			return
		}
		resp.Body.Close()
		inFlight <- resp.StatusCode
	}()
	for deadline := time.Now().Add(5 * time.Second); s.faults.count.Load() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the request never arrived")
		}
	}
	var stops sync.WaitGroup
	for range 2 {
		stops.Go(s.Stop)
	}
	stops.Wait()
	if got := <-inFlight; got != 200 {
		t.Errorf("request in flight got %d, want 200", got)
	}
	if _, err := http.Get("http://" + s.Addr()); err == nil {
		t.Error("a stopped server answers")
	}
}
