package lint

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestOutputsAreGolden(t *testing.T) {
	all, err := Check([]Source{{"web.yaml", []byte(change(goodRollout, "setWeight: 50", "setWeight: 500", "Limit: 10", "Limit: 1"))},
		{"rate.yaml", []byte(change(goodTemplate, "> 0.9", "> <"))}})
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := JSON(all)
	if err != nil {
		t.Fatal(err)
	}
	none, err := JSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	sarif, err := SARIF(all)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"findings.txt": Text(all), "findings.json": asJSON, "none.json": none, "findings.sarif": sarif} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (- golden, + now)\n%s", name, d)
		}
	}
}
