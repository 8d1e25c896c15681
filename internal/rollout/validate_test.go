package rollout

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// healthy is the smallest spec with nothing wrong with it; the tests lay patches over it.
const healthy = `
replicas: 2
selector: {matchLabels: {app: web}}
template:
  metadata: {labels: {app: web}}
  spec: {containers: [{name: web, image: web:1}]}
strategy: {canary: {steps: [{setWeight: 20}, {pause: {}}]}}
`

// parsed keeps what specOf has read, since every mutant reads it again.
var parsed sync.Map

// specOf lays YAML over the healthy spec: maps merge, null removes, the rest replaces.
func specOf(t testing.TB, patch string) *v1alpha1.RolloutSpec {
	t.Helper()
	if was, ok := parsed.Load(patch); ok {
		return was.(*v1alpha1.RolloutSpec).DeepCopy()
	}
	var base, over map[string]any
	for text, to := range map[string]*map[string]any{healthy: &base, patch: &over} {
		if err := yaml.Unmarshal([]byte(text), to); err != nil {
			t.Fatalf("yaml %s: %v", text, err)
		}
	}
	data, err := json.Marshal(overlay(base, over))
	if err != nil {
		t.Fatal(err)
	}
	spec := &v1alpha1.RolloutSpec{}
	if err := v1alpha1.DecodeStrict(data, spec); err != nil {
		t.Fatalf("spec %s: %v", patch, err)
	}
	parsed.Store(patch, spec.DeepCopy())
	return spec
}

func overlay(base, over map[string]any) map[string]any {
	for k, v := range over {
		b, isMap := base[k].(map[string]any)
		o, both := v.(map[string]any)
		switch {
		case v == nil:
			delete(base, k)
		case isMap && both:
			base[k] = overlay(b, o)
		default:
			base[k] = v
		}
	}
	return base
}

// row is one published check: a spec that it rejects, in exactly these words, and the
// nearest one that it accepts.
type row struct {
	bad, good         string
	badRefs, goodRefs *References
	want              []string
}

type validator func(namespace, name string, spec *v1alpha1.RolloutSpec, refs *References) []Problem

// published are the texts of the problems, without what this version does not run.
func published(all []Problem) (texts []string) {
	for _, p := range all {
		if !strings.HasSuffix(p.Text, notRun) {
			texts = append(texts, p.Text)
		}
	}
	return texts
}

// failures runs all rows against a validator and says what it gets wrong.
func failures(t testing.TB, validate validator, rows map[string]row) (wrong []string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		r := rows[name]
		if diff := cmp.Diff(r.want, published(validate("shop", "web", specOf(t, r.bad), r.badRefs))); diff != "" {
			wrong = append(wrong, fmt.Sprintf("%s: rejected (-want +got):\n%s", name, diff))
		}
		if got := published(validate("shop", "web", specOf(t, r.good), r.goodRefs)); len(got) > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: nearest valid one is rejected: %q", name, got))
		}
	}
	return wrong
}

var allTables = []map[string]row{specRows, templateRows, strategyRows, routingRows, stepRows, referenceRows, routerRows, numberRows}

func allRows() map[string]row {
	all := map[string]row{}
	for _, rows := range allTables {
		maps.Copy(all, rows)
	}
	return all
}

func TestEveryPublishedRowRejectsInItsWordsAndNothingElse(t *testing.T) {
	want := 0
	for _, rows := range allTables {
		want += len(rows)
	}
	if n := len(allRows()); n != want {
		t.Errorf("two rows have the same name: %d of %d", n, want)
	}
	for _, wrong := range failures(t, Validate, allRows()) {
		t.Error(wrong)
	}
}

// A check is known by its mend. Validate without any one of them must fail some row, so
// no check can be lost unnoticed.
func TestEveryCheckIsNeededByARow(t *testing.T) {
	mends := mendsInSource(t)
	if len(mends) < 60 {
		t.Fatalf("only %d checks found in the source", len(mends))
	}
	for _, mend := range mends {
		without := func(namespace, name string, spec *v1alpha1.RolloutSpec, refs *References) []Problem {
			return slices.DeleteFunc(Validate(namespace, name, spec, refs), func(p Problem) bool { return strings.HasPrefix(p.Mend, mend) })
		}
		if len(failures(t, without, allRows())) == 0 {
			t.Errorf("no row notices the loss of the check whose mend is %q", mend)
		}
	}
}

