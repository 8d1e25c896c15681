package v1alpha1_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// unpublished lists every field of the test objects that the published schema lacks or types otherwise, so that an API
// server prunes or refuses it before anybody reads the object. They date from versions before the published one.
var unpublished = []string{
	"AnalysisRun.spec.analysisSpec",
	"AnalysisRun.spec.metrics[].interval", // A number.
	"AnalysisRun.spec.metrics[].provider.job.metadata.creationTimestamp",
	"AnalysisRun.spec.metrics[].provider.job.spec.template.metadata.creationTimestamp",
	"Experiment.spec.duration", // A number.
	"Experiment.status.conditions[].phase",
	"Experiment.status.running",
	"Experiment.status.templateStatuses[].phase",
	"Rollout.metadata.clusterName",
	"Rollout.spec.strategy.canary.analysis.name",
	"Rollout.spec.strategy.canary.analysis.templateName",
	"Rollout.spec.strategy.type",
	"Rollout.spec.template.metadata.creationTimestamp",
	"Rollout.status.activeSelector",
	"Rollout.status.canary.currentBackgroundAnalysisRun",
	"Rollout.status.canary.stableRS",
	"Rollout.status.conditions", // An object, in one file.
	"Rollout.status.pauseStartTime",
	"Rollout.status.previewSelector",
}

func TestEveryArgoCDObjectSurvivesOurTypes(t *testing.T) {
	folder, crds := sharedFolder(t, "argocd"), sharedFolder(t, "crds")
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	schemas := map[string]object{}
	for _, file := range crdFiles {
		crd := load(t, filepath.Join(crds, file))
		schemas[crd["spec"].(object)["names"].(object)["kind"].(string)] = rootSchema(crd)
	}
	objects, dropped := 0, map[string]bool{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		for i, text := range documents(t, path) {
			var original object
			if err := yaml.Unmarshal(text, &original); err != nil {
				return fmt.Errorf("decode %s: %w", path, err)
			}
			if original["apiVersion"] != v1alpha1.GroupVersion.String() {
				continue
			}
			objects++
			t.Run(fmt.Sprintf("%s document %d", strings.TrimPrefix(path, folder), i), func(t *testing.T) {
				kind, _ := original["kind"].(string)
				prune(schemas[kind], kind, original, dropped)
				survives(t, scheme, v1alpha1.GroupVersion.WithKind(kind), original)
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if objects < 30 {
		t.Errorf("found %d objects, want at least 30: the walk does not reach the test data", objects)
	}
	if diff := cmp.Diff(unpublished, slices.Sorted(maps.Keys(dropped))); diff != "" {
		t.Errorf("other fields than listed are unpublished (-listed +found):\n%s", diff)
	}
}

// survives decodes an object strictly, encodes it again and looks for everything it held.
func survives(t *testing.T, scheme *runtime.Scheme, kind schema.GroupVersionKind, original object) {
	t.Helper()
	typed, err := scheme.New(kind)
	if err != nil {
		t.Fatal(err)
	}
	if err := v1alpha1.DecodeStrict([]byte(encode(t, original)), typed); err != nil {
		t.Fatalf("decode strictly: %v", err)
	}
	for _, loss := range losses("", original, decode[object](t, encode(t, typed))) {
		t.Error(loss)
	}
}

// prune removes from a value what a schema lacks or types otherwise, and adds the paths to dropped.
func prune(schema object, path string, value any, dropped map[string]bool) {
	switch value := value.(type) {
	case object:
		properties, closed := schema["properties"].(object)
		for name, child := range value {
			childSchema, known := properties[name].(object)
			if !known {
				childSchema, known = schema["additionalProperties"].(object)
			}
			switch place := path + "." + name; {
			case known && fits(childSchema, child):
				prune(childSchema, place, child, dropped)
			case known || closed:
				delete(value, name)
				dropped[place] = true
			}
		}
		if strings.Count(path, ".") == 1 && strings.HasSuffix(path, ".metadata") {
			pruneMetadata(path, value, dropped)
		}
	case []any:
		items, _ := schema["items"].(object)
		for _, child := range value {
			prune(items, path+"[]", child, dropped)
		}
	}
}

// pruneMetadata drops the only field of object metadata that Kubernetes has withdrawn.
func pruneMetadata(path string, metadata object, dropped map[string]bool) {
	if _, ok := metadata["clusterName"]; ok {
		delete(metadata, "clusterName")
		dropped[path+".clusterName"] = true
	}
}

// fits reports whether a value has the type of its schema. Null fits everything, since it means absent.
func fits(schema object, value any) (fits bool) {
	types := map[reflect.Kind][]any{
		reflect.String:  {"string"},
		reflect.Bool:    {"boolean"},
		reflect.Float64: {"integer", "number"},
		reflect.Slice:   {"array"},
		reflect.Map:     {"object"},
	}
	return value == nil || schema["type"] == nil || slices.Contains(types[reflect.TypeOf(value).Kind()], schema["type"])
}

// losses lists what the original holds and the copy does not. A zero value may be missing, since absence means the same.
func losses(path string, original, again any) (lost []string) {
	switch value := original.(type) {
	case object:
		copied, _ := again.(object)
		for name, child := range value {
			lost = append(lost, losses(path+"."+name, child, copied[name])...)
		}
	case []any:
		copied, _ := again.([]any)
		if len(copied) != len(value) {
			return []string{fmt.Sprintf("%s: has %d elements, want %d", path, len(copied), len(value))}
		}
		for i, child := range value {
			lost = append(lost, losses(fmt.Sprintf("%s[%d]", path, i), child, copied[i])...)
		}
	default:
		isZero := original == nil || reflect.ValueOf(original).IsZero() || original == "0001-01-01T00:00:00Z"
		if !reflect.DeepEqual(original, again) && !(isZero && again == nil) {
			lost = append(lost, fmt.Sprintf("%s: is %v, want %v", path, again, original))
		}
	}
	return lost
}

func TestLossesAreSeen(t *testing.T) {
	tests := map[string]struct {
		original, again any
		lost            int
	}{
		"nothing":                      {object{"a": "x"}, object{"a": "x"}, 0},
		"something added is no loss":   {object{"a": "x"}, object{"a": "x", "b": 1.0}, 0},
		"a false may be left out":      {object{"a": false}, object{}, 0},
		"an empty map may be left out": {object{"a": object{}}, object{}, 0},
		"a lost leaf":                  {object{"a": object{"b": "x"}}, object{"a": object{}}, 1},
		"a changed leaf":               {object{"a": 1.0}, object{"a": 2.0}, 1},
		"a zero that became something": {object{"a": 0.0}, object{"a": 2.0}, 1},
		"a shorter list":               {object{"a": []any{"x", "y"}}, object{"a": []any{"x"}}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := losses("", test.original, test.again); len(got) != test.lost {
				t.Errorf("got %q, want %d", got, test.lost)
			}
		})
	}
}

func documents(t *testing.T, path string) (texts [][]byte) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reader := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(file)))
	defer reader.Close()
	for range 100 {
		buffer := make([]byte, len(file)+1)
		n, err := reader.Read(buffer)
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("split %s: %v", path, err)
		}
		texts = append(texts, buffer[:n])
	}
	t.Fatalf("split %s: more than 100 documents", path)
	return nil
}
