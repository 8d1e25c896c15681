package cli

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestWrongCommandLinesPrintUsageOnStandardErrorOnly(t *testing.T) {
	for name, c := range map[string]struct{ args, says string }{
		"no command":              {"", "Usage:\n  kubectl argo rollouts"},
		"get alone":               {"get", "Usage:\n  kubectl argo rollouts get"},
		"retry alone":             {"retry", "Usage:\n  kubectl argo rollouts retry"},
		"get of another kind":     {"get deployment web", `Error: unknown command "deployment" for "kubectl argo rollouts get"`},
		"an unknown command":      {"destroy web", `Error: unknown command "destroy" for "kubectl argo rollouts"`},
		"get without a name":      {"get rollout", "Error: accepts 1 arg(s), received 0"},
		"get with two names":      {"get rollout a b", "Error: accepts 1 arg(s), received 2"},
		"promote without a name":  {"promote", "Error: accepts 1 arg(s), received 0"},
		"promote with two names":  {"promote a b", "Error: accepts 1 arg(s), received 2"},
		"abort without a name":    {"abort", "Error: requires at least 1 arg(s), only received 0"},
		"pause without a name":    {"pause", "Error: requires at least 1 arg(s), only received 0"},
		"retry without a name":    {"retry rollout", "Error: requires at least 1 arg(s), only received 0"},
		"status without a name":   {"status", "Error: accepts 1 arg(s), received 0"},
		"version with a name":     {"version now", "Error: accepts 0 arg(s), received 1"},
		"an unknown flag":         {"promote web --fulll", "Error: unknown flag: --fulll"},
		"a timeout without units": {"status web -t 5", `Error: invalid argument "5"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, givenRollout())
			got := s.call(t.Context(), strings.Fields(c.args)...)
			code := 1
			if strings.HasPrefix(c.args, "status") {
				code = exitOther
			}
			if got.code != code || got.out != "" || !strings.Contains(got.err, "Usage:") || !strings.Contains(got.err, c.says) || strings.Contains(got.err, "Global Flags:") {
				t.Errorf("exit code %d, output %q, errors:\n%s\nwant %q and a usage", got.code, got.out, got.err, c.says)
			}
			if len(s.seen)+len(s.reads) > 0 {
				t.Errorf("the API server was asked: %v %v", s.seen, s.reads)
			}
		})
	}
}

func TestThePluginAnswersToItsFileName(t *testing.T) {
	for arg, want := range map[string][2]string{
		"/opt/bin/kubectl-argo-rollouts": {"kubectl-argo-rollouts", "kubectl argo rollouts"},
		"kubectl-penstock":               {"kubectl-penstock", "kubectl penstock"},
		"kubectl-penstock.exe":           {"kubectl-penstock", "kubectl penstock"},
		"kubectl-argo_rollouts":          {"kubectl-argo_rollouts", "kubectl argo-rollouts"},
		"penstock":                       {"penstock", "penstock"},
		"":                               {"kubectl-penstock", "kubectl penstock"},
	} {
		if file, display := names([]string{arg}); file != want[0] || display != want[1] {
			t.Errorf("%q: %q, %q, want %q", arg, file, display, want)
		}
	}
}

func TestHelpGoesToStandardErrorAndIsNoError(t *testing.T) {
	got := newServer(t).call(t.Context(), "promote", "--help")
	if got.code != 0 || got.out != "" || !strings.Contains(got.err, "kubectl argo rollouts promote ROLLOUT_NAME") {
		t.Errorf("got %+v", got)
	}
}

func TestABadKubeconfigIsAnErrorAndNoPanic(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(broken, []byte("clusters: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"a broken file":          {"--kubeconfig", broken},
		"a missing file":         {"--kubeconfig", broken + "-none"},
		"an unknown context":     {"--context", "nowhere"},
		"an unreadable server":   {"--server", "http://[::1"},
		"a missing certificate":  {"--server", "https://server.invalid", "--certificate-authority", broken + "-none"},
		"two ways to be trusted": {"--server", "https://server.invalid", "--insecure-skip-tls-verify", "--certificate-authority", broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", "")
			t.Setenv("HOME", t.TempDir())
			var out, errs bytes.Buffer
			code := Run(t.Context(), Options{Args: append([]string{"kubectl-penstock", "abort", "web"}, args...), Out: &out, Err: &errs})
			if code != 1 || out.Len() > 0 || !strings.HasPrefix(errs.String(), "Error: ") || strings.Count(errs.String(), "\n") > 2 {
				t.Errorf("exit code %d, output %q, errors %q", code, &out, &errs)
			}
		})
	}
}

func TestNamesAreCompletedForTheFirstWordOnly(t *testing.T) {
	s := newServer(t, givenRollout())
	for typed, want := range map[string]string{"abort ": "web\n:4\n", "promote w": "web\n:4\n", "status x": ":4\n", "abort web ": ":4\n", "retry rollout w": "web\n:4\n"} {
		got := s.call(t.Context(), append([]string{"__complete"}, strings.Split(typed, " ")...)...)
		mustEqual(t, typed, got.out, want)
	}
}

func TestTheVersionHasThePublishedLayout(t *testing.T) {
	built := &debug.BuildInfo{GoVersion: "go1.26"}
	built.Main.Version = "v1.2.3+dirty"
	built.Settings = []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"}}
	mustEqual(t, "a release", versionText("kubectl-penstock", built, true), "kubectl-penstock: v1.2.3+0123456.dirty\n")
	mustEqual(t, "no facts", versionText("x", &debug.BuildInfo{}, true), "x: v0.0.0\n")
	long := versionText("kubectl-penstock", built, false)
	for _, line := range []string{"kubectl-penstock: v1.2.3+0123456.dirty\n", "\n  BuildDate: 2026-01-02T03:04:05Z\n", "\n  GitCommit: 0123456789abcdef\n", "\n  GitTreeState: dirty\n", "\n  GoVersion: go1.26\n", "\n  Compiler: ", "\n  Platform: "} {
		if !strings.Contains(long, line) {
			t.Errorf("no %q in\n%s", line, long)
		}
	}
	if !skew("v1.8.0+1234567", "v1.9.3") || skew("v1.9.0+1234567.dirty", "v1.9.3") || skew("v0.0.0", "v1.9.3") || skew("v1.9.0", "latest") {
		t.Error("the wrong versions count as skewed")
	}
	for image, tag := range map[string]string{"a.io:5000/x/y:v1.2": "v1.2", "y": "", "a.io:5000/y": "", "y:v1@sha256:00": "v1"} {
		mustEqual(t, image, tagOf(image), tag)
	}
	got := newServer(t).call(t.Context(), "version", "--short")
	if got.code != 0 || got.err != "" || !strings.HasPrefix(got.out, "kubectl-argo-rollouts: v") {
		t.Errorf("got %+v", got)
	}
}

// The plugin's own version is said whatever the cluster answers.
func TestTheVersionNamesTheControllers(t *testing.T) {
	d := &appsv1.Deployment{}
	d.Name, d.Namespace, d.Labels = "rollouts", "delivery", map[string]string{"app.kubernetes.io/name": "argo-rollouts"}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Image: "example.com/rollouts:v1.9.0"}}
	other := &appsv1.Deployment{}
	other.Name, other.Namespace = "web", "shop"
	with, without := newServer(t, d, other), newServer(t, other)
	refused := newServer(t)
	refused.deny["GET /apis/apps/v1/deployments"] = http.StatusForbidden
	for name, c := range map[string]struct {
		server     *apiServer
		args, want string
	}{
		"a controller":    {with, "version", "\ncontroller: v1.9.0\n  Deployment: delivery/rollouts\n  Image: example.com/rollouts:v1.9.0\n"},
		"no controller":   {without, "version", "\ncontroller: none in this cluster has the label "},
		"no rights":       {refused, "version", "\ncontroller: not known: the server says Forbidden; ask"},
		"nobody is asked": {refused, "version --client", ""},
	} {
		got := c.server.call(t.Context(), strings.Fields(c.args)...)
		if got.code != 0 || got.err != "" || !strings.HasPrefix(got.out, "kubectl-argo-rollouts: v") || !strings.Contains(got.out, c.want) || c.want == "" && strings.Contains(got.out, "controller:") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
