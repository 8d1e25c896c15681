package controlplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocketPath is below the 104 bytes of a socket path on macOS, the smallest limit
// among the systems that the sandbox runs on.
const maxSocketPath = 100

// stateDir is the directory of one control plane.
//
//	<root>/kubeconfig        for people
//	<root>/lock              held while the control plane runs
//	<root>/control-plane/    keys and etcd's data, readable by the owner only
type stateDir struct {
	root    string
	lock    *os.File
	made    []string // directories made here, deepest first
	scratch string   // a short directory for sockets, when root is too long
}

func openStateDir(root string) (*stateDir, error) {
	d := &stateDir{}
	if err := d.open(root); err != nil {
		d.remove()
		return nil, err
	}
	return d, nil
}

func (d *stateDir) open(root string) error {
	if root == "" {
		temp, err := os.MkdirTemp("", "penstock-sandbox-")
		if err != nil {
			return fmt.Errorf("make a state directory: %w", err)
		}
		d.root, d.made = temp, []string{temp}
	} else {
		abs, err := filepath.Abs(root)
		if err != nil {
			return fmt.Errorf("find state directory %s: %w", root, err)
		}
		d.made = missing(abs)
		if err := os.MkdirAll(abs, 0o700); err != nil {
			return fmt.Errorf("make state directory %s: %w", root, bare(err))
		}
		d.root = abs
	}
	if err := d.acquire(); err != nil {
		return err
	}
	// What a killed process left here is not worth keeping.
	if err := os.RemoveAll(d.private()); err != nil {
		return fmt.Errorf("clear state directory %s: %w", d.root, bare(err))
	}
	if err := os.Mkdir(d.private(), 0o700); err != nil {
		return fmt.Errorf("use state directory %s: %w", d.root, bare(err))
	}
	return nil
}

// acquire takes the lock that keeps two control planes out of one directory. The
// kernel drops it with the process, so a crash leaves nothing to clear by hand.
func (d *stateDir) acquire() error {
	f, err := os.OpenFile(filepath.Join(d.root, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("use state directory %s: %w", d.root, bare(err))
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close() //nolint:errcheck // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another control plane uses it")
		}
		return fmt.Errorf("use state directory %s: %w", d.root, err)
	}
	d.lock = f
	return nil
}

func (d *stateDir) private() string         { return filepath.Join(d.root, "control-plane") }
func (d *stateDir) kubeconfig() string      { return filepath.Join(d.root, "kubeconfig") }
func (d *stateDir) file(name string) string { return filepath.Join(d.private(), name) }

// socket is the path of a unix socket that is short enough to bind.
func (d *stateDir) socket(name string) (string, error) {
	if path := d.file(name); len(path) <= maxSocketPath {
		return path, nil
	}
	scratch, err := os.MkdirTemp("", "penstock-")
	if err != nil {
		return "", fmt.Errorf("make a directory for socket %s: %w", name, err)
	}
	d.scratch = scratch
	if path := filepath.Join(scratch, name); len(path) <= maxSocketPath {
		return path, nil
	}
	return "", fmt.Errorf("make socket %s: the path of the temporary directory is longer than %d bytes", name, maxSocketPath-20)
}

// write stores a private file in the state directory and returns its path.
func (d *stateDir) write(name string, content []byte) (string, error) {
	path := d.file(name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("write %s: %w", path, bare(err))
	}
	return path, nil
}

// remove takes away what open and its followers made, and nothing else. Without the
// lock the directory is somebody else's.
func (d *stateDir) remove() {
	if d == nil {
		return
	}
	if d.lock != nil {
		os.RemoveAll(d.private()) //nolint:errcheck // best effort on the way out
		os.Remove(d.kubeconfig()) //nolint:errcheck // may not be written yet
		os.Remove(d.lock.Name())  //nolint:errcheck // best effort on the way out
		d.lock.Close()            //nolint:errcheck // releases the lock
	}
	if d.scratch != "" {
		os.RemoveAll(d.scratch) //nolint:errcheck // best effort on the way out
	}
	for _, dir := range d.made {
		os.Remove(dir) //nolint:errcheck // stays when somebody put a file there
	}
}

// missing lists the directories of path that do not exist yet, deepest first.
func missing(path string) (dirs []string) {
	for {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			return dirs
		}
		dirs = append(dirs, path)
		path = filepath.Dir(path)
	}
}

// bare drops the path and operation that the caller's sentence already names.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
