package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	aTemplate = `
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: success, labels: {team: web}}
spec:
  args: [{name: service}, {name: rate, value: "0.95"}, {name: key, valueFrom: {secretKeyRef: {name: s, key: k}}}]
  metrics: [{name: rate, provider: {job: {spec: {template: {spec: {containers: [], restartPolicy: Never}}}}}}]
`
	anOutline = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: fresh}\nspec: {replicas: 1, strategy: {canary: {}}}\n"
)

// files writes files of these names and contents, and returns their folder.
func files(t *testing.T, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestManifestsAreCreated(t *testing.T) {
	dir := files(t, map[string]string{
		"rollout.yaml": anOutline,
		"many.yaml":    "---\n" + anOutline + "---\n# nothing\n---\n" + strings.Replace(anOutline, "name: fresh", "name: other, namespace: bank", 1) + "---" + aTemplate,
		"json":         `{"apiVersion": "argoproj.io/v1alpha1", "kind": "ClusterAnalysisTemplate", "metadata": {"name": "all"}, "spec": {"metrics": []}}`,
	})
	for args, c := range map[string]struct{ out, sent string }{
		"-f rollout.yaml":         {"rollout.argoproj.io/fresh created\n", "POST /apis/argoproj.io/v1alpha1/namespaces/shop/rollouts"},
		"-f -":                    {"rollout.argoproj.io/fresh created\n", "POST /apis/argoproj.io/v1alpha1/namespaces/shop/rollouts"},
		"-f json":                 {"clusteranalysistemplate.argoproj.io/all created\n", "POST /apis/argoproj.io/v1alpha1/clusteranalysistemplates"},
		"--filename many.yaml":    {"rollout.argoproj.io/fresh created\nrollout.argoproj.io/other created\nanalysistemplate.argoproj.io/success created\n", "POST /apis/argoproj.io/v1alpha1/namespaces/shop/rollouts POST /apis/argoproj.io/v1alpha1/namespaces/bank/rollouts POST /apis/argoproj.io/v1alpha1/namespaces/shop/analysistemplates"},
		"-f json -f rollout.yaml": {"clusteranalysistemplate.argoproj.io/all created\nrollout.argoproj.io/fresh created\n", "POST /apis/argoproj.io/v1alpha1/clusteranalysistemplates POST /apis/argoproj.io/v1alpha1/namespaces/shop/rollouts"},
	} {
		t.Run(args, func(t *testing.T) {
			t.Chdir(dir)
			s := newServer(t)
			got := s.callWith(t.Context(), Options{In: strings.NewReader(anOutline)}, append([]string{"create"}, strings.Fields(args)...)...)
			var sent []string
			for _, request := range s.seen {
				sent = append(sent, strings.Join(strings.Fields(request)[:2], " "))
			}
			if got != (outcomes{0, c.out, ""}) || strings.Join(sent, " ") != c.sent {
				t.Errorf("got %+v after %v", got, sent)
			}
		})
	}
}

func TestWhatCannotBeCreatedIsSaid(t *testing.T) {
	t.Chdir(files(t, map[string]string{
		"rollout.yaml": anOutline, "template.yaml": aTemplate, "empty.yaml": "---\n", "broken.yaml": "a: [", "words.yaml": "hello",
		"deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n",
		"typo.yaml":       strings.Replace(anOutline, "replicas", "replica", 1),
	}))
	for args, want := range map[string]string{
		"":                                   "",
		"-f none.yaml":                       "Error: open none.yaml: no such file or directory",
		"-f empty.yaml":                      "Error: empty.yaml: there is no object in it",
		"-f broken.yaml":                     "Error: broken.yaml: ",
		"-f words.yaml":                      "Error: words.yaml: ",
		"-f deployment.yaml":                 "Error: deployment.yaml: creates of apps/Deployment unsupported",
		"-f typo.yaml":                       `Error: typo.yaml: Rollout "fresh": unknown field "spec.replica"`,
		"-f rollout.yaml -f typo.yaml":       "Error: typo.yaml",
		"-f rollout.yaml -f rollout.yaml -w": "Error: Cannot watch multiple resources",
		"-f template.yaml -w":                "Error: Can only watch resources of type Rollout or Experiment",
		"rollout.yaml -f rollout.yaml":       `Error: unexpected "rollout.yaml"`,
		"analysisrun":                        "Error: one of --from or --from-file must be specified",
		"ar --from a --from-file b":          "Error: one of --from or --from-file must be specified",
		"ar --from none -a x":                "Error: arguments must be in the form NAME=VALUE",
		"ar --from none":                     `Error: analysistemplates.argoproj.io "none" not found`,
		"ar --from-file rollout.yaml":        "Error: rollout.yaml: want analysis templates, got Rollout \"fresh\"",
		"ar --from-file template.yaml":       "Error: args.service was not resolved",
		"ar --from-file template.yaml -a service=web -a other=1":        `Error: the template has no arg "other"`,
		"ar --from-file template.yaml --global -a service=web":          "Error: template.yaml: there is no ClusterAnalysisTemplate in it",
		"ar --from-file template.yaml -a service=web --generate-name -": "Error: name is invalid",
	} {
		s := newServer(t)
		got := s.call(t.Context(), append([]string{"create"}, strings.Fields(args)...)...)
		if got.code != 1 || got.out != "" || !strings.HasPrefix(got.err, want) || len(s.seen) > 0 {
			t.Errorf("%q: %+v after %v", args, got, s.seen)
		}
	}
}

func TestWhatWasCreatedIsFollowed(t *testing.T) {
	t.Chdir(files(t, map[string]string{"rollout.yaml": anOutline}))
	synctest.Test(t, func(t *testing.T) {
		got, took := play(t, newServer(t), Options{}, script{{3 * time.Second, func(_ *apiServer, stop func()) { stop() }}}, "create", "-f", "rollout.yaml", "-w")
		if got.code != 0 || took != 3*time.Second || !strings.HasPrefix(got.out, "rollout.argoproj.io/fresh created\nName:            fresh\n") {
			t.Errorf("after %s %+v", took, got)
		}
	})
}

func templates() []client.Object {
	inner := &v1alpha1.ClusterAnalysisTemplate{}
	inner.Name = "latency"
	inner.Spec.Metrics = []v1alpha1.Metric{{Name: "latency"}}
	outer := &v1alpha1.AnalysisTemplate{}
	outer.Name, outer.Namespace = "all", "shop"
	outer.Spec.Templates = []v1alpha1.AnalysisTemplateRef{{TemplateName: "latency", ClusterScope: true}}
	outer.Spec.Metrics = []v1alpha1.Metric{{Name: "rate"}}
	return []client.Object{inner, outer}
}

func TestAnalysisRunsAreCreatedFromTemplates(t *testing.T) {
	const post = "POST /apis/argoproj.io/v1alpha1/namespaces/shop/analysisruns "
	t.Chdir(files(t, map[string]string{"template.yaml": aTemplate}))
	for args, c := range map[string]struct{ out, metadata, spec string }{
		"--from-file template.yaml -a service=web": {"analysisrun.argoproj.io/success-x7k2p created\n",
			`{"generateName":"success-","labels":{"team":"web"},"namespace":"shop"}`,
			`"args":[{"name":"service","value":"web"},{"name":"rate","value":"0.95"},{"name":"key","valueFrom":{"secretKeyRef":{"key":"k","name":"s"}}}]`},
		"--from-file template.yaml -a service=a=b -a key=k --name mine --instance-id two": {"analysisrun.argoproj.io/mine created\n",
			`{"labels":{"argo-rollouts.argoproj.io/controller-instance-id":"two"},"name":"mine","namespace":"shop"}`,
			`"args":[{"name":"service","value":"a=b"},{"name":"rate","value":"0.95"},{"name":"key","value":"k"}]`},
		"--from all --generate-name t-": {"analysisrun.argoproj.io/t-x7k2p created\n", `{"generateName":"t-","namespace":"shop"}`,
			`"metrics":[{"name":"rate","provider":{}},{"name":"latency","provider":{}}]`},
		"--from latency --global": {"analysisrun.argoproj.io/latency-x7k2p created\n", `{"generateName":"latency-","namespace":"shop"}`,
			`"metrics":[{"name":"latency","provider":{}}]`},
	} {
		s := newServer(t, templates()...)
		got := s.call(t.Context(), append([]string{"create", "analysisrun"}, strings.Fields(args)...)...)
		if got != (outcomes{0, c.out, ""}) || len(s.seen) != 1 {
			t.Errorf("%s: %+v after %v", args, got, s.seen)
			continue
		}
		body, is := strings.CutPrefix(s.seen[0], post)
		var sent map[string]any
		if json.Unmarshal([]byte(body), &sent) == nil { // for the order of keys
			if sorted, err := json.Marshal(sent); err == nil {
				body = string(sorted)
			}
		}
		if !is || !strings.Contains(body, `"metadata":`+c.metadata) || !strings.Contains(body, c.spec) {
			t.Errorf("%s: it sent %s", args, s.seen[0])
		}
	}
}

func TestTheHelperOfKubectlCompletes(t *testing.T) {
	s := newServer(t, givenRollout())
	for name, c := range map[string]struct {
		file string
		args []string
		want string
	}{
		"a name":    {"kubectl_complete-argo-rollouts", []string{"--server=http://server.invalid", "-n=shop", "abort", "w"}, "web\n:4\n"},
		"a command": {"kubectl_complete-penstock", []string{"restar"}, "restart\tReplace all pods, as many at a time as may be missing\n:4\n"},
		"a shell":   {"kubectl_complete-penstock", []string{"completion", "f"}, "fish\n:4\n"},
	} {
		got := s.under(t.Context(), Options{}, c.file, c.args...)
		if d := cmp.Diff(c.want, got.out); d != "" || got.code != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestEveryShellHasItsScript(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := newServer(t).call(t.Context(), "completion", shell); got.code != 0 || got.err != "" || !strings.Contains(got.out, "kubectl-argo-rollouts") {
			t.Errorf("%s: %d %q %d bytes", shell, got.code, got.err, len(got.out))
		}
	}
	if got := newServer(t).call(t.Context(), "completion", "tcsh"); got.code != 1 || got.out != "" || !strings.HasPrefix(got.err, `Error: there is no script for "tcsh"`) {
		t.Errorf("%+v", got)
	}
}
