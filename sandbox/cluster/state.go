package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// Ports after the API server's.
const (
	gatewayPort    = 1
	prometheusPort = 2
	ports          = 3
)

// loopbackPort is the address of one of the ports, or "" for a free one.
func loopbackPort(base, offset int) string {
	if base == 0 {
		return ""
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(base+offset))
}

// portsFree looks before minutes are spent on anything else.
func portsFree(base int) error {
	if base == 0 {
		return nil
	}
	if base < 0 || base > 65535-ports+1 {
		return fmt.Errorf("port base %d is not between 1 and %d", base, 65535-ports+1)
	}
	for offset := range ports {
		l, err := net.Listen("tcp4", loopbackPort(base, offset))
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return fmt.Errorf("port %d is in use by another program; the sandbox needs ports %d to %d, choose others with --port-base",
				base+offset, base, base+ports-1)
		case err != nil:
			return fmt.Errorf("try port %d: %w", base+offset, err)
		}
		if err := l.Close(); err != nil {
			return fmt.Errorf("try port %d: %w", base+offset, err)
		}
	}
	return nil
}

// state is the state directory. The control plane keeps its own files in it, and the
// lock that keeps a second sandbox out.
type state struct {
	dir  string
	made []string // directories that are not there without us, deepest first

	mu   sync.Mutex
	logs []*logFile
	keep bool
}

func newState(dir string) (*state, error) {
	if dir == "" {
		made, err := os.MkdirTemp("", "penstock-sandbox-")
		if err != nil {
			return nil, fmt.Errorf("make a state directory: %w", err)
		}
		return &state{dir: made, made: []string{made}}, nil
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find state directory %s: %w", dir, err)
	}
	s := &state{dir: absolute}
	for d := absolute; d != filepath.Dir(d); d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		s.made = append(s.made, d)
	}
	return s, nil
}

func (s *state) path(name string) string { return filepath.Join(s.dir, name) }

// log is a log file in the directory.
func (s *state) log(name string) *logFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &logFile{path: s.path(name)}
	s.logs = append(s.logs, l)
	return l
}

func (s *state) keepLogs() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep = true
	return s.dir
}

// remove takes away what this process made and nothing else.
func (s *state) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ours := false
	for _, l := range s.logs {
		ours = l.close(!s.keep) || ours
	}
	if ours { // else another sandbox may be using the directory
		os.RemoveAll(s.path("prometheus")) //nolint:errcheck // best effort on the way out
	}
	for _, d := range s.made {
		os.Remove(d) //nolint:errcheck // stays when somebody put a file there
	}
}

// logFile is made when there is something to write, which is after the control plane
// has locked the directory.
type logFile struct {
	path string

	mu    sync.Mutex
	file  *os.File
	ended bool
}

// Write never fails: a full disk must not end the sandbox.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil && !l.ended {
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		l.file, l.ended = f, err != nil
	}
	if l.file != nil && !l.ended {
		l.file.Write(p) //nolint:errcheck // see above
	}
	return len(p), nil
}

// close reports whether there was a file.
func (l *logFile) close(remove bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.file == nil {
		return false
	}
	l.file.Close() //nolint:errcheck // best effort on the way out
	if remove {
		os.Remove(l.path) //nolint:errcheck // best effort on the way out
	}
	return true
}
