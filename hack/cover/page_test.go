package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAListIsReadLineByLine(t *testing.T) {
	got, err := parseList("outage", "1 pods went | AR#1, FL#2 | they stay\n2 a map | KR#3 | nothing | no test: not ours\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []entry{{number: 1, title: "pods went", threads: []string{"AR#1", "FL#2"}, does: "they stay"},
		{number: 2, title: "a map", threads: []string{"KR#3"}, does: "nothing", reason: "not ours"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for sentence, c := range map[string]struct{ kind, text, want string }{
		"a number is missing":        {"edge", "one", `line 1: it begins with "one"`},
		"a title is missing":         {"edge", "1", "line 1: 1 fields, not 1 that say something"},
		"an edge case has no thread": {"edge", "1 one | AR#1", "line 1: 2 fields, not 1"},
		"an outage needs its answer": {"outage", "1 one | AR#1", "line 1: 2 fields, not 3"},
		"an answer is empty":         {"outage", "1 one | AR#1 |", "line 1: 3 fields"},
	} {
		if _, err := parseList(c.kind, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", sentence, err, c.want)
		}
	}
}

// numbered is a list of count lines.
func numbered(count int, rest string) string {
	var b strings.Builder
	for n := 1; n <= count; n++ {
		fmt.Fprintf(&b, "%d item%s\n", n, rest)
	}
	return b.String()
}

// tree is a whole small repository.
func tree(t *testing.T, change map[string]string) string {
	t.Helper()
	files := map[string]string{
		"hack/cover/edges.txt":            numbered(175, ""),
		"hack/cover/analysis.txt":         "2 item\n7 other | no test: a reason\n",
		"hack/cover/analysis-defects.txt": numbered(24, " | no test: a reason"),
		"hack/cover/traffic.txt":          "183 item | no test: a reason\n",
		"hack/cover/traffic-defects.txt":  "25 item\n",
		"hack/cover/defects.txt":          numbered(40, " | no test: a reason"),
		"hack/cover/outages.txt":          numbered(56, " | AR#1 | done | no test: a reason") + "71 another | FL#2 | done | no test: a reason\n",
		"docs/differences.md":             "# Differences\n\n## Pods and traffic\n\n| a (§16 17, 18) | b (§16 no. 3) |\n",
		"a/a_test.go":                     "package a\n// Covers: edge 1, defect 18, analysis edge 2, analysis defect 24, traffic defect 25.\nfunc TestA(t *testing.T) {}\n",
		"testdata/stories/b.txtar":        "B.\n-- covers --\nedge 1\n",
	}
	for name, text := range change {
		files[name] = text
	}
	return written(t, files)
}

func TestThePagesNameTestsStoriesReasonsAndDifferences(t *testing.T) {
	root := tree(t, nil)
	if err := run(root, nil); err != nil {
		t.Fatal(err)
	}
	for page, wants := range map[string][]string{
		"edge-cases.md": {"| 1 | item | [TestA](../a/a_test.go)<br>story [b](../testdata/stories/b.txtar) |", "| 175 | item |  |"},
		"defects.md": {"| 17 | item | [Pods and traffic](differences.md#pods-and-traffic) | no test: a reason |",
			"| 18 | item | [Pods and traffic](differences.md#pods-and-traffic) | [TestA](../a/a_test.go)<br>no test: a reason |",
			"| 3 | item | [Pods and traffic](differences.md#pods-and-traffic) |", "| 4 | item |  |"},
		"outages.md": {"| 56 | item | [AR#1](https://github.com/argoproj/argo-rollouts/issues/1) | done | no test: a reason |",
			"| 71 | another | [FL#2](https://github.com/fluxcd/flagger/issues/2) | done | no test: a reason |"},
		"traffic-defects.md":     {"| 25 | item | [TestA](../a/a_test.go) |"},
		"traffic-edge-cases.md":  {"| 183 | item | no test: a reason |"},
		"analysis-defects.md":    {"| 23 | item | no test: a reason |", "| 24 | item | [TestA](../a/a_test.go)<br>no test: a reason |"},
		"analysis-edge-cases.md": {"| 2 | item | [TestA](../a/a_test.go) |", "| 7 | other | no test: a reason |"},
	} {
		text := readFile(t, root, "docs", page)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %s:\n%s", page, want, text)
			}
		}
	}
	again := readFile(t, root, "docs", "edge-cases.md")
	if err := run(root, nil); err != nil || again != readFile(t, root, "docs", "edge-cases.md") {
		t.Errorf("a second run writes something else: %v", err)
	}
}

func TestWhatNothingGuardsIsMissing(t *testing.T) {
	var out strings.Builder
	if err := run(tree(t, nil), &out); err == nil || err.Error() != "174 items have neither a test nor a reason" {
		t.Errorf("%v", err)
	}
	if lines := out.String(); !strings.HasPrefix(lines, "edge 2: item\nedge 3: item\n") {
		t.Errorf("%s", lines)
	}
	all := tree(t, map[string]string{"hack/cover/edges.txt": strings.Replace(numbered(175, " | no test: why"), " | no test: why", "", 1)})
	if err := run(all, &out); err != nil {
		t.Errorf("a test or a reason is enough: %v", err)
	}
}

func TestARunThatCannotBeTrustedFails(t *testing.T) {
	for sentence, c := range map[string]struct {
		file, text, want string
	}{
		"an unknown number": {"a/a_test.go", "package a\n// Covers: edge 176.\nfunc TestA(t *testing.T) {}\n", "a/a_test.go:2: there is no edge 176"},
		"a number left out": {"hack/cover/edges.txt", strings.Replace(numbered(175, ""), "7 item\n", "", 1), "edges.txt: no. 8 stands where 7 should"},
		"a number too many": {"hack/cover/edges.txt", numbered(176, ""), "edges.txt: no. 176 is one too many"},
		"a number twice":    {"hack/cover/outages.txt", numbered(56, " | AR#1 | done") + "71 item | AR#1 | done\n71 item | AR#1 | done\n", "no. 71 is one too many"},
		"a short list":      {"hack/cover/edges.txt", numbered(174, ""), "edges.txt: 174 items, not 175"},
		"a bad story":       {"testdata/stories/b.txtar", "B.\n-- covers --\nedges 1\n", "story b"},
		"a broken test":     {"a/a_test.go", "package a\nfunc {", "read test"},
	} {
		if err := run(tree(t, map[string]string{c.file: c.text}), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", sentence, err, c.want)
		}
	}
}

func TestSentencesOfOneTestStandTogether(t *testing.T) {
	got := heldBy([]guard{{file: "a_test.go", name: "TestA", sentence: "one"}, {file: "b_test.go", name: "TestB"},
		{file: "a_test.go", name: "TestA", sentence: "two"}, {file: "a_test.go", name: "TestA", sentence: "one"},
		{file: "z.txtar", name: "z", story: true}, {file: "y.txtar", name: "y", story: true}}, "")
	want := "[TestA](../a_test.go): one; two<br>[TestB](../b_test.go)<br>stories [y](../y.txtar), [z](../z.txtar)"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
