// Package internal_test guards the layers of the house (ARCHITECTURE.md): imports go
// strictly downwards, and the pure packages reach nothing that could make a decision
// depend on more than its Snapshot.
package internal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/penstock-io/penstock/"

// layer is one row of the table in ARCHITECTURE.md.
type layer struct {
	// packages match exactly, or by prefix when they end in a slash.
	packages []string
	// own lists the packages of ours that may be imported; a trailing slash means any below.
	own []string
	// deny lists imports that are forbidden although nothing else forbids them.
	deny []string
	why  string
}

// impure is what a decision must not reach (L1).
var impure = []string{"os", "os/exec", "net", "net/http", "math/rand", "math/rand/v2", "log", "log/slog", "syscall",
	"k8s.io/client-go", "sigs.k8s.io/controller-runtime"}

var layers = []layer{
	{packages: []string{"api/v1alpha1"}, own: nil, deny: impure, why: "the API types compute nothing"},
	{packages: []string{"internal/traffic", "internal/metric"}, own: []string{"api/v1alpha1"}, deny: impure, why: "roots are values and interfaces"},
	{packages: []string{"internal/rollout", "internal/analysis", "internal/experiment"}, own: []string{"api/v1alpha1", "internal/traffic", "internal/metric"},
		deny: impure, why: "decisions are pure (L1)"},
	{packages: []string{"internal/sim"}, own: []string{"api/v1alpha1", "internal/traffic", "internal/metric", "internal/rollout", "internal/analysis", "internal/experiment"},
		deny: []string{"net", "net/http", "os/exec", "k8s.io/client-go", "sigs.k8s.io/controller-runtime"}, why: "the simulated world is deterministic and light"},
	{packages: []string{"internal/story"}, own: []string{"api/v1alpha1", "internal/traffic", "internal/metric", "internal/rollout", "internal/analysis", "internal/sim"},
		deny: []string{"net", "net/http", "os/exec", "k8s.io/client-go", "sigs.k8s.io/controller-runtime"}, why: "stories run on the simulated world"},
	{packages: []string{"internal/traffic/routertest"}, own: []string{"api/v1alpha1", "internal/traffic"}, why: "a contract knows no adapter"},
	{packages: []string{"internal/metric/providertest"}, own: []string{"api/v1alpha1", "internal/metric"}, why: "a contract knows no adapter"},
	{packages: []string{"internal/traffic/objects"}, own: []string{"api/v1alpha1", "internal/traffic"}, why: "what adapters share knows none of them"},
	{packages: []string{"internal/traffic/plugin"}, own: []string{"api/v1alpha1", "internal/traffic", "internal/plugin", "plugin/v2/wire"}, why: "an adapter knows its root only"},
	{packages: []string{"internal/step"}, own: []string{"api/v1alpha1"}, deny: impure, why: "roots are values and interfaces"},
	{packages: []string{"internal/step/"}, own: []string{"api/v1alpha1", "internal/step", "internal/plugin", "plugin/v2/wire"}, why: "an adapter knows its root only"},
	{packages: []string{"internal/traffic/"}, own: []string{"api/v1alpha1", "internal/traffic", "internal/traffic/objects"}, why: "an adapter knows its root only"},
	{packages: []string{"internal/metric/outbound"}, own: []string{"api/v1alpha1"}, why: "how to call a source is nobody's business but the adapters'"},
	{packages: []string{"internal/metric/awsauth"}, own: []string{"api/v1alpha1", "internal/metric/outbound"}, why: "how to sign is nobody's business but the adapters'"},
	{packages: []string{"internal/metric/plugin"}, own: []string{"api/v1alpha1", "internal/metric", "internal/plugin", "plugin/v2/wire"}, why: "an adapter knows its root only"},
	{packages: []string{"internal/metric/"}, own: []string{"api/v1alpha1", "internal/metric", "internal/metric/outbound", "internal/metric/awsauth"}, why: "an adapter knows its root only"},
	{packages: []string{"internal/plugin"}, own: []string{"api/v1alpha1"}, why: "how to run a program is nobody's business but the adapters'"},
	{packages: []string{"internal/event"}, own: nil, why: "whoever sends events need not know what they are about"},
	{packages: []string{"internal/loop"}, own: []string{"api/v1alpha1"}, why: "the loop knows no controller"},
	{packages: []string{"internal/kube"}, own: []string{"api/v1alpha1", "internal/loop", "internal/notify", "internal/rollout", "internal/analysis", "internal/experiment", "internal/step", "internal/traffic", "internal/metric"},
		why: "the shell speaks to the API server and decides nothing"},
	{packages: []string{"internal/guard"}, own: []string{"api/v1alpha1"}, deny: impure, why: "policies are text about published fields"},
	{packages: []string{"internal/lint"}, own: []string{"api/v1alpha1", "internal/rollout", "internal/analysis", "internal/experiment", "internal/traffic"},
		deny: impure, why: "rules are about texts"},
	{packages: []string{"internal/convert"}, own: []string{"api/v1alpha1"}, deny: impure, why: "objects in, objects out"},
	{packages: []string{"internal/notify"}, own: []string{"api/v1alpha1", "internal/metric"}, why: "messages are made of objects, whoever has read them"},
	{packages: []string{"internal/cli"}, own: []string{"api/v1alpha1", "internal/convert", "internal/guard", "internal/lint", "internal/notify", "internal/rollout", "internal/analysis", "internal/traffic", "internal/sim", "internal/story"},
		why: "the plugin writes intent and reads plans"},
	{packages: []string{"internal/app"}, own: []string{"api/v1alpha1", "internal/", "config"}, why: "the composition root knows everything below"},
	{packages: []string{"cmd/controller"}, own: []string{"internal/app"}, why: "a command has no logic"},
	{packages: []string{"cmd/"}, own: []string{"internal/cli", "internal/app"}, why: "a command has no logic"},
	{packages: []string{"plugin/v2/wire"}, own: nil, why: "the protocol is generated"},
	{packages: []string{"plugin/v2"}, own: []string{"api/v1alpha1", "plugin/v2/wire"}, why: "what others build on knows nothing of ours but the API"},
	{packages: []string{"config", "examples"}, own: nil, why: "manifests, embedded"},
	{packages: []string{"examples/"}, own: []string{"api/v1alpha1", "plugin/v2"}, why: "an example uses what everybody can use"},
	{packages: []string{"hack/"}, own: []string{"api/v1alpha1", "internal/guard", "internal/lint", "internal/rollout"}, why: "generators read the types"},
	{packages: []string{"", "internal"}, own: nil, why: "nothing but documentation and this guard"},
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packagesOf(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

func layerOf(path string) (layer, bool) {
	for _, l := range layers {
		for _, p := range l.packages {
			if path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p) {
				return l, true
			}
		}
	}
	return layer{}, false
}

// breaches lists what a package imports against the rule of its layer.
func breaches(p listed) (found []string) {
	path := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, strings.TrimSuffix(module, "/")), "/")
	l, ok := layerOf(path)
	if !ok {
		return []string{path + " is in no layer: give it one in ARCHITECTURE.md and in this test"}
	}
	for _, imp := range p.Imports {
		own, ours := strings.CutPrefix(imp, module)
		allowed := slices.ContainsFunc(l.own, func(a string) bool {
			return own == a || strings.HasSuffix(a, "/") && strings.HasPrefix(own, a)
		})
		if ours && !allowed {
			found = append(found, path+" imports "+own+": "+l.why)
		}
		for _, d := range l.deny {
			if imp == d || strings.HasPrefix(imp, d+"/") && strings.Contains(d, ".") {
				found = append(found, path+" imports "+imp+": "+l.why)
			}
		}
	}
	for _, dep := range p.Deps {
		for _, heavy := range []string{"k8s.io/kubernetes", "go.etcd.io/etcd/server", "github.com/prometheus/prometheus", module + "sandbox"} {
			if strings.HasPrefix(dep, heavy+"/") && !parsesQueries(path, dep) || dep == heavy {
				found = append(found, path+" reaches "+dep+": that belongs to the sandbox")
			}
		}
	}
	return found
}

