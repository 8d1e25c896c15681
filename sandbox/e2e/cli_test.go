package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/rivo/uniseg"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// plugin is the binary, built once under its published name.
var plugin = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp(shared.Dir(), "plugin-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kubectl-argo-rollouts")
	build := exec.Command("go", "build", "-o", path, "./cmd/kubectl-penstock")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the plugin: %w\n%s", err, out)
	}
	return path, nil
})

// person types commands.
type person struct{ ns string }

func (p person) command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := plugin()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(args, "-n") {
		args = append(args, "-n", p.ns)
	}
	c := exec.CommandContext(ctx, path, args...)
	c.Env = append(os.Environ(), "KUBECONFIG="+shared.Kubeconfig(), "TERM=xterm", "NO_COLOR=")
	c.Dir = t.TempDir()
	return c
}

// types runs a command, with a manifest on its standard input, and tells what it printed.
func (p person) types(t *testing.T, input, line string) (out, errs string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := p.command(ctx, t, strings.Fields(line)...)
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(input), &stdout, &stderr
	if err := c.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), c.ProcessState.ExitCode()
}

// gets runs a command that succeeds, and looks for words in what it printed.
func (p person) gets(t *testing.T, line string, words ...string) string {
	t.Helper()
	return p.gives(t, "", line, words...)
}

func (p person) gives(t *testing.T, input, line string, words ...string) string {
	t.Helper()
	out, errs, code := p.types(t, input, line)
	if code != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", line, code, out, errs)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Fatalf("%s: %q is missing in\n%s", line, w, out)
		}
	}
	return out
}

// fails runs a command that does not succeed.
func (p person) fails(t *testing.T, code int, line string, words ...string) {
	t.Helper()
	out, errs, got := p.types(t, "", line)
	if got != code {
		t.Fatalf("%s: exit code %d, want %d\n%s%s", line, got, code, out, errs)
	}
	for _, w := range words {
		if !strings.Contains(errs, w) {
			t.Fatalf("%s: %q is missing in\n%s", line, w, errs)
		}
	}
}

const handSteps = `
    canary:
      steps: [{setWeight: 25}, {pause: {}}, {setWeight: 50}, {pause: {}}]
`