// mendsInSource reads the mend of each place that reports a published problem.
func mendsInSource(t *testing.T) (mends []string) {
	t.Helper()
	files, err := filepath.Glob("validate*.go")
	if err != nil {
		t.Fatal(err)
	}
	reporters := []string{"invalid", "required", "internal", "add", "addAt", "addAll"}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || name == "validate_unsupported.go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains(reporters, method.Sel.Name) {
				return true
			}
			last := call.Args[len(call.Args)-1]
			for sum, ok := last.(*ast.BinaryExpr); ok; sum, ok = last.(*ast.BinaryExpr) {
				last = sum.X
			}
			if text, ok := last.(*ast.BasicLit); ok {
				mend, err := strconv.Unquote(text.Value)
				if err != nil || slices.Contains(mends, mend) {
					t.Errorf("%s: the mend %s is unreadable or used twice (%v)", name, text.Value, err)
				}
				mends = append(mends, mend)
			}
			return true
		})
	}
	return mends
}

func TestProblemsComeInPublishedOrderEachOnce(t *testing.T) {
	spec := specOf(t, `
replicas: -1
minReadySeconds: 600
strategy:
  canary:
    canaryService: a
    stableService: a
    steps: [{setCanaryScale: {replicas: 1}}, {setCanaryScale: {replicas: 2}}, {experiment: {templates: []}}]
`)
	refs := &References{Services: map[string]ServiceRef{}}
	var paths []string
	for _, p := range Validate("shop", "web", spec, refs) {
		paths = append(paths, p.Path)
		if !strings.HasPrefix(p.Text, p.Path+": ") || p.Mend == "" {
			t.Errorf("text %q of path %q, mend %q", p.Text, p.Path, p.Mend)
		}
	}
	want := []string{
		"spec.replicas", "spec.progressDeadlineSeconds", "spec.strategy.stableService", "spec.strategy.trafficRouting",
		"spec.strategy.canary.stableService", "spec.strategy.canary.canaryService",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

// Covers: defect 20, defect 21.
func TestValidateIsDeterministicAndLeavesItsInputAlone(t *testing.T) {
	for name, r := range allRows() {
		spec := specOf(t, r.bad)
		before := spec.DeepCopy()
		first := Validate("shop", "web", spec, r.badRefs)
		for range 5 {
			if diff := cmp.Diff(first, Validate("shop", "web", spec, r.badRefs)); diff != "" {
				t.Errorf("%s: differs from one call to the next:\n%s", name, diff)
			}
		}
		if diff := cmp.Diff(before, spec); diff != "" {
			t.Errorf("%s: changed its input:\n%s", name, diff)
		}
	}
}

func FuzzValidate(f *testing.F) {
	seed := func(patch string) {
		data, err := json.Marshal(specOf(f, patch))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, r := range allRows() {
		seed(r.bad)
		seed(r.good)
	}
	f.Add([]byte(`{"template":{"spec":{"containers":[{"resources":{"limits":{"memory":1e99,"cpu":-0.5}}}],"ephemeralContainers":[{}]}}}`))
	f.Add([]byte(`{"strategy":{"canary":{"trafficRouting":{"plugins":null,"istio":{},"alb":{}},"pingPong":{},"steps":[null,{}]},"blueGreen":{}}}`))
	refs := []*References{nil, {}, {
		Services:  map[string]ServiceRef{"a": {Selector: map[string]string{"x": "y"}, ManagedBy: "other"}},
		Templates: map[TemplateKey]TemplateRef{{TemplateName: "t"}: {Nested: []TemplateKey{{TemplateName: "t"}}}},
		Routes:    "no path here",
	}}
	f.Fuzz(func(t *testing.T, data []byte) {
		var spec v1alpha1.RolloutSpec
		if json.Unmarshal(data, &spec) != nil {
			return
		}
		for _, r := range refs {
			for _, p := range Validate("shop", "web", &spec, r) {
				if p.Text == "" || p.Where == "" || p.Mend == "" && p.Path != "no path here" {
					t.Errorf("empty text, place or mend: %+v", p)
				}
			}
		}
	})
}
