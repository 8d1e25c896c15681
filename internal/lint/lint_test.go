package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const goodRollout = `apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: 10
  revisionHistoryLimit: 10
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
  strategy:
    canary:
      analysis:
        templates: [{templateName: rate}]
      steps:
        - setWeight: 50
`

const goodTemplate = `apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: rate}
spec:
  metrics:
    - name: rate
      interval: 1m
      inconclusiveLimit: 1
      successCondition: result[0] > 0.9
      provider: {prometheus: {query: up}}
`

// found are the findings as "rule line path".
func found(t *testing.T, texts ...string) (list []string) {
	t.Helper()
	var sources []Source
	for i, text := range texts {
		sources = append(sources, Source{fmt.Sprintf("%d.yaml", i), []byte(text)})
	}
	all, err := Check(sources)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Repair == "" || f.Message == "" {
			t.Errorf("%s has no message or no repair", f.Rule)
		}
		list = append(list, fmt.Sprintf("%s %d %s", f.Rule, f.Line, f.Path))
	}
	return list
}

func change(text string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			panic("no " + pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

type lintRow struct {
	texts []string
	want  []string
}

func checkRows(t *testing.T, rows map[string]lintRow) {
	t.Helper()
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(r.want, found(t, r.texts...)); d != "" {
				t.Errorf("(- wanted, + found)\n%s", d)
			}
		})
	}
}

func TestRulesOfTheAPIAreFoundAtTheirLine(t *testing.T) {
	checkRows(t, map[string]lintRow{
		"nothing is wrong": {texts: []string{goodRollout, goodTemplate}},
		"a field that is not known": {texts: []string{change(goodRollout, "  replicas:", "  replica: 3\n  replicas:")},
			want: []string{"schema 5 spec.replica"}},
		"a key that stands twice": {texts: []string{goodRollout + "kind: Rollout\n"}, want: []string{"schema 1 "}},
		"a value out of range":    {texts: []string{change(goodRollout, "setWeight: 50", "setWeight: 500")}, want: []string{"rollout 16 spec.strategy.canary.steps[0].setWeight"}},
		"a value of another type": {texts: []string{change(goodRollout, "replicas: 10", "replicas: many")}, want: []string{"rollout 5 spec.replicas"}},
		"no strategy":             {texts: []string{"# one\n---\n" + goodRollout[:strings.Index(goodRollout, "    canary")] + "    canary: null\n"}, want: []string{"rollout 13 spec.strategy"}},
		"a condition that does not compile": {texts: []string{change(goodTemplate, "> 0.9", "> ")},
			want: []string{"condition 9 spec.metrics[0].successCondition"}},
		"a condition that gives a number": {texts: []string{change(goodTemplate, "result[0] > 0.9", "result[0] + 1")},
			want: []string{"condition 9 spec.metrics[0].successCondition"}},
		"no provider": {texts: []string{change(goodTemplate, "{prometheus: {query: up}}", "{}")}, want: []string{"metric 6 spec.metrics[0]"}},
		"args whose values come later": {texts: []string{change(goodTemplate, "spec:\n", "spec:\n  args: [{name: c}, {name: limit}]\n",
			"interval: 1m", "interval: 1m\n      failureLimit: '{{args.c}}'\n      count: '{{args.c}}'", "> 0.9", "> {{args.limit}}")}},
		"an experiment without a selector": {texts: []string{"apiVersion: argoproj.io/v1alpha1\nkind: Experiment\nmetadata: {name: e}\nspec:\n  templates: [{name: a}]\n"},
			want: []string{"experiment 4 spec"}},
		"a list":         {texts: []string{"apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(change(goodTemplate, "{prometheus: {query: up}}", "{}"), "\n", "\n  ")}, want: []string{"metric 9 spec.metrics[0]"}},
		"other kinds":    {texts: []string{"a: b\n---\n---\n# nothing\n---\n[1]\n---\nkind: Rollout\napiVersion: other/v1\nspec: 5\n"}},
		"JSON":           {texts: []string{`{"apiVersion":"argoproj.io/v1alpha1","kind":"AnalysisTemplate","metadata":{"name":"x"},"spec":{"metrics":[{"name":"a","provider":{}}]}}`}, want: []string{"metric 1 spec.metrics[0]"}},
		"a name no text": {texts: []string{change(goodTemplate, "{name: rate}", "{name: [1]}")}, want: []string{"schema 3 metadata.name"}},
	})
}

func TestARuleIsSilencedWithAReason(t *testing.T) {
	bad := change(goodRollout, "setWeight: 50", "setWeight: 500")
	with := func(text string) string {
		return change(bad, "{name: web}\nspec", "\n  name: web\n  annotations:\n    lint.penstock.io/ignore: \""+text+"\"\nspec")
	}
	checkRows(t, map[string]lintRow{
		"with a reason":       {texts: []string{with("rollout: the weight is filled in later")}},
		"without one":         {texts: []string{with("rollout; condition: none yet")}, want: []string{"ignore 6 metadata.annotations[lint.penstock.io/ignore]"}},
		"an unknown rule":     {texts: []string{with("rollout: later; rolout: later")}, want: []string{"ignore 6 metadata.annotations[lint.penstock.io/ignore]"}},
		"the rule of silence": {texts: []string{with("rollout: later; ignore: me")}, want: []string{"ignore 6 metadata.annotations[lint.penstock.io/ignore]"}},
		"only on that object": {texts: []string{with("rollout: later"), bad}, want: []string{"rollout 16 spec.strategy.canary.steps[0].setWeight"}},
	})
}

func TestTextThatIsNoYAMLNamesFileAndLine(t *testing.T) {
	_, err := Check([]Source{{"a.yaml", []byte("a: b\n---\nb: [\n")}})
	if err == nil || !strings.HasPrefix(err.Error(), "a.yaml: ") || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("got %v", err)
	}
}

// TestTheExamplesAreClean also shows that the rules know every field in use. What an example
// does against an advice it says with a reason.
func TestTheExamplesAreClean(t *testing.T) {
	folders, err := filepath.Glob("../../examples/*/rollout.yaml")
	if err != nil || len(folders) < 4 {
		t.Fatalf("%v, %v", folders, err)
	}
	for _, f := range folders {
		files, err := filepath.Glob(filepath.Join(filepath.Dir(f), "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var sources []Source
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, Source{name, data})
		}
		all, err := Check(sources)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			t.Error(Text([]Finding{f}))
		}
	}
}

func FuzzReadNeverPanics(f *testing.F) {
	for _, seed := range []string{goodRollout, goodTemplate, "a: &a [*a]", "---\n--- # x\n", "kind: List\nitems: [{kind: List, items: []}, 5]",
		"kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec: [", "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisRun\nspec: {metrics: [null, {name: '{{'}]}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := Check([]Source{{"f.yaml", data}})
		for _, one := range all {
			if one.Line < 1 || err != nil {
				t.Errorf("%+v, %v", one, err)
			}
		}
	})
}