// A person takes a rollout through its life with nothing but the plugin.
func TestAPersonSteersARolloutByThePlugin(t *testing.T) {
	t.Parallel()
	p := person{space(t)}
	manifest := web(handSteps)
	p.gives(t, manifest, "lint -f -")
	p.gives(t, manifest, "create -f -", "rollout.argoproj.io/web created\n")
	p.gets(t, "status web --timeout 1m", "Healthy\n")
	p.gets(t, "list rollouts", "NAME        STRATEGY   STATUS        STEP  SET-WEIGHT", "web         Canary     Healthy       4/4   100         2/2    2        2           2")
	p.gets(t, "list rollouts -A --name web --timestamps", "NAMESPACE", p.ns)
	p.gets(t, "get rollout web -o jsonpath={.kind}/{.status.phase}", "Rollout/Healthy")
	p.gets(t, "get ro web -o yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\n", "\n  strategy:\n")
	p.gets(t, "why web", "It waits for nothing.")

	p.gets(t, "set image web *=penstock/demo:v2", "rollout \"web\" image updated\n")
	p.gets(t, "status web --for paused --timeout 1m", "Paused - CanaryPauseStep\n")
	p.fails(t, 2, "status web --for healthy --watch=false", "the rollout is paused: CanaryPauseStep")
	p.fails(t, 3, "status web --timeout 1s", "Rollout status watch exceeded timeout")
	p.gets(t, "get rollout web", "Status:          ॥ Paused", "  Step:          1/4", "# revision:2", "(canary)", "(stable)", "ready:1/1")
	p.gets(t, "diff web", "penstock/demo:v2")
	p.gets(t, "promote web", "rollout 'web' promoted\n")
	await(t, p.ns, "web", time.Minute, atStep(3))
	p.gets(t, "abort web", "rollout 'web' aborted\n")
	p.fails(t, 1, "status web --timeout 1m", "The rollout is in a degraded state with message: RolloutAborted")
	p.gets(t, "status web --for degraded", "Degraded")
	p.gets(t, "retry rollout web", "rollout 'web' retried\n")
	p.gets(t, "status web --for paused --timeout 1m", "Paused")
	p.gets(t, "promote web --full", "rollout 'web' fully promoted\n")
	p.gets(t, "status web --timeout 1m", "Healthy\n")
	out := p.gets(t, "history web", "REVISION", "penstock/demo:v2", "stable", "replaced", "app.image")
	if n := strings.Count(out, " kubectl-argo-rollouts "); n != 2 { // who wrote them, of both revisions
		t.Errorf("history names its writer %d times:\n%s", n, out)
	}
	p.gets(t, "undo web", "rollout 'web' undo\n")
	p.gets(t, "status web --for paused --timeout 1m", "Paused - CanaryPauseStep\n") // without a rollbackWindow every step counts again
	p.gets(t, "promote web --full", "rollout 'web' fully promoted\n")
	p.gets(t, "status web --timeout 1m", "Healthy\n")
	p.gets(t, "pause web", "rollout 'web' paused\n")
	p.gets(t, "status web --for paused --timeout 1m", "Paused - manually paused")
	p.gets(t, "promote web", "rollout 'web' promoted\n")
	p.gets(t, "restart web", "rollout 'web' restarts in 0s\n")
	within(t, 2*time.Minute, func() error {
		if r := rollout(t, p.ns, "web"); r.Status.RestartedAt.IsZero() {
			return errors.New("no pod was replaced")
		}
		return nil
	})
	p.fails(t, 1, "get rollout weeb", `Error: rollout.argoproj.io "weeb" not found`, `Did you mean "web"?`)
	p.fails(t, 4, "status weeb", "not found")
	p.fails(t, 1, "get rollout web -n kube-system", "use -n e2e-") // other tests have one of that name too
	p.gets(t, "version", "kubectl-argo-rollouts: v", "\ncontroller: ")
	p.gets(t, "guard", "ValidatingAdmissionPolicy")
	p.gets(t, "completion bash", "kubectl-argo-rollouts")
	p.gets(t, "__complete -n "+p.ns+" get rollout w", "web\n")
}

// Watches of lists print what changes, those of create draw, and ^C ends both.
func TestAPersonWatches(t *testing.T) {
	t.Parallel()
	p := person{space(t)}
	file := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(file, []byte(web(handSteps)), 0o600); err != nil {
		t.Fatal(err)
	}
	created := p.watches(t, "create -w -f "+file)
	created.shows(t, "Status:          ✔ Healthy", "ready:1/1")
	listed := p.watches(t, "list rollouts -w")
	listed.shows(t, "web ", "Healthy")
	p.gets(t, "set image web *=penstock/demo:v2")
	listed.shows(t, "Paused", "1/4   25")
	created.shows(t, "Status:          ॥ Paused", "# revision:2")
	for _, w := range []*watch{created, listed} {
		w.ends(t)
	}
}

const messages = `
apiVersion: v1
kind: ConfigMap
metadata: {name: argo-rollouts-notification-configmap}
data:
  service.webhook.ci: "url: %s\nheaders: [{name: Authorization, value: $token}]"
  trigger.on-pause: "- when: rollout.status.phase == 'Paused'\n  send: [paused]"
  template.paused: |
    message: "{{.rollout.metadata.name}} waits at {{.rollout.status.currentStepIndex}}"
    webhook: {ci: {method: POST, body: '{"text": {{.rollout.status.message | toJson}}}'}}
---
apiVersion: v1
kind: Secret
metadata: {name: argo-rollouts-notification-secret}
stringData: {token: secret}
---`

