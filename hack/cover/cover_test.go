package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// written makes a tree of files and returns its root.
func written(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// found scans a tree with one test file, and writes each tag as "items: test: sentence".
func found(t *testing.T, source string) ([]string, error) {
	t.Helper()
	tags, err := scanTests(written(t, map[string]string{"a/a_test.go": "package a\n" + source}))
	var lines []string
	for _, g := range tags {
		var words []string
		for _, i := range g.items {
			words = append(words, i.String())
		}
		line := strings.Join(words, ", ") + ": " + g.name
		if g.sentence != "" {
			line += ": " + g.sentence
		}
		lines = append(lines, line)
	}
	return lines, err
}

func TestATagBelongsToWhatItStandsAt(t *testing.T) {
	for sentence, c := range map[string]struct {
		source string
		want   []string
	}{
		"directly above a test": {`
// Covers: edge 5, defect 12, outage 39.
func TestA(t *testing.T) {}`, []string{"edge 5, defect 12, outage 39: TestA"}},
		"within the doc of a test": {`
// TestA says much.
// Covers: edge 5.
// And more.
func TestA(t *testing.T) {}`, []string{"edge 5: TestA"}},
		"without its full stop": {`
// Covers: edge 5
func TestA(t *testing.T) {}`, []string{"edge 5: TestA"}},
		"inside a test": {`
func TestA(t *testing.T) {
	// Covers: outage 1.
	x := 1
}`, []string{"outage 1: TestA"}},
		"above an entry of a map": {`
func TestA(t *testing.T) {
	for name := range map[string]struct{ n int }{
		"one": {1},
		// Covers: edge 7.
		"two pods": {2},
		"three": {3},
	} {}
}`, []string{"edge 7: TestA: two pods"}},
		"inside an entry of a map": {`
func TestA(t *testing.T) {
	for name := range map[string]func(){
		"one": func() {},
		"two pods": func() {
			// Covers: edge 7.
			do("x")
		},
	} {}
}`, []string{"edge 7: TestA: two pods"}},
		"behind an entry of a map": {`
func TestA(t *testing.T) {
	for name := range map[string]map[string]string{
		"one": {"app": "web"}, // Covers: edge 7.
		"two pods": {
			"app": "web",
		}, // Covers: edge 8.
		// Covers: edge 9.
		"three": {"app": "web"},
	} {}
}`, []string{"edge 7: TestA: one", "edge 8: TestA: two pods", "edge 9: TestA: three"}},
		"above an entry of a slice": {`
var cases = []struct{ name string }{
	// Covers: edge 1.
	{"first"},
	// Covers: edge 2.
	{name: "second"},
}
func TestA(t *testing.T) { _ = cases }`, []string{"edge 1: TestA: first", "edge 2: TestA: second"}},
		"above a subtest": {`
func TestA(t *testing.T) {
	// Covers: edge 1.
	t.Run("a subtest", func(t *testing.T) {})
	t.Run("another", func(t *testing.T) {})
}`, []string{"edge 1: TestA: a subtest"}},
		"a helper belongs to the test that reaches it": {`
// Covers: edge 1.
func helper() {}
func between() { helper() }
func TestA(t *testing.T) { between() }`, []string{"edge 1: TestA"}},
		"a fuzz target is a test, a function named Testing is none": {`
// Covers: edge 1.
func FuzzA(f *testing.F) { Testing() }
// Covers: edge 2.
func Testing() {}`, []string{"edge 1: FuzzA", "edge 2: FuzzA"}},
		"other comments are none": {`
// This covers: edge 5.
// Uncovers: edge 6.
func TestA(t *testing.T) { _ = "// Covers: edge 7." }`, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := found(t, c.source)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestABadTagIsRefusedWithItsPlace(t *testing.T) {
	const rest = "\nfunc TestA(t *testing.T) {}"
	for sentence, c := range map[string]struct{ source, want string }{
		"a second line":           {"// Covers: edge 5,\n// edge 6." + rest, `a/a_test.go:2: "" is not an item`},
		"an unknown kind":         {"// Covers: bug 5." + rest, `a/a_test.go:2: "bug 5" is not an item`},
		"no number":               {"// Covers: edge five." + rest, `"edge five" is not an item`},
		"a range":                 {"// Covers: edge 5-7." + rest, `"edge 5-7" is not an item`},
		"several after one word":  {"// Covers: edge 5, 6." + rest, `"6" is not an item`},
		"number zero":             {"// Covers: edge 0." + rest, `"edge 0" is not an item`},
		"nothing":                 {"// Covers: ." + rest, `"" is not an item`},
		"no colon":                {"// Covers edge 5." + rest, "write: // Covers: edge 5, defect 12, outage 39."},
		"at the end of the file":  {rest + "\n\n// Covers: edge 5.\n", "a/a_test.go:5: nothing follows that could be a test"},
		"above what no test runs": {"// Covers: edge 5.\nfunc helper() {}" + rest, "a/a_test.go:2: no test runs what is tagged here"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got, err := found(t, c.source); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestTagsAreFoundInBothModulesButNotInTestdata(t *testing.T) {
	const source = "package a\n// Covers: edge 1.\nfunc TestA(t *testing.T) {}"
	root := written(t, map[string]string{"b/b_test.go": source, "sandbox/e2e/a_test.go": source,
		"testdata/a_test.go": source, ".hidden/a_test.go": source, "bin/a_test.go": source, "c/c.go": source})
	tags, err := scanTests(root)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, g := range tags {
		files = append(files, g.file)
	}
	if diff := cmp.Diff([]string{"b/b_test.go", "sandbox/e2e/a_test.go"}, files); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAStoryNamesOneItemALine(t *testing.T) {
	root := written(t, map[string]string{"testdata/stories/b.txtar": "B.\n-- covers --\nedge 5\noutage 39\n-- script --\n",
		"testdata/stories/a.txtar": "A.\n-- script --\nedge 4\n"})
	tags, err := scanStories(root)
	if err != nil || len(tags) != 1 || tags[0].name != "b" || !tags[0].story {
		t.Fatalf("%+v, %v", tags, err)
	}
	if diff := cmp.Diff([]item{{"edge", 5}, {"outage", 39}}, tags[0].items, cmp.AllowUnexported(item{})); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"B.\n-- covers --\nedge 5, edge 6\n":           `story b: "edge 5, edge 6" is not an item`,
		"B.\n-- covers --\nedge 5\n-- allow --\nL5.\n": "story b: a story that does not come true guards nothing",
	} {
		root := written(t, map[string]string{"testdata/stories/b.txtar": text})
		if _, err := scanStories(root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func readFile(t *testing.T, elements ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestANumberThatIsNotListedIsRefused(t *testing.T) {
	lists := []list{{kind: "edge", entries: []entry{{number: 1}}}, {kind: "defect", entries: []entry{{number: 1}, {number: 2}}}}
	good := tag{items: []item{{"edge", 1}, {"defect", 2}}, line: 3, guard: guard{file: "a_test.go"}}
	if guards, err := join(lists, []tag{good}); err != nil || len(guards) != 2 {
		t.Errorf("%v, %v", guards, err)
	}
	for _, bad := range []item{{"edge", 2}, {"defect", 3}, {"outage", 1}} {
		_, err := join(lists, []tag{good, {items: []item{bad}, line: 7, guard: guard{file: "b_test.go"}}})
		if want := "b_test.go:7: there is no " + bad.String(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