// parsesQueries: lint, and what it is part of, may take Prometheus' parser of queries, and what
// that stands on. The controller may not.
func parsesQueries(path, dep string) bool {
	return slices.Contains([]string{"internal/lint", "internal/cli", "cmd/kubectl-penstock", "hack/lintrules"}, path) &&
		!strings.Contains(dep, "/web") && !strings.Contains(dep, "/scrape") && !strings.HasSuffix(dep, "/promql")
}

func TestImportsGoDownwards(t *testing.T) {
	all := packagesOf(t)
	if len(all) < 10 {
		t.Fatalf("only %d packages were listed", len(all))
	}
	for _, p := range all {
		for _, b := range breaches(p) {
			t.Error(b)
		}
	}
}

// TestWrongImportsAreSeen keeps the guard itself honest.
func TestWrongImportsAreSeen(t *testing.T) {
	for name, p := range map[string]listed{
		"a planner that opens files":         {ImportPath: module + "internal/rollout", Imports: []string{"os"}},
		"a planner that knows its shell":     {ImportPath: module + "internal/rollout", Imports: []string{module + "internal/kube"}},
		"an adapter that knows another":      {ImportPath: module + "internal/traffic/istio", Imports: []string{module + "internal/traffic/gatewayapi"}},
		"a planner that speaks to a cluster": {ImportPath: module + "internal/analysis", Imports: []string{"k8s.io/client-go/rest"}},
		"a command with logic":               {ImportPath: module + "cmd/controller", Imports: []string{module + "internal/rollout"}},
		"the sandbox in the main module":     {ImportPath: module + "internal/app", Deps: []string{"k8s.io/kubernetes/pkg/controller/job"}},
		"a package without a layer":          {ImportPath: module + "internal/util"},
	} {
		if len(breaches(p)) == 0 {
			t.Errorf("the guard does not see %s", name)
		}
	}
}

// TestPurePackagesReadNoClock looks for calls that the import rules cannot see.
func TestPurePackagesReadNoClock(t *testing.T) {
	for _, dir := range []string{"rollout", "analysis", "experiment", "traffic", "metric", "sim", "lint"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if _, ok := n.(*ast.GoStmt); ok {
					t.Errorf("%s starts a goroutine", name)
				}
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer"}, sel.Sel.Name) {
					t.Errorf("%s uses time.%s: the moment is a fact of the Snapshot", name, sel.Sel.Name)
				}
				return true
			})
		}
	}
}
