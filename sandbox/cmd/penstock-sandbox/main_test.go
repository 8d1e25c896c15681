package main

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// asProgram makes this test binary be the program.
const asProgram = "PENSTOCK_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// run is one run of the program.
type run struct {
	command *exec.Cmd
	stdout  *bufio.Scanner
	mu      sync.Mutex
	stderr  strings.Builder
}

func (r *run) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stderr.Write(p)
}

func (r *run) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stderr.String()
}

// start runs the program with a temporary directory of its own in TMPDIR.
func start(t *testing.T, temp string, args ...string) *run {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	r := &run{command: exec.CommandContext(ctx, program, args...)}
	r.command.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+temp)
	r.command.Stderr = r
	out, err := r.command.StdoutPipe()
	if err == nil {
		err = r.command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.stdout = bufio.NewScanner(out)
	t.Cleanup(func() {
		cancel()
		r.command.Wait() //nolint:errcheck // has ended, in a passing test
	})
	return r
}

// variable reads lines until one sets the variable.
func (r *run) variable(t *testing.T, name string) string {
	t.Helper()
	for r.stdout.Scan() {
		if v, ok := strings.CutPrefix(r.stdout.Text(), "export "+name+"="); ok {
			return v
		}
	}
	r.command.Wait() //nolint:errcheck // its words tell more
	t.Fatalf("it did not say %s; it said: %s", name, r.said())
	return ""
}

// code waits for the end.
func (r *run) code() int {
	for r.stdout.Scan() {
	}
	r.command.Wait() //nolint:errcheck // the code tells
	return r.command.ProcessState.ExitCode()
}

// base finds three free ports in a row. Others may take them in between; then the test
// fails with the program's own sentence.
func base(t *testing.T) int {
	t.Helper()
	for b := 23000; b < 60000; b += 7 {
		var open []net.Listener
		for p := b; p < b+3; p++ {
			l, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(p))
			if err != nil {
				break
			}
			open = append(open, l)
		}
		for _, l := range open {
			l.Close() //nolint:errcheck // it has served nobody
		}
		if len(open) == 3 {
			return b
		}
	}
	t.Fatal("no three free ports in a row")
	return 0
}

func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func groups(t *testing.T, kubeconfig string) (names []string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err != nil || len(nodes.Items) != 1 {
		t.Errorf("it has nodes %v, %v; want one", nodes, err)
	}
	list, err := client.Discovery().ServerGroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range list.Groups {
		names = append(names, g.Name)
	}
	return names
}

func TestTwoSandboxesRunAtOnceAndLeaveNothingBehind(t *testing.T) {
	temp := t.TempDir()
	first := base(t)
	state := filepath.Join(temp, "made", "here")
	full := start(t, temp, "up", "--port-base", strconv.Itoa(first), "--dir", state)
	fullConfig := full.variable(t, "KUBECONFIG")
	if want := filepath.Join(state, "kubeconfig"); fullConfig != want {
		t.Errorf("the kubeconfig is %s, want %s", fullConfig, want)
	}
	if got, want := full.variable(t, "GATEWAY"), "http://127.0.0.1:"+strconv.Itoa(first+1); got != want {
		t.Errorf("the gateway is at %s, want %s", got, want)
	}
	bare := start(t, temp, "up", "--bare", "--port-base", strconv.Itoa(base(t)))
	bareConfig := bare.variable(t, "KUBECONFIG")

	if !slices.Contains(groups(t, fullConfig), "argoproj.io") {
		t.Error("the first sandbox does not serve Rollouts")
	}
	if slices.Contains(groups(t, bareConfig), "argoproj.io") {
		t.Error("the bare sandbox serves Rollouts")
	}

	// A third one in the place of the first is refused and does it no harm.
	third := start(t, temp, "up", "--dir", state)
	if code := third.code(); code != 1 || !strings.Contains(third.said(), "another control plane uses it") {
		t.Errorf("in a used directory it ends with %d: %s", code, third.said())
	}
	groups(t, fullConfig)

	for name, r := range map[string]*run{"full": full, "bare": bare} {
		if err := r.command.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code := r.code(); code != 0 {
			t.Errorf("the %s sandbox ended with %d: %s", name, code, r.said())
		}
	}
	if names := left(t, temp); names != nil {
		t.Errorf("%v is left behind", names)
	}
}

// busyPort is taken, and the two before it are free: it is of those that no system gives to a
// connection by itself.
func busyPort(t *testing.T) int {
	t.Helper()
	listen := func(port int) (net.Listener, bool) {
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		return l, err == nil
	}
	for port := 20000 + os.Getpid()%1000*10; port < 32000; port += 3 {
		taken, ok := listen(port)
		if !ok {
			continue
		}
		before, first := listen(port - 1)
		if first {
			before.Close()
		}
		other, second := listen(port - 2)
		if second {
			other.Close()
		}
		if first && second {
			t.Cleanup(func() { taken.Close() })
			return port
		}
		taken.Close()
	}
	t.Fatal("no three free ports in a row")
	return 0
}

func TestWhatCannotStartSaysSoInOneSentence(t *testing.T) {
	port := busyPort(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"the API server's port is busy":   {[]string{"demo", "--port-base", strconv.Itoa(port)}, "port " + strconv.Itoa(port) + " is in use by another program"},
		"Prometheus' port is busy":        {[]string{"up", "--port-base", strconv.Itoa(port - 2)}, "port " + strconv.Itoa(port) + " is in use by another program"},
		"a port that does not exist":      {[]string{"up", "--port-base", "65534"}, "port base 65534 is not between 1 and 65533"},
		"a negative port":                 {[]string{"up", "--port-base", "-1"}, "port base -1 is not between"},
		"the directory cannot be made":    {[]string{"demo", "--dir", filepath.Join(file, "state")}, "not a directory"},
		"the directory is a file":         {[]string{"up", "--dir", file}, "not a directory"},
		"no load at all":                  {[]string{"demo", "--rate", "-5"}, "load rate -5/s is outside"},
		"an unknown flag":                 {[]string{"up", "--keep"}, "unknown flag: --keep"},
		"an argument that means nothing":  {[]string{"demo", "now"}, `unknown command "now"`},
		"a rate that is no number at all": {[]string{"demo", "--rate", "many"}, `invalid argument "many"`},
	} {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			r := start(t, temp, test.args...)
			code := r.code()
			said := strings.TrimSpace(r.said())
			last := said[strings.LastIndexByte(said, '\n')+1:]
			if code != 1 || !strings.HasPrefix(last, "penstock-sandbox: ") || !strings.Contains(last, test.want) {
				t.Errorf("it ended with %d and said %q, want %q", code, said, test.want)
			}
			if strings.Contains(said, "goroutine") {
				t.Errorf("it panicked: %s", said)
			}
			if names := left(t, temp); names != nil {
				t.Errorf("%v is left behind", names)
			}
		})
	}
}

func TestAnInterruptDuringTheStartLeavesNothingBehind(t *testing.T) {
	temp := t.TempDir()
	r := start(t, temp, "up")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !strings.Contains(r.said(), "starting"); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it does not start")
		}
	}
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := r.code(); code != 130 && code != 0 {
		t.Errorf("it ended with %d: %s", code, r.said())
	}
	if names := left(t, temp); names != nil {
		t.Errorf("%v is left behind", names)
	}
}
