package process

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopWithin is how long a controller may take to end.
const stopWithin = 20 * time.Second

// Options of Start.
type Options struct {
	// Path is the program.
	Path string
	// Kubeconfig says as whom it speaks to which API server.
	Kubeconfig string
	// Home is the namespace where it believes to live, which holds its Lease.
	Home string
	// Log is the file for what it says.
	Log string
	// Profiled opens /debug/pprof.
	Profiled bool
	// Flags are further ones.
	Flags []string
}

// Process is a running controller.
type Process struct {
	command *exec.Cmd
	log     string
	metrics string // address of /metrics
	pprof   string // address of /debug/pprof
	done    chan struct{}
	err     error // set before done is closed
	unread  error // the first thing about it that could not be measured
}

// Start starts a controller with the published flags. Its ports are free ones, so that
// controllers elsewhere on the machine do not matter.
func Start(o Options) (*Process, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	p := &Process{done: make(chan struct{}), log: o.Log, metrics: "127.0.0.1:" + ports[0], pprof: "127.0.0.1:" + ports[2]}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("make the log of %s: %w", o.Path, err)
	}
	defer out.Close() //nolint:errcheck // the process has its own handle
	args := append([]string{"--kubeconfig", o.Kubeconfig, "--metricsPort", ports[0], "--healthzPort", ports[1]}, o.Flags...)
	if o.Profiled {
		args = append(args, "--enable-pprof-address", p.pprof)
	}
	p.command = exec.Command(o.Path, args...)
	p.command.Env = append(os.Environ(), "POD_NAMESPACE="+o.Home)
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

// Failed says why it ended by itself, with its last words.
func (p *Process) Failed() error {
	words, err := os.ReadFile(p.log)
	if err != nil {
		words = []byte(err.Error())
	}
	lines := strings.Split(strings.TrimSpace(string(words)), "\n")
	return fmt.Errorf("the controller ended (%v); its last words: %s", p.err, strings.Join(lines[max(0, len(lines)-5):], " | "))
}

// Stop ends it, by force when it does not listen.
func (p *Process) Stop() {
	p.command.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	select {
	case <-p.done:
	case <-time.After(stopWithin):
		p.Kill()
	}
}

// Kill ends it as a machine does that loses power, and returns when it is gone.
func (p *Process) Kill() {
	p.command.Process.Kill() //nolint:errcheck // it may have ended
	<-p.done
}

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Log is the file with what it has said.
func (p *Process) Log() string { return p.log }

// Metrics is the address of /metrics.
func (p *Process) Metrics() string { return p.metrics }

// Pprof is the address of /debug/pprof of one that is Profiled.
func (p *Process) Pprof() string { return p.pprof }

// During cancels a context when the process ends.
func (p *Process) During(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-p.done:
			cancel(p.Failed())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}