func TestAPersonTriesMessages(t *testing.T) {
	t.Parallel()
	p, got := person{space(t)}, make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- r.Header.Get("Authorization") + " " + string(body)
	}))
	defer s.Close()
	apply(t, p.ns, strings.Replace(messages, "%s", s.URL, 1)+web(handSteps))
	await(t, p.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	p.gets(t, "notifications trigger run on-pause web", "rollout.status.phase == 'Paused'  false\n")
	p.gets(t, "set image web *=penstock/demo:v2")
	p.gets(t, "status web --for paused --timeout 1m")
	p.gets(t, "notifications trigger run on-pause web", "rollout.status.phase == 'Paused'  true\n")
	p.gets(t, "notifications template notify paused web", "message: web waits at 1\n")
	p.gets(t, "notifications template notify paused web --recipient ci:")
	if text := <-got; text != `secret {"text": "CanaryPauseStep"}` {
		t.Errorf("the webhook got %s", text)
	}
	p.fails(t, 1, "notifications template notify paused web --recipient pigeon:", `there is no service "pigeon"; there are ci, console`)
}

// watch is a command that prints until it is stopped.
type watch struct {
	command *exec.Cmd
	printed *screen
}

func (p person) watches(t *testing.T, line string) *watch {
	t.Helper()
	w := &watch{p.command(t.Context(), t, strings.Fields(line)...), &screen{}}
	w.command.Stdout, w.command.Stderr = w.printed, w.printed
	if err := w.command.Start(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *watch) shows(t *testing.T, words ...string) {
	t.Helper()
	within(t, time.Minute, func() error {
		text := w.printed.all()
		for _, word := range words {
			if !strings.Contains(text, word) {
				return fmt.Errorf("%q is missing in\n%s", word, text)
			}
		}
		return nil
	})
}

func (w *watch) ends(t *testing.T) {
	t.Helper()
	if err := w.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := w.command.Wait(); err != nil {
		t.Errorf("%v after ^C: %v\n%s", w.command.Args[1:], err, w.printed.all())
	}
}

// The role that docs/cli.md shows is enough for all that looks.
func TestTheRoleOfAViewerSuffices(t *testing.T) {
	t.Parallel()
	p := person{space(t)}
	page, err := os.ReadFile(filepath.Join(root, "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	role := yamlBlock.FindSubmatch(page)
	apply(t, p.ns, string(role[1])+`---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: rollout-viewer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: rollout-viewer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: viewer}]
---`+web(handSteps))
	await(t, p.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	for _, line := range []string{"get rollout web", "list rollouts", "list experiments", "status web", "history web", "diff web", "why web"} {
		if out, errs, code := p.types(t, "", line+" --as viewer"); code != 0 || strings.TrimPrefix(errs, "No resources found.\n") != "" {
			t.Errorf("%s: exit code %d, %q, errors %q", line, code, out, errs)
		}
	}
	p.fails(t, 1, "abort web --as viewer", `cannot patch resource "rollouts/status"`, "ask those who run the cluster for this right")
}

const trialManifest = `
apiVersion: argoproj.io/v1alpha1
kind: Experiment
metadata: {name: trial}
spec:
  templates:
  - name: candidate
    selector: {matchLabels: {app: trial}}
    template:
      metadata: {labels: {app: trial}}
      spec:
        containers: [{name: web, image: penstock/demo:v2}]
  analyses: [{name: errors, templateName: errors}]
`

// Experiments and runs are steered by the plugin too.
func TestAPersonSteersExperimentsAndRunsByThePlugin(t *testing.T) {
	t.Parallel()
	p, j := person{space(t)}, newJudge(t)
	apply(t, p.ns, j.template())
	p.gives(t, trialManifest, "create -f -", "experiment.argoproj.io/trial created\n")
	within(t, time.Minute, func() error {
		out, _, code := p.types(t, "", "get experiment trial")
		for _, w := range []string{"Status:          ◌ Running", "(candidate)", "Σ trial", "├──⧉ trial-candidate", "α trial-errors", "ready:1/1"} {
			if code != 0 || !strings.Contains(out, w) {
				return fmt.Errorf("%q is missing in\n%s", w, out)
			}
		}
		return nil
	})
	p.gets(t, "list experiments", "NAME        STATUS        DURATION  REMAINING  AGE", "trial       Running")
	p.gets(t, "terminate experiment trial", "experiment 'trial' terminated\n")
	within(t, time.Minute, func() error {
		if out, _, _ := p.types(t, "", "get exp trial -o jsonpath={.status.phase}"); out != "Successful" {
			return fmt.Errorf("it is %s", out)
		}
		return nil
	})
	p.gets(t, "retry experiment trial", "experiment 'trial' retried\n")
	p.gets(t, "create analysisrun --from errors --name by-hand", "analysisrun.argoproj.io/by-hand created\n")
	within(t, time.Minute, func() error {
		run := &v1alpha1.AnalysisRun{}
		err := shared.Client().Get(t.Context(), types.NamespacedName{Namespace: p.ns, Name: "by-hand"}, run)
		if err == nil && run.Status.Phase != v1alpha1.AnalysisPhaseRunning {
			err = fmt.Errorf("the run is %q: %s", run.Status.Phase, run.Status.Message)
		}
		return err
	})
	p.gets(t, "terminate analysisrun by-hand", "analysisRun 'by-hand' terminated\n")
	p.fails(t, 1, "terminate ar by-hands", `Did you mean "by-hand"?`)
}

// screen is a terminal of a size, with a command in it.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// frames are the pictures that were drawn.
func (s *screen) frames() []string {
	return strings.Split(strings.ReplaceAll(s.all(), "\r\n", "\n"), "\x1b[H\x1b[2J\x1b[0;0H")[1:]
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// A watch on a narrow terminal is drawn in place, fits, has colours, and ends at once by ^C.
func TestAWatchOnANarrowTerminal(t *testing.T) {
	t.Parallel()
	p := person{space(t)}
	apply(t, p.ns, web(handSteps))
	await(t, p.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	c := p.command(t.Context(), t, "get", "rollout", "web", "-w")
	const columns, lines = 60, 30
	tty, err := pty.StartWithSize(c, &pty.Winsize{Cols: columns, Rows: lines})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	drawn, read := &screen{}, make(chan struct{})
	go func() {
		defer close(read)
		buffer := make([]byte, 4096)
		for {
			n, err := tty.Read(buffer)
			drawn.Write(buffer[:n]) //nolint:errcheck // it takes all
			if err != nil {
				return // the terminal is closed
			}
		}
	}()
	shows := func(words ...string) {
		t.Helper()
		within(t, time.Minute, func() error {
			all := drawn.frames()
			for _, w := range words {
				if len(all) == 0 || !strings.Contains(colours.ReplaceAllString(all[len(all)-1], ""), w) {
					return fmt.Errorf("%q is missing in %q", w, all)
				}
			}
			return nil
		})
	}
	shows("Status:          ✔ Healthy")
	setImage(t, p.ns, "web", "penstock/demo:v2")
	shows("Status:          ॥ Paused", "# revision:2")
	if _, err := tty.Write([]byte{3}); err != nil { // ^C
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("after ^C: %v", err)
	}
	<-read
	all := drawn.frames()
	for i, frame := range all {
		if i == len(all)-1 {
			frame, _, _ = strings.Cut(frame, "^C")
		}
		for _, line := range strings.Split(frame, "\n") {
			if w := uniseg.StringWidth(colours.ReplaceAllString(line, "")); w > columns {
				t.Errorf("a line has %d cells: %q", w, line)
			}
		}
		if n := strings.Count(frame, "\n"); n > lines {
			t.Errorf("a picture has %d lines", n)
		}
	}
	if !strings.Contains(strings.Join(all, ""), "\x1b[32m✔\x1b[0m") {
		t.Error("there is no colour")
	}
}
