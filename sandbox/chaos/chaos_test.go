package chaos

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/sandbox/cluster"
)

var (
	kills    = flag.Int("kills", 6, "how often a controller is killed")
	rollouts = flag.Int("rollouts", 4, "how many Rollouts release")
	seed     = flag.Uint64("seed", 0, "what decides when; 0 takes one from the clock")
	other    = flag.String("controller", "", "another controller of the same API, to kill instead of ours")
	keep     = flag.Bool("keep", false, "keep the controllers' logs")
	rate     = flag.Float64("rate", 20, "requests to each host a second")
)

// The tests share one cluster, and the controller that runs beside it.
var (
	shared  *cluster.Cluster
	program string
)

func TestMain(m *testing.M) { os.Exit(share(m)) }

func share(m *testing.M) int {
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "penstock-chaos-")
	if err == nil {
		defer os.RemoveAll(dir) //nolint:errcheck // best effort on the way out
		program = filepath.Join(dir, "controller")
		err = build(ctx)
	}
	if err == nil {
		shared, err = cluster.Start(ctx, cluster.Options{External: true})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.Stop()
	code := m.Run()
	if err := shared.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// build makes the controller, from the module around this one.
func build(ctx context.Context) error {
	if *other != "" {
		program = *other
		return nil
	}
	c := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/controller")
	c.Dir = filepath.Join("..", "..")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build the controller: %w\n%s", err, out)
	}
	return nil
}

// told logs what happens, with seconds since now.
func told(t *testing.T) func(string, ...any) {
	began := time.Now()
	return func(format string, args ...any) {
		t.Helper()
		t.Logf("%7.2f "+format, append([]any{time.Since(began).Seconds()}, args...)...)
	}
}

// Covers: outage 40.
func TestNobodyNoticesAKilledController(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	replay := fmt.Sprintf("cd sandbox && go test ./chaos -run TestNobodyNotices -kills %d -rollouts %d -seed %d -count=1 -timeout 60m -v", *kills, *rollouts, *seed)
	logs, err := os.MkdirTemp("", "penstock-chaos-logs-")
	if err != nil {
		t.Fatal(err)
	}
	result, err := Run(t.Context(), shared, Options{
		Controller: program, Dir: logs, Kills: *kills, Rollouts: *rollouts, Seed: *seed, PerHost: *rate, Say: told(t),
	})
	t.Logf("\n%s", result.Table())
	if err != nil {
		t.Error(err)
	}
	for _, p := range result.Problems() {
		t.Error(p)
	}
	if result.Kills < *kills {
		t.Errorf("only %d kills", result.Kills)
	}
	if t.Failed() {
		t.Errorf("the same again: %s", replay)
	}
	if t.Failed() || *keep {
		t.Logf("what the controllers said is in %s", logs)
		return
	}
	if err := os.RemoveAll(logs); err != nil {
		t.Error(err)
	}
}

// A revision without pods that still gets traffic is what this package is there to see: a
// controller that takes the pods of stable too early is played by hand.
func TestAnOutageIsSeen(t *testing.T) {
	ctx := t.Context()
	o := Options{Controller: program, Dir: t.TempDir(), Rollouts: 1, Seed: 1, PerHost: 50, Say: told(t)}
	kubeconfig, err := shared.ControllerKubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	crew := &crew{program: program, kubeconfig: kubeconfig, dir: o.Dir, say: o.Say}
	defer crew.stop()
	if err := crew.start(); err != nil {
		t.Fatal(err)
	}
	mutant := kinds[0]
	mutant.name = "mutant"
	f := newFleet(shared, []kind{mutant}, o)
	defer f.judge.Close()
	if err := f.create(ctx); err != nil {
		t.Fatal(err)
	}
	users, err := arrive(ctx, f, o.PerHost)
	if err != nil {
		t.Fatal(err)
	}
	defer users.leave()
	crew.strike()
	m := f.members[0]
	sets, err := m.replicaSets(ctx)
	if err != nil || len(sets) != 1 {
		t.Fatalf("%d ReplicaSets, %v", len(sets), err)
	}
	for _, set := range sets {
		set.Spec.Replicas = new(int32)
		if err := shared.Client().Update(ctx, set); err != nil {
			t.Fatal(err)
		}
	}
	var r Result
	err = until(ctx, time.Minute, func() error {
		r = Result{}
		if users.count(&r); r.NoReadyPod == 0 || r.Starved == 0 {
			return fmt.Errorf("%d requests and %d moments without a ready pod", r.NoReadyPod, r.Starved)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(r.Problems(), "\n"), "answered with no ready pod") {
		t.Errorf("the problems are %q", r.Problems())
	}
	if crew.kills != 1 || len(crew.complaint) > 0 {
		t.Errorf("%d kills, complaints %q", crew.kills, crew.complaint)
	}
}
