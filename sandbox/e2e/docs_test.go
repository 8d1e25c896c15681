package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/penstock-io/penstock/sandbox/cluster"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestManifestsInDocsApply applies what the README and the docs show, as a reader would.
func TestManifestsInDocsApply(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	ns, found := space(t), 0
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
			objects, err := cluster.Decode(block[1])
			if err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			if err := shared.Apply(t.Context(), ns, objects...); err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			for _, u := range objects {
				found++
				readBack(t, ns, u, "spec", "data")
			}
		}
	}
	if found < 6 {
		t.Errorf("only %d manifests were found", found)
	}
}
