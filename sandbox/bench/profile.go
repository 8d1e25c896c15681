package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/sandbox/process"
)

// profileFor is how long the CPU profile runs. Idle time does not show in it.
const profileFor = 30 * time.Second

// profile takes CPU profiles of the controller and of the sandbox from now on, and memory
// profiles and the metrics of the controller at the end. The files begin with name.
func profile(ctx context.Context, p *process.Process, o Options, name string) <-chan error {
	done := make(chan error, 1)
	if o.Profile == "" {
		done <- nil
		return done
	}
	base := filepath.Join(o.Profile, name+".")
	stop, err := profileSandbox(base + "sandbox.pprof")
	if err != nil {
		done <- err
		return done
	}
	go func() {
		defer stop()
		debug := p.Pprof() + "/debug/pprof/"
		done <- errors.Join(
			fetch(ctx, debug+"profile?seconds="+strconv.Itoa(int(o.profileFor.Seconds())), base+"cpu.pprof"),
			fetch(ctx, debug+"heap", base+"heap.pprof"),
			fetch(ctx, debug+"allocs", base+"allocs.pprof"),
			fetch(ctx, p.Metrics()+"/metrics", base+"metrics.txt"))
	}()
	return done
}

func fetch(ctx context.Context, from, path string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+from, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("profile the controller: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("profile the controller: %w", err)
	}
	return os.WriteFile(path, content, 0o644)
}

func profileSandbox(path string) (stop func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close() //nolint:errcheck // a broken profile is no broken measurement
	}, nil
}

// ownCPU is what this process, with API server and node, has used so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// machineCPU is what all processes of the machine have used so far.
func machineCPU() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	return busyCPU(string(text))
}

// busyCPU reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq,
// in hundredths of a second.
func busyCPU(stat string) (busy time.Duration) {
	line, _, _ := strings.Cut(stat, "\n")
	for i, field := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 7 {
			continue
		}
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		busy += time.Duration(n) * 10 * time.Millisecond
	}
	return busy
}
