package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// linted runs lint in a folder of the files.
func linted(t *testing.T, files map[string]string, stdin string, args ...string) (code int, out, errs string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var o, e bytes.Buffer
	code = Run(t.Context(), Options{Args: append([]string{"kubectl-penstock", "lint"}, args...), In: strings.NewReader(stdin), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

const validManifest = `apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: 10
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
  strategy:
    canary: {maxSurge: 1}
`

func TestLintOfValidManifestsPrintsNothingOnStandardOutput(t *testing.T) {
	for _, args := range [][]string{{"-f", "a.yaml"}, {"-f", "."}, {"--filename", "-"}, {"-f", "a.yaml", "-f", "dir", "-R"}} {
		code, out, errs := linted(t, map[string]string{"a.yaml": validManifest, "dir/sub/b.yml": validManifest, "notes.txt": "{"}, validManifest, args...)
		if code != 0 || out != "" || strings.Contains(errs, "Error:") {
			t.Errorf("%v: code %d, output %q, errors %q", args, code, out, errs)
		}
	}
}

func TestLintGivesThePublishedErrors(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"a field": {"maxSurge: 1", "maxSurges: 1", `error unmarshaling JSON: while decoding JSON: json: unknown field "maxSurges"`},
		"a value": {"maxSurge: 1", "maxSurge: 0, maxUnavailable: 0", "spec.strategy.maxSurge: Invalid value: 0: MaxSurge and MaxUnavailable both can not be zero"},
		"a Service": {"maxSurge: 1}", "canaryService: b}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {selector: {tier: web}}",
			`spec.strategy.canary.canaryService: Invalid value: "b": Service "b" has unmatch label "tier" in rollout`},
		"a selector": {"  selector: {matchLabels: {app: web}}\n", "", "spec.selector: Required value: Rollout has missing field '.spec.selector'"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := linted(t, map[string]string{"a.yaml": strings.Replace(validManifest, c.from, c.to, 1)}, "", "-f", "a.yaml")
			if code != 1 || !strings.Contains(out, c.want) || !strings.HasSuffix(errs, "Error: "+c.want+"\n") {
				t.Errorf("code %d, output %q, errors %q", code, out, errs)
			}
		})
	}
}

func TestLintExitsWithTwoForWhatItCannotRead(t *testing.T) {
	for name, args := range map[string][]string{"no YAML": {"-f", "bad.yaml"}, "no file": {"-f", "none"}, "an empty folder": {"-f", "empty"}} {
		code, out, errs := linted(t, map[string]string{"bad.yaml": "a: [", "empty/x.txt": ""}, "", args...)
		if code != 2 || out != "" || !strings.HasPrefix(errs, "Error: ") {
			t.Errorf("%s: code %d, output %q, errors %q", name, code, out, errs)
		}
	}
	code, out, errs := linted(t, nil, "")
	if code != 1 || out != "" || !strings.Contains(errs, "Usage:") {
		t.Errorf("code %d, output %q, errors %q", code, out, errs)
	}
}

func TestLintAdviceFailsOnlyWhenStrict(t *testing.T) {
	files := map[string]string{"a.yaml": validManifest}
	const advice = "a.yaml:11: Rollout/web: advice: spec.strategy.canary: the canary has no background analysis [no-background-analysis]\n"
	code, out, errs := linted(t, files, "", "-f", "a.yaml")
	if code != 0 || out != "" || !strings.HasPrefix(errs, advice) {
		t.Errorf("code %d, output %q, errors %q", code, out, errs)
	}
	code, out, errs = linted(t, files, "", "-f", "a.yaml", "--strict")
	if code != 1 || !strings.HasPrefix(out, advice) || errs != "Error: the canary has no background analysis\n" {
		t.Errorf("code %d, output %q, errors %q", code, out, errs)
	}
}

func TestLintPrintsEverythingInTheFormatsForMachines(t *testing.T) {
	for format, want := range map[string]string{"json": `"rule": "no-background-analysis"`, "sarif": `"ruleId": "no-background-analysis"`} {
		code, out, errs := linted(t, map[string]string{"a.yaml": validManifest}, "", "-f", "a.yaml", "-o", format)
		if code != 0 || !strings.Contains(out, want) || errs != "" {
			t.Errorf("%s: code %d, output %q, errors %q", format, code, out, errs)
		}
	}
	code, out, errs := linted(t, nil, "", "-f", "-", "-o", "xml")
	if code != 1 || out != "" || !strings.Contains(errs, `unknown output "xml"`) {
		t.Errorf("code %d, output %q, errors %q", code, out, errs)
	}
}

func TestLintHelpNamesTheExitCodes(t *testing.T) {
	code, out, errs := linted(t, nil, "", "--help")
	if code != 0 || out != "" || !strings.Contains(errs, "them\n\nInput is read") || !strings.Contains(errs, "\n  2  an input could not be read") {
		t.Errorf("code %d, output %q, help %q", code, out, errs)
	}
}

// A folder with a kustomization is built, so that its patches are no manifests of their own.
func TestLintBuildsKustomizations(t *testing.T) {
	folder := map[string]string{"prod/kustomization.yaml": "resources: [web.yaml]\npatches: [{path: patch.yaml}]\n", "prod/web.yaml": validManifest,
		"prod/patch.yaml": "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec: {replicas: -1}\n"}
	code, out, errs := linted(t, folder, "", "-f", "prod")
	if code != 1 || !strings.Contains(out, "prod:") || !strings.Contains(out, "spec.replicas") || strings.Contains(out, "patch.yaml") {
		t.Errorf("code %d, output %q, errors %q", code, out, errs)
	}
	folder["prod/kustomization.yaml"] = "resources: [none.yaml]\n"
	if code, out, errs := linted(t, folder, "", "-f", "prod"); code != 2 || out != "" || !strings.HasPrefix(errs, "Error: read prod: ") {
		t.Errorf("code %d, output %q, errors %q", code, out, errs)
	}
}

func TestLintSaysHowAChartIsLookedAt(t *testing.T) {
	code, out, errs := linted(t, map[string]string{"chart/Chart.yaml": "name: web\n", "chart/templates/web.yaml": "{{ if }}"}, "", "-f", "chart")
	if want := "Error: chart is a Helm chart: use `helm template chart | kubectl penstock lint -f -`\n"; code != 2 || out != "" || errs != want {
		t.Errorf("code %d, output %q, errors %q", code, out, errs)
	}
}
