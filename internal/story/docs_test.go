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
