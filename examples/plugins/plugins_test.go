// Package plugins_test builds the examples and uses them as the controller does.
package plugins_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
)

// built is where the programs are.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "plugins"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(built)
		build := exec.Command("go", "build", "-o", built+string(filepath.Separator), "./metric", "./step", "./traffic")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, out)
			return 1
		}
		return m.Run()
	}())
}

// program is the path of an example, and its sum.
func program(t *testing.T, name string) (path, sum string) {
	t.Helper()
	path = filepath.Join(built, name)
	return path, sumOf(t, path)
}

func sumOf(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// entry is one of the ConfigMap.
func entry(name, location, sum string, args ...string) string {
	return fmt.Sprintf("- {name: %q, location: %q, sha256: %q, args: [%s]}\n", name, location, sum, strings.Join(args, ", "))
}

// host is what the controller has for the plugins of a kind.
func host(t *testing.T, kind plugin.Kind, entries ...string) *plugin.Registry {
	t.Helper()
	r := &plugin.Registry{Kind: kind, Dir: t.TempDir(), Log: logr.Discard(),
		Config: func(context.Context) (map[string]string, error) {
			return map[string]string{kind.Key: strings.Join(entries, "")}, nil
		}}
	t.Cleanup(r.Close)
	return r
}

// serve answers HTTP.
func serve(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server.URL
}

// TestAPluginThatAPersonStarts says what it is and ends.
func TestAPluginThatAPersonStarts(t *testing.T) {
	for _, name := range []string{"metric", "step", "traffic"} {
		path, _ := program(t, name)
		cmd := exec.Command(path)
		cmd.Env = []string{}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "This binary is a plugin") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// TestManifests: each says what it is for, has no namespace, and every field is one of its kind's.
func TestManifests(t *testing.T) {
	files, err := filepath.Glob("*/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(string(raw), "\n"); !strings.HasPrefix(first, "# ") || len(first) < 22 {
			t.Errorf("%s begins with %q, not with a comment on its purpose", file, first)
		}
		for _, text := range strings.Split(string(raw), "\n---\n") {
			var head metav1.TypeMeta
			if err := yaml.Unmarshal([]byte(text), &head); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			into, known := map[string]client.Object{"argoproj.io/v1alpha1 Rollout": &v1alpha1.Rollout{},
				"argoproj.io/v1alpha1 AnalysisTemplate": &v1alpha1.AnalysisTemplate{}, "v1 Service": &corev1.Service{}}[head.APIVersion+" "+head.Kind]
			if !known {
				t.Fatalf("%s: %s is not known here", file, head.Kind)
			}
			if err := yaml.UnmarshalStrict([]byte(text), into); err != nil || into.GetName() == "" || into.GetNamespace() != "" {
				t.Errorf("%s: %s %s/%s: %v", file, head.Kind, into.GetNamespace(), into.GetName(), err)
			}
		}
	}
}

// manifest reads the first document of a file strictly: every field is one of its kind's.
func manifest[T any](t *testing.T, file string) *T {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(raw), "\n---\n")
	into := new(T)
	if err := yaml.UnmarshalStrict([]byte(first), into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return into
}

// TestTheProgramOfTheDocs: docs/plugins.md shows one that builds.
func TestTheProgramOfTheDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, begins := strings.Cut(string(page), "```go\n")
	text, _, ends := strings.Cut(text, "```")
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil || !begins || !ends {
		t.Fatalf("no program: %v", err)
	}
	if out, err := exec.Command("go", "build", "-o", file+".out", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
