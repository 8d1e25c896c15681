package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSpread(t *testing.T) {
	var all []time.Duration
	for i := range 200 {
		all = append(all, time.Duration(200-i)*time.Millisecond)
	}
	for name, c := range map[string]struct {
		all  []time.Duration
		want Spread
	}{
		"nothing":     {nil, Spread{}},
		"one":         {[]time.Duration{1500 * time.Microsecond}, Spread{Samples: 1, Median: 1.5, P90: 1.5, P99: 1.5, Max: 1.5}},
		"two hundred": {all, Spread{Samples: 200, Median: 100, P90: 180, P99: 198, Max: 200}},
	} {
		if d := cmp.Diff(c.want, spread(c.all)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestAReleaseIsTakenBackOnlyWithoutWeight(t *testing.T) {
	for text, want := range map[string]bool{
		`{"metadata":{"generation":2},"status":{"phase":"Degraded","abort":true,"observedGeneration":"2","canary":{"weights":{"canary":{"weight":0}}}}}`:  true,
		`{"metadata":{"generation":2},"status":{"phase":"Degraded","abort":true,"observedGeneration":"2","canary":{"weights":{"canary":{"weight":20}}}}}`: false,
		`{"metadata":{"generation":2},"status":{"phase":"Degraded","abort":true,"observedGeneration":"2"}}`:                                               false,
		`{"metadata":{"generation":2},"status":{"phase":"Degraded","observedGeneration":"2","canary":{"weights":{"canary":{"weight":0}}}}}`:               false,
	} {
		var s state
		if err := json.Unmarshal([]byte(text), &s); err != nil || s.takenBack() != want {
			t.Errorf("%s: %v %v", text, s.takenBack(), err)
		}
	}
}

// TestReleasesBehindIstio: the three workloads and C1, small, each ends and fills its figures.
func TestReleasesBehindIstio(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	var out, said bytes.Buffer
	err := Run(ctx, Options{Penstock: program(t, "controller"), Plugin: program(t, "kubectl-penstock"), Workloads: []string{"traffic", "C1"}, Sizes: Sizes(2),
		Analysis: Load{Window: 3 * time.Second}, Out: &out, Err: &said, quiet: 3 * time.Second, pods: 5})
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	lines := map[string]map[string]any{}
	for text := range strings.Lines(out.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		lines[line["workload"].(string)] = line
	}
	// Four weights, two Services, a ReplicaSet and its sizes, the run and its measurements.
	figure(t, lines["W2"], "writes_per_rollout", 20, 60)
	figure(t, lines["W3"], "writes_per_rollout", 10, 50)
	for _, name := range []string{"repair_ms", "abort_ms"} {
		part, _ := lines["W4"][name].(map[string]any)
		part["controller"] = name
		figure(t, part, "samples", 2*latencyRounds, 2*latencyRounds)
		median := figure(t, part, "median", .1, 60_000)
		figure(t, part, "p99", median, 60_000)
	}
	figure(t, lines["C1"], "pods", 5, 5)
	for _, name := range []string{"start_ms", "get_ms", "get_large_ms", "list_ms"} {
		part, _ := lines["C1"][name].(map[string]any)
		part["controller"] = name
		figure(t, part, "samples", commandRuns, commandRuns)
		figure(t, part, "median", 1, 10_000)
	}
	for _, name := range []string{"watch_core_percent", "watch_release_core_percent"} {
		figure(t, lines["C1"], name, .01, 200)
	}
	figure(t, lines["C1"], "release_seconds", .1, 60)
	if !strings.Contains(said.String(), "event Rollout TrafficWeightUpdated") {
		t.Errorf("the table names no event:\n%s", said.String())
	}
}
