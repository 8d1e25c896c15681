package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// stopWithin is how long a controller may take to end.
	stopWithin = 20 * time.Second
	// clockTick is the unit of CPU times in /proc, USER_HZ, on every Linux.
	clockTick = 10 * time.Millisecond
)

// process is a running controller under test.
type process struct {
	command *exec.Cmd
	log     string
	metrics string // address of /metrics
	pprof   string // address of /debug/pprof
	done    chan struct{}
	err     error // set before done is closed
	unread  error // the first thing about it that could not be measured
}

// startProcess starts a controller with the published flags. Its ports are free ones, so
// that controllers elsewhere on the machine do not matter.
func startProcess(path, kubeconfig, dir string, profiled bool, extra []string) (*process, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	p := &process{done: make(chan struct{}), log: filepath.Join(dir, "controller.log"),
		metrics: "127.0.0.1:" + ports[0], pprof: "127.0.0.1:" + ports[2]}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("make the log of %s: %w", path, err)
	}
	defer out.Close() //nolint:errcheck // the process has its own handle
	args := append([]string{"--kubeconfig", kubeconfig, "--metricsPort", ports[0], "--healthzPort", ports[1]}, extra...)
	if profiled {
		args = append(args, "--enable-pprof-address", p.pprof)
	}
	p.command = exec.Command(path, args...)
	p.command.Env = append(os.Environ(), "POD_NAMESPACE="+home)
	p.command.Stdout, p.command.Stderr = out, out
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start the controller: %w", err)
	}
	go func() {
		defer close(p.done)
		p.err = p.command.Wait()
	}()
	return p, nil
}

func freePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() //nolint:errcheck // it serves nobody
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}

// failed says why it ended by itself, with its last words.
func (p *process) failed() error {
	words, err := os.ReadFile(p.log)
	if err != nil {
		words = []byte(err.Error())
	}
	lines := strings.Split(strings.TrimSpace(string(words)), "\n")
	return fmt.Errorf("the controller ended (%v); its last words: %s", p.err, strings.Join(lines[max(0, len(lines)-5):], " | "))
}

// stop ends it, by force when it does not listen.
func (p *process) stop() {
	p.command.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	select {
	case <-p.done:
	case <-time.After(stopWithin):
		p.command.Process.Kill() //nolint:errcheck // it may have ended
		<-p.done
	}
}

func (p *process) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.command.Process.Pid), name)
}

// cpu is the time that it has used so far, in user and in kernel mode.
func (p *process) cpu() time.Duration {
	text := p.read("stat")
	// The second field is the name, in brackets, and may hold anything.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		p.note(fmt.Errorf("read %s: it has %d fields", p.proc("stat"), len(fields)))
		return 0
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	kernel, err2 := strconv.ParseInt(fields[12], 10, 64)
	p.note(errors.Join(err, err2))
	return time.Duration(user+kernel) * clockTick
}

// forgetPeak makes peak count from now on.
func (p *process) forgetPeak() { p.note(os.WriteFile(p.proc("clear_refs"), []byte("5"), 0)) }

// peak is the largest resident memory since forgetPeak, in MB of 2²⁰ bytes.
func (p *process) peak() (mb float64) {
	for line := range strings.Lines(p.read("status")) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			p.note(err)
			return kb / 1024
		}
	}
	p.note(fmt.Errorf("read %s: no VmHWM in it", p.proc("status")))
	return 0
}

func (p *process) read(name string) string {
	text, err := os.ReadFile(p.proc(name))
	p.note(err)
	return string(text)
}

func (p *process) note(err error) {
	if p.unread == nil {
		p.unread = err
	}
}

// trouble is what could not be measured.
func (p *process) trouble() error {
	if p.unread != nil {
		return fmt.Errorf("measure the controller: %w", p.unread)
	}
	return nil
}

// ownCPU is what this process, with API server and node, has used so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// during cancels a context when the process ends.
func (p *process) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-p.done:
			cancel(p.failed())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}
