package story

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestManifestsInDocsAreValid decodes every manifest of the README and the docs strictly,
// and validates those that are Rollouts. The sandbox's tests apply the same manifests.
func TestManifestsInDocsAreValid(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
			found++
			decodeKnown(t, Manifest{File: page, Text: block[1]})
			var r v1alpha1.Rollout
			if err := yaml.Unmarshal(block[1], &r); err != nil || r.Kind != "Rollout" {
				continue
			}
			for _, p := range rollout.Validate("default", r.Name, &r.Spec, nil) {
				t.Errorf("%s: rollout %s: %s", page, r.Name, p.Text)
			}
		}
	}
	if found < 6 {
		t.Errorf("only %d manifests were found", found)
	}
}

// TestDifferencesNameStoriesThatExist keeps docs/differences.md honest about what holds a row.
func TestDifferencesNameStoriesThatExist(t *testing.T) {
	text, err := os.ReadFile("../../docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, list := range regexp.MustCompile("stor(?:y|ies) ((?:`[a-z0-9-]+`(?:, )?)+)").FindAllSubmatch(text, -1) {
		for _, name := range regexp.MustCompile("[a-z0-9-]+").FindAllString(string(list[1]), -1) {
			found++
			if _, err := os.Stat(filepath.Join("../../testdata/stories", name+".txtar")); err != nil {
				t.Error(err)
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d stories are named", found)
	}
}
