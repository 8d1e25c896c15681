package story

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the logs of the stories")

const stories = "../../testdata/stories"

// TestStories plays every story and holds its log against the one that was reviewed.
func TestStories(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(stories, "*.txtar"))
	if err != nil || len(files) < 20 {
		t.Fatalf("only %d stories were found: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Parse(data, os.DirFS("../.."))
			if err != nil {
				t.Fatal(err)
			}
			if !oneSentence(s.Purpose) {
				t.Errorf("the purpose is not one sentence: %q", s.Purpose)
			}
			log, err := Run(s)
			switch {
			case s.Allow != "" && err == nil:
				t.Fatal("the script comes true: take the file allow out")
			case s.Allow == "" && err != nil:
				t.Fatalf("%v\n\n%s", err, log)
			}
			if *update {
				rewrite(t, file, data, log)
				return
			}
			if diff := cmp.Diff(strings.Split(s.Log, "\n"), strings.Split(log, "\n")); diff != "" {
				t.Errorf("the log has changed (- reviewed, + now); after a review: go test ./internal/story -update\n%s", diff)
			}
		})
	}
}

func oneSentence(text string) bool {
	return strings.HasSuffix(text, ".") && strings.Count(text, ". ") == 0 && !strings.Contains(text, "\n\n")
}

func rewrite(t *testing.T, file string, data []byte, log string) {
	t.Helper()
	a := txtar.Parse(data)
	found := false
	for i := range a.Files {
		if a.Files[i].Name == "log" {
			a.Files[i].Data, found = []byte(log), true
		}
	}
	if !found {
		a.Files = append(a.Files, txtar.File{Name: "log", Data: []byte(log)})
	}
	if next := txtar.Format(a); !bytes.Equal(next, data) {
		if err := os.WriteFile(file, next, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const small = `A small story.
-- rollout.yaml --
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: demo}
spec:
  replicas: 2
  selector: {matchLabels: {app: demo}}
  template:
    metadata: {labels: {app: demo}}
    spec: {containers: [{name: demo, image: "demo:v1"}]}
  strategy:
    canary:
      steps:
      - setWeight: 50
      - analysis: {templates: [{templateName: ok}]}
-- analysis.yaml --
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: ok}
spec:
  metrics:
  - {name: ok, successCondition: "result[0] > 0", provider: {prometheus: {query: up}}}
-- script --
%s
`

func TestAWrongExpectationSaysWhatIsTrueInstead(t *testing.T) {
	for sentence, c := range map[string]struct{ script, want string }{
		"a weight":                       {"deployed\nexpect live 5", `line 2: expect live 5: live is "0", not "5"; at +01:00 phase is "Healthy" and v1 2/2`},
		"pods":                           {"deployed\nexpect pods v1 1/2", `pods of v1 is "2/2", not "1/2"`},
		"a phase":                        {"deployed\nexpect phase Degraded: oh", `phase is "Healthy", not "Degraded: oh"`},
		"a time":                         {"deployed\nready v2 never\nimage v2\nuntil healthy within 3m", "not within 3m0s: phase is"},
		"what the planner waits for":     {"deployed\nready v2 never\nimage v2\nuntil healthy within 3m", "the planner waits: PodsNotAvailable: revision v2 has 0 available pods of 1"},
		"a run that does not exist":      {"deployed\nexpect run demo-v2-2 Failed", "there is no run demo-v2-2"},
		"a metric that was not answered": {"deployed\nimage v2\nuntil progressing\nwait 1m", "metric ok was asked for image demo:v2, but the script has no answer"},
		"a question that was not asked":  {"expect asked ok up", "metric ok was never asked for"},
		"pods that are not there":        {"deployed\nkill v2 1", "only 0 pods of v2 are available"},
		"a file that is missing":         {"apply other.yaml", `no Rollout in a file "other.yaml"`},
	} {
		t.Run(sentence, func(t *testing.T) {
			s, err := Parse(fmt.Appendf(nil, small, c.script), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = Run(s); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestABadStoryIsRefusedWithItsLine(t *testing.T) {
	in := func(script string) string { return fmt.Sprintf(small, script) }
	for sentence, c := range map[string]struct{ text, want string }{
		"no purpose":          {"-- script --\n", "no sentence of purpose"},
		"an unknown file":     {"A story.\n-- notes.txt --\n", "notes.txt: a story has include, *.yaml, script, covers, allow and log"},
		"a wish as an item":   {"A story.\n-- covers --\nedge 5\nbug 7\n", `covers: line 2: "bug 7": write each item once`},
		"two items a line":    {"A story.\n-- covers --\nedge 5, edge 6\n", `covers: line 1: "edge 5, edge 6"`},
		"an item twice":       {"A story.\n-- covers --\nedge 5\nedge 5\n", `covers: line 2: "edge 5"`},
		"no items at all":     {"A story.\n-- covers --\n", `covers: line 1: ""`},
		"no rollout":          {"A story.\n-- script --\nabort\n", "the story has no Rollout"},
		"a misspelt field":    {strings.Replace(in("abort"), "setWeight", "setWait", 1), `decode rollout.yaml: unknown field "spec.strategy.canary.steps[0].setWait"`},
		"an unknown verb":     {in("abort\n\ndance"), `script: line 3: dance: there is no verb "dance"`},
		"a verb without args": {in("image"), "line 1: image: write: image v2"},
		"a number that is no": {in("replicas many"), "write: replicas 8"},
		"a bad condition":     {in("expect wait 5"), `there is no condition "wait"`},
		"a bad duration":      {in("wait long"), `invalid duration "long"`},
		"a step back in time": {in("wait -5s"), "-5s is not between 0 and 744h0m0s"},
		"a router that lies":  {in("lag 5s settle 5s"), "settle is longer than lag"},
		"an open quote":       {in(`break route "oh`), "a word in quotes does not end"},
		"a value that is no":  {in("metric ok high"), `value "high" is neither a number`},
		"an open clause":      {in("metric ok 1 after"), `"after" is incomplete`},
		"a negative drift":    {in("drift -1"), "write: drift 0"},
		"a missing folder":    {"A story.\n-- include --\nexamples/none\n", "folder examples/none cannot be included from here"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if _, err := Parse([]byte(c.text), nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestTheLastAnswerThatFitsWins(t *testing.T) {
	script := `deployed
metric ok 0
metric ok 1 for v2
metric ok 0 for v3 after 1m
metric ok 1 for v3     # a comment
image v2
until healthy
image v3
until healthy
image v4
until degraded`
	s, err := Parse(fmt.Appendf(nil, small, script), nil)
	if err != nil {
		t.Fatal(err)
	}
	if log, err := Run(s); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
}

// TestAStoryIsPlayedTheSameTwice guards the logs against chance.
func TestAStoryIsPlayedTheSameTwice(t *testing.T) {
	s, err := Parse(fmt.Appendf(nil, small, "metric ok 1\nuntil healthy\nimage v2\nkill v1 1\nuntil healthy\nimage v3\nwait 7s\nabort\nuntil degraded\nwait 1h"), nil)
	if err != nil {
		t.Fatal(err)
	}
	first, err := Run(s)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := Run(s)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatalf("two logs of one story:\n%s", diff)
		}
	}
}
