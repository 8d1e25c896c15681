package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// program builds one of the programs as `make bench` does.
func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-o", path, "./cmd/"+name)
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v: %s", name, err, out)
	}
	return path
}

func fields(line map[string]any) (names []string) {
	for name := range line {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// figure is a field that must be a number within bounds, both included.
func figure(t *testing.T, line map[string]any, name string, least, most float64) float64 {
	t.Helper()
	x, ok := line[name].(float64)
	if !ok || x < least || x > most {
		t.Errorf("%v: %s is %v, not between %v and %v", line["controller"], name, line[name], least, most)
	}
	return x
}

func TestOurControllerAgainstItself(t *testing.T) {
	path, profiles := program(t, "controller"), t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	var out, table bytes.Buffer
	err := Run(ctx, Options{Penstock: path, Other: path, OtherFlags: []string{"--rollout-threads=5"}, Sizes: Sizes(3), Profile: profiles, Out: &out, Err: &table,
		quiet: 3 * time.Second, profileFor: 5 * time.Second})
	if err != nil {
		t.Fatalf("%v\n%s", err, table.String())
	}
	var lines []map[string]any
	for text := range strings.Lines(out.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		lines = append(lines, line)
	}
	if len(lines) != 3 {
		t.Fatalf("printed is %s", out.String())
	}
	results := []string{"controller", "cpu_ms_per_rollout", "events_per_rollout", "gets", "lists", "reads_per_rollout", "replicas", "rollouts",
		"rss_mb", "sandbox_cpu_seconds", "seconds", "watches", "workload", "writes_per_rollout"}
	for i, name := range []string{"penstock", "controller"} {
		r := lines[i]
		if got := fields(r); !slices.Equal(got, results) {
			t.Errorf("the fields of a result are %q", got)
		}
		if r["workload"] != "W1" || r["controller"] != name {
			t.Errorf("line %d is about %v of %v", i, r["workload"], r["controller"])
		}
		figure(t, r, "rollouts", 3, 3)
		figure(t, r, "replicas", 4, 4)
		// A ReplicaSet, four steps up and four down, six statuses or so.
		writes, events := figure(t, r, "writes_per_rollout", 15, 50), figure(t, r, "events_per_rollout", 3, 20)
		if writes-events < 12 {
			t.Errorf("%s: besides events there are only %v writes", name, writes-events)
		}
		figure(t, r, "reads_per_rollout", 0, 5)
		figure(t, r, "cpu_ms_per_rollout", 1, 2000)
		figure(t, r, "seconds", .1, 300)
		figure(t, r, "rss_mb", 10, 300)
	}
	compared(t, lines[0], lines[1], lines[2])
	if !strings.Contains(table.String(), "patch rollouts/status") || strings.Contains(table.String(), "leases") {
		t.Errorf("the table is\n%s", table.String())
	}
	for _, kind := range []string{"cpu.pprof", "heap.pprof", "allocs.pprof", "metrics.txt", "sandbox.pprof"} {
		if info, err := os.Stat(filepath.Join(profiles, "W1-penstock-3."+kind)); err != nil || info.Size() == 0 {
			t.Errorf("profile %s: %v", kind, err)
		}
	}
}

// compared checks a line of ratios against the results that it compares.
func compared(t *testing.T, ours, other, line map[string]any) {
	t.Helper()
	if got := fields(line); !slices.Equal(got, []string{"cpu", "events", "ratio_of", "reads", "rollouts", "rss", "seconds", "to", "workload", "writes"}) {
		t.Errorf("the fields of a comparison are %q", got)
	}
	if line["ratio_of"] != "penstock" || line["to"] != "controller" {
		t.Errorf("compared are %v and %v", line["ratio_of"], line["to"])
	}
	for ratio, of := range map[string]string{"writes": "writes_per_rollout", "reads": "reads_per_rollout", "events": "events_per_rollout",
		"cpu": "cpu_ms_per_rollout", "seconds": "seconds", "rss": "rss_mb"} {
		a, b := ours[of].(float64), other[of].(float64)
		want := 0.0
		if b != 0 {
			want = a / b
		}
		figure(t, line, ratio, want-.001, want+.001)
	}
}

func TestAMissingControllerIsSaidBeforeAnythingStarts(t *testing.T) {
	there := program(t, "controller")
	for name, o := range map[string]Options{
		"find the controller penstock": {Penstock: filepath.Join(t.TempDir(), "gone")},
		"find the controller gone":     {Penstock: there, Other: filepath.Join(t.TempDir(), "gone")},
	} {
		var said bytes.Buffer
		o.Out, o.Err, o.Sizes = &said, &said, Sizes(3)
		err := Run(context.Background(), o)
		if err == nil || !strings.HasPrefix(err.Error(), name) || said.Len() > 0 {
			t.Errorf("%s: %v (%s)", name, err, said.String())
		}
	}
}
