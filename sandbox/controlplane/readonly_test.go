package controlplane

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// readOnly is a directory that the child cannot write to. Root may write everywhere, so
// a test run by root makes its children run as another user.
type readOnly struct {
	dir  string
	user func(*exec.Cmd)
}

// nobody is the user without rights on every system that we know.
const nobody = 65534

func readOnlyDir(t *testing.T) readOnly {
	t.Helper()
	// Not t.TempDir, whose parent only its owner may pass.
	dir, err := os.MkdirTemp("", "penstock-read-only-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // a temporary directory
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return readOnly{dir, func(*exec.Cmd) {}}
	}
	return readOnly{dir, func(c *exec.Cmd) {
		c.Path = "/proc/self/exe" // the way to the test binary is closed to nobody
		c.Dir = "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}}
}
