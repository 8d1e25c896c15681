package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestThePageShowsWhatTheContractTestsSay(t *testing.T) {
	root := t.TempDir()
	for name, body := range map[string]string{
		"internal/metric/a/a_test.go": `package a
func fixture() Fixture {
	none := metric.Result{Why: "nothing came"}
	return Fixture{
		Values: map[string]Answer{"a number": {}},
		NoData: map[string]Answer{
			"no series": {Body: "[]", Want: none},
			"a literal": {Want: metric.Result{Value: nil, Why: "it is empty"}},
			"unsaid": {Body: "null"},
		},
	}
}`,
		"internal/metric/b/b_test.go": `package b
func TestB(t *testing.T) {
	why := "no points"
	f.NoData = map[string]Answer{"a series without points": {Want: Result{Why: why}}}
}`,
		"internal/metric/providertest/x_test.go": `package providertest
var f = Fixture{NoData: map[string]Answer{"a mutant": {}}}`,
		"docs/x": "",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(root); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "no-data.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| Provider | The answer | The status says |\n| --- | --- | --- |\n")
	want := "| `a` | a literal | it is empty |\n| `a` | no series | nothing came |\n| `a` | unsaid |  |\n| `b` | a series without points | no points |\n"
	if table != want {
		t.Errorf("got\n%swant\n%s", table, want)
	}
}
