package controlplane

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
)

// The tests share one control plane. What needs a process of its own runs in a child:
// this test binary again, told by its environment to start a control plane and to stop
// it when its input ends.
const (
	childDir  = "PENSTOCK_TEST_CHILD_DIR"
	childPort = "PENSTOCK_TEST_CHILD_PORT"
)

var (
	plane     *ControlPlane
	client    kubernetes.Interface
	startTime time.Duration
	// errCancelled is what a start with a cancelled context gave, before plane started.
	errCancelled error
)

func TestMain(m *testing.M) {
	if dir, child := os.LookupEnv(childDir); child {
		os.Exit(beChild(dir))
	}
	os.Exit(share(m))
}

func share(m *testing.M) int {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, errCancelled = Start(cancelled, Options{})

	began := time.Now()
	var err error
	if plane, err = Start(context.Background(), Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer plane.Stop()
	startTime = time.Since(began)
	if client, err = kubernetes.NewForConfig(plane.RESTConfig()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	plane.Stop()
	plane.Stop() // the second time does no harm
	if _, err := os.Stat(plane.Kubeconfig()); !os.IsNotExist(err) || plane.Err() != nil {
		fmt.Fprintln(os.Stderr, "after Stop: kubeconfig:", err, "reason:", plane.Err())
		code = 1
	}
	return code
}

// beChild prints "ready <kubeconfig>" or "error <sentence>" on the given pipe, not on
// standard output: that has to stay silent.
func beChild(dir string) int {
	report := os.NewFile(3, "report")
	port, err := strconv.Atoi(os.Getenv(childPort))
	if err != nil {
		fmt.Fprintln(report, "error", err)
		return 1
	}
	p, err := Start(context.Background(), Options{Dir: dir, PortBase: port})
	if err != nil {
		fmt.Fprintln(report, "error", err)
		return 1
	}
	fmt.Fprintln(report, "ready", p.Kubeconfig())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		fmt.Fprintln(report, "error", err)
	}
	p.Stop()
	return 0
}

// child is a running child process.
type child struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	output  strings.Builder // standard output and error
	said    string          // its report
}

// spawn starts a child and waits for its report.
func spawn(t *testing.T, dir string, port int, edits ...func(*exec.Cmd)) *child {
	t.Helper()
	c := &child{command: exec.Command("/proc/self/exe")}
	if exe, err := os.Executable(); err == nil {
		c.command.Path = exe
	}
	c.command.Env = append(os.Environ(), childDir+"="+dir, childPort+"="+strconv.Itoa(port))
	c.command.Stdout, c.command.Stderr = &c.output, &c.output
	for _, edit := range edits {
		edit(c.command)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	c.command.ExtraFiles = []*os.File{write}
	if c.stdin, err = c.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	t.Cleanup(func() {
		c.stdin.Close()
		c.command.Process.Kill() //nolint:errcheck // has ended, in a passing test
		c.command.Wait()         //nolint:errcheck // see above
	})
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		c.command.Wait() //nolint:errcheck // its output tells more
		t.Fatalf("the child said nothing: %v\n%s", err, c.output.String())
	}
	c.said = strings.TrimSpace(line)
	return c
}

// end lets the child stop and returns what it printed.
func (c *child) end(t *testing.T) string {
	t.Helper()
	c.stdin.Close()
	done := make(chan error, 1)
	go func() { done <- c.command.Wait() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the child did not end within a minute")
	}
	return c.output.String()
}

// within polls until ok returns nil, and fails the test with its last error otherwise.
func within(t *testing.T, limit time.Duration, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", limit, err)
		}
		<-tick.C
	}
}
