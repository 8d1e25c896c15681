package istio

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopWithin is how long a program may take to end.
const stopWithin = 30 * time.Second

// running is a program beside the test.
type running struct {
	name    string
	command *exec.Cmd
	ended   chan struct{}

	mu    sync.Mutex
	words bytes.Buffer
}

// Write keeps what it says.
func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.words.Write(p)
}

func (r *running) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.words.String()
}

// run starts a program in a directory. It gets these variables and no others.
func run(path, dir string, env []string, args ...string) (*running, error) {
	r := &running{name: filepath.Base(path), command: exec.Command(path, args...), ended: make(chan struct{})}
	r.command.Dir, r.command.Env = dir, append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir}, env...)
	r.command.Stdout, r.command.Stderr = r, r
	if err := r.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s (make e2e-istio builds it): %w", path, err)
	}
	go func() {
		defer close(r.ended)
		r.command.Wait() //nolint:errcheck // its words tell more
	}()
	return r, nil
}

// says waits until the program has said something, and returns the rest of that line.
func (r *running) says(what string, limit time.Duration) (rest string, err error) {
	err = poll(limit, func() error {
		if _, after, found := strings.Cut(r.said(), what); found && strings.Contains(after, "\n") {
			rest, _, _ = strings.Cut(after, "\n")
			return nil
		}
		select {
		case <-r.ended:
			return fatal{fmt.Errorf("%s ended: %s", r.name, r.last())}
		default:
			return fmt.Errorf("%s has not said %q; its last words: %s", r.name, what, r.last())
		}
	})
	return strings.TrimSpace(rest), err
}

// last are its last words.
func (r *running) last() string {
	lines := strings.Split(strings.TrimSpace(r.said()), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// stop ends it, by force when it does not listen.
func (r *running) stop() {
	r.command.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	select {
	case <-r.ended:
	case <-time.After(stopWithin):
		r.command.Process.Kill() //nolint:errcheck // it may have ended
		<-r.ended
	}
}

// fatal is an error that waiting does not mend.
type fatal struct{ error }

// poll waits for a fact, and returns the last error otherwise.
func poll(limit time.Duration, ok func() error) error {
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if _, hopeless := err.(fatal); err == nil || hopeless {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %w", limit, err)
		}
		<-tick.C
	}
}
