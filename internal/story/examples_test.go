package story

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/sim"
)

const examples = "../../examples"

func exampleFolders(t *testing.T) (folders []string) {
	t.Helper()
	entries, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "plugins" { // programs, which have tests with them
			folders = append(folders, e.Name())
		}
	}
	if len(folders) < 4 {
		t.Fatalf("only these examples: %v", folders)
	}
	return folders
}

func exampleFiles(t *testing.T, folder string) (files []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(examples, folder))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "kustomization.yaml" {
			files = append(files, e.Name())
		}
	}
	return files
}

func read(t *testing.T, elements ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{examples}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEveryExampleListsEveryFile(t *testing.T) {
	for _, folder := range exampleFolders(t) {
		t.Run(folder, func(t *testing.T) {
			var k struct {
				APIVersion string   `json:"apiVersion"`
				Kind       string   `json:"kind"`
				Resources  []string `json:"resources"`
			}
			if err := yaml.UnmarshalStrict(read(t, folder, "kustomization.yaml"), &k); err != nil {
				t.Fatal(err)
			}
			slices.Sort(k.Resources)
			if diff := cmp.Diff(exampleFiles(t, folder), k.Resources); diff != "" {
				t.Errorf("files and resources differ (- files, + listed):\n%s", diff)
			}
		})
	}
}

func TestEveryExampleManifestSaysWhatItIsFor(t *testing.T) {
	for _, folder := range exampleFolders(t) {
		for _, file := range append(exampleFiles(t, folder), "kustomization.yaml") {
			first, _, _ := strings.Cut(string(read(t, folder, file)), "\n")
			if purpose, ok := strings.CutPrefix(first, "# "); !ok || len(purpose) < 20 {
				t.Errorf("%s/%s begins with %q, not with a comment on its purpose", folder, file, first)
			}
		}
	}
}

// TestEveryExampleDecodesStrictly also builds each analysis as the controller would, so
// that an arg without a value or a template that is missing shows here.
func TestEveryExampleDecodesStrictly(t *testing.T) {
	for _, folder := range exampleFolders(t) {
		t.Run(folder, func(t *testing.T) {
			s, err := Parse([]byte("An example.\n-- include --\nexamples/"+folder+"\n"), os.DirFS("../.."))
			if err != nil {
				t.Fatal(err)
			}
			services := map[string]bool{}
			for _, m := range s.Manifests {
				name := decodeKnown(t, m)
				if kind, err := kindOf(m); err == nil && kind == "Service" {
					services[name] = true
				}
			}
			stable, canary := rollout.Roles(&s.Rollout.Spec, &s.Rollout.Status)
			for _, name := range []string{stable, canary} {
				if name != "" && !services[name] {
					t.Errorf("service %s is missing", name)
				}
			}
			checkAnalyses(t, &s)
		})
	}
}

// decodeKnown decodes a manifest into its type and returns its name.
func decodeKnown(t *testing.T, m Manifest) string {
	t.Helper()
	kind, err := kindOf(m)
	if err != nil {
		t.Fatal(err)
	}
	var into any
	switch kind {
	case "Rollout":
		into = &v1alpha1.Rollout{}
	case "AnalysisTemplate":
		into = &v1alpha1.AnalysisTemplate{}
	case "ClusterAnalysisTemplate":
		into = &v1alpha1.ClusterAnalysisTemplate{}
	case "Service":
		into = &corev1.Service{}
	case "ConfigMap":
		into = &corev1.ConfigMap{}
	case "Role":
		into = &rbacv1.Role{}
	case "Deployment":
		into = &appsv1.Deployment{}
	case "Experiment":
		into = &v1alpha1.Experiment{}
	case "VirtualService", "DestinationRule", "NotificationTemplate":
		into = &map[string]any{}
	default:
		t.Fatalf("%s: kind %q is not known here", m.File, kind)
	}
	if err := decodeStrict(m, into); err != nil {
		t.Fatalf("%s: %v", m.File, err)
	}
	var head struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal(m.Text, &head); err != nil || head.Metadata.Name == "" {
		t.Fatalf("%s: no name: %v", m.File, err)
	}
	return head.Metadata.Name
}

func checkAnalyses(t *testing.T, s *Story) {
	t.Helper()
	analyses := 0
	var object map[string]any
	for _, m := range s.Manifests {
		if kind, err := kindOf(m); err == nil && kind == "Rollout" {
			if err := yaml.Unmarshal(m.Text, &object); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, in := range sections(s) {
		analyses++
		in.Templates, in.Latest, in.Stable = s.Templates, "aaa", "bbb"
		in.Rollout = func() map[string]any { return object }
		if err := analysis.Check(in); err != nil {
			t.Errorf("%s %d: %v", in.Type, in.Step, err)
			continue
		}
		run, err := analysis.Build(in)
		if err != nil {
			t.Errorf("%s %d: %v", in.Type, in.Step, err)
			continue
		}
		noDataIsNoSuccess(t, run.Spec)
	}
	if analyses == 0 {
		t.Error("the example has no analysis")
	}
}

// sections are the analyses of an example's strategy.
func sections(s *Story) (all []analysis.BuildInput) {
	if b := s.Rollout.Spec.Strategy.BlueGreen; b != nil {
		for kind, a := range map[rollout.RunKind]*v1alpha1.RolloutAnalysis{
			rollout.PrePromotion: b.PrePromotionAnalysis, rollout.PostPromotion: b.PostPromotionAnalysis} {
			if a != nil {
				all = append(all, analysis.BuildInput{Analysis: *a, Type: string(kind), Step: -1})
			}
		}
		return all
	}
	for i, step := range s.Rollout.Spec.Strategy.Canary.Steps {
		if step.Analysis != nil {
			all = append(all, analysis.BuildInput{Analysis: *step.Analysis, Type: string(rollout.StepRun), Step: int32(i)})
		}
	}
	return all
}

// noDataIsNoSuccess answers every metric of a run with nothing.
func noDataIsNoSuccess(t *testing.T, spec v1alpha1.AnalysisRunSpec) {
	t.Helper()
	metrics, err := analysis.Resolve(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metrics {
		status := v1alpha1.AnalysisRunStatus{}
		status = analysis.Fold(status, spec, []analysis.Outcome{{Name: m.Name, Metric: m,
			Result: metric.Result{Kind: metric.NoData, Why: "nothing"}}}, sim.Start)
		if got := status.MetricResults[0].Measurements[0].Phase; got != v1alpha1.AnalysisPhaseInconclusive {
			t.Errorf("metric %s without data is %s", m.Name, got)
		}
	}
}
