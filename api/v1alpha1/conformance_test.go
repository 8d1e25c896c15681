package v1alpha1_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// object is a decoded JSON object.
type object = map[string]any

// crdFiles maps our CRD to the published one.
var crdFiles = map[string]string{
	"rollout.yaml":                 "rollout-crd.yaml",
	"experiment.yaml":              "experiment-crd.yaml",
	"analysisrun.yaml":             "analysis-run-crd.yaml",
	"analysistemplate.yaml":        "analysis-template-crd.yaml",
	"clusteranalysistemplate.yaml": "cluster-analysis-template-crd.yaml",
}

// keywords are the schema keywords that decide which objects are accepted and what is stored. Ours must be equal to the
// published one on every published path: laxer loses data or defaults, stricter refuses existing manifests.
var keywords = []string{
	"type", "format", "enum", "default", "pattern", "nullable", "anyOf", "allOf", "oneOf", "not",
	"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
	"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
	"x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
	"x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-validations",
}

func TestEveryPublishedPathStandsInOurCRDs(t *testing.T) {
	published := sharedFolder(t, "crds")
	for ours, theirs := range crdFiles {
		t.Run(ours, func(t *testing.T) {
			walk := walker{}
			walk.crd(load(t, filepath.Join(published, theirs)), load(t, ourCRD(ours)))
			for _, difference := range walk.differences {
				t.Error(difference)
			}
			if walk.paths < 500 {
				t.Errorf("walked %d paths of %s, want at least 500: the walker does not reach the schema", walk.paths, theirs)
			}
		})
	}
}

func TestTheWalkerReportsEveryKindOfDamage(t *testing.T) {
	published := load(t, filepath.Join(sharedFolder(t, "crds"), "rollout-crd.yaml"))
	canary := []string{"spec", "strategy", "canary"}
	tests := map[string]struct {
		damage func(crd object)
		want   string
	}{
		"a removed property": {
			func(c object) { delete(propertiesOf(c, canary...), "dynamicStableScale") },
			".spec.strategy.canary.dynamicStableScale: missing",
		},
		"a removed property inside list items": {
			func(c object) {
				steps := propertiesOf(c, canary...)["steps"].(object)["items"].(object)
				delete(steps["properties"].(object), "setMirrorRoute")
			},
			".spec.strategy.canary.steps[].setMirrorRoute: missing",
		},
		"a changed type": {
			func(c object) { propertiesOf(c, canary...)["minPodsPerReplicaSet"].(object)["type"] = "string" },
			".spec.strategy.canary.minPodsPerReplicaSet: type",
		},
		"a changed format": {
			func(c object) { propertiesOf(c, "spec")["replicas"].(object)["format"] = "int64" },
			".spec.replicas: format",
		},
		"an int-or-string that became an integer": {
			func(c object) { delete(propertiesOf(c, canary...)["maxSurge"].(object), "x-kubernetes-int-or-string") },
			".spec.strategy.canary.maxSurge: x-kubernetes-int-or-string",
		},
		"unknown fields that are pruned": {
			func(c object) {
				volumes := propertiesOf(c, "spec", "template", "spec")["volumes"].(object)
				delete(volumes, "x-kubernetes-preserve-unknown-fields")
			},
			".spec.template.spec.volumes: x-kubernetes-preserve-unknown-fields",
		},
		"other values in a map": {
			func(c object) {
				labels := propertiesOf(c, append(canary, "canaryMetadata")...)["labels"].(object)
				labels["additionalProperties"] = object{"type": "integer"}
			},
			".spec.strategy.canary.canaryMetadata.labels{}: type",
		},
		"a map without values": {
			func(c object) {
				delete(propertiesOf(c, append(canary, "canaryMetadata")...)["labels"].(object), "additionalProperties")
			},
			".spec.strategy.canary.canaryMetadata.labels: additionalProperties",
		},
		"a property that became required": {
			func(c object) { rootSchema(c)["properties"].(object)["spec"].(object)["required"] = []any{"strategy"} },
			".spec: requires strategy",
		},
		"an enumeration that refuses existing manifests": {
			func(c object) {
				propertiesOf(c, "spec", "workloadRef")["scaleDown"].(object)["enum"] = []any{"never"}
			},
			".spec.workloadRef.scaleDown: enum",
		},
		"a lost rule": {
			func(c object) { delete(propertiesOf(c, "spec")["selector"].(object), "x-kubernetes-validations") },
			".spec.selector: x-kubernetes-validations",
		},
		"a lost printer column": {
			func(c object) {
				v := version(c)
				v["additionalPrinterColumns"] = v["additionalPrinterColumns"].([]any)[1:]
			},
			"additionalPrinterColumns",
		},
		"a lost status subresource": {
			func(c object) { delete(version(c)["subresources"].(object), "status") },
			"subresources",
		},
		"another replica path for autoscalers": {
			func(c object) {
				version(c)["subresources"].(object)["scale"].(object)["statusReplicasPath"] = ".status.replicas"
			},
			"subresources",
		},
		"another scope": {
			func(c object) { c["spec"].(object)["scope"] = "Cluster" },
			"spec.scope",
		},
		"a lost short name": {
			func(c object) { delete(c["spec"].(object)["names"].(object), "shortNames") },
			"spec.names",
		},
		"another name": {
			func(c object) { c["metadata"].(object)["name"] = "rollouts.penstock.io" },
			"metadata.name",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			mutant := load(t, ourCRD("rollout.yaml"))
			test.damage(mutant)
			walk := walker{}
			walk.crd(published, mutant)
			if !slices.ContainsFunc(walk.differences, func(d string) bool { return strings.HasPrefix(d, test.want) }) {
				t.Errorf("got %q, want a difference that starts with %q", walk.differences, test.want)
			}
		})
	}
}

// A last-applied annotation holds the whole object and may be 256 KiB, so plain "kubectl apply" needs less than that.
func TestEveryCRDFitsIntoAnAnnotation(t *testing.T) {
	const most = 256 * 1024
	for file := range crdFiles {
		text, err := os.ReadFile(ourCRD(file))
		if err != nil {
			t.Fatal(err)
		}
		compact, err := json.Marshal(load(t, ourCRD(file)))
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > most || len(compact) > most {
			t.Errorf("%s is %d bytes of YAML and %d of JSON, want at most %d", file, len(text), len(compact), most)
		}
	}
}

// TestOurOwnFieldsAreOptionalAndBounded guards the only field that the published API lacks.
func TestOurOwnFieldsAreOptionalAndBounded(t *testing.T) {
	for _, file := range []string{"analysisrun.yaml", "analysistemplate.yaml", "clusteranalysistemplate.yaml"} {
		metric := propertiesOf(load(t, ourCRD(file)), "spec")["metrics"].(object)["items"].(object)
		noData, ok := metric["properties"].(object)["noData"].(object)
		if !ok {
			t.Fatalf("%s: metrics have no noData", file)
		}
		if want := []any{"Inconclusive", "Fail", "Error", "Success", "Skip"}; !reflect.DeepEqual(noData["enum"], want) {
			t.Errorf("%s: noData accepts %v, want %v", file, noData["enum"], want)
		}
		if slices.Contains(metric["required"].([]any), any("noData")) {
			t.Errorf("%s: noData is required, which refuses every existing manifest", file)
		}
	}
}

// The only published rule is that of the Rollout's selector. Types of k8s.io/api bring rules along that refuse existing
// manifests, or that an API server does not even accept inside a list.
func TestTheSelectorRuleIsTheOnlyRule(t *testing.T) {
	for file := range crdFiles {
		var want []string
		if file == "rollout.yaml" {
			want = []string{".spec.selector"}
		}
		if got := ruled("", rootSchema(load(t, ourCRD(file)))); !slices.Equal(got, want) {
			t.Errorf("%s has rules at %q, want %q", file, got, want)
		}
	}
}

// ruled lists the paths of a schema that carry CEL rules.
func ruled(path string, schema any) (paths []string) {
	node, _ := schema.(object)
	if node["x-kubernetes-validations"] != nil {
		paths = append(paths, path)
	}
	properties, _ := node["properties"].(object)
	for name, child := range properties {
		paths = append(paths, ruled(path+"."+name, child)...)
	}
	for keyword, suffix := range map[string]string{"items": "[]", "additionalProperties": "{}"} {
		if node[keyword] != nil {
			paths = append(paths, ruled(path+suffix, node[keyword])...)
		}
	}
	return paths
}

// walker compares a published CRD with ours and notes every difference that an existing user would notice.
type walker struct {
	differences []string
	paths       int
}

func (w *walker) note(format string, args ...any) {
	w.differences = append(w.differences, fmt.Sprintf(format, args...))
}

func (w *walker) crd(published, ours object) {
	w.same("metadata.name", published["metadata"].(object)["name"], ours["metadata"].(object)["name"])
	theirSpec, ourSpec := published["spec"].(object), ours["spec"].(object)
	w.same("spec.group", theirSpec["group"], ourSpec["group"])
	w.same("spec.scope", theirSpec["scope"], ourSpec["scope"])
	w.same("spec.names", theirSpec["names"], ourSpec["names"])
	theirs, own := version(published), version(ours)
	for _, key := range []string{"name", "served", "storage"} {
		w.same(key, theirs[key], own[key])
	}
	w.same("subresources", orEmpty(theirs["subresources"]), orEmpty(own["subresources"]))
	w.same("additionalPrinterColumns", columns(theirs), columns(own))
	w.schema("", rootSchema(published), rootSchema(ours))
}

func (w *walker) same(what string, published, ours any) {
	if !reflect.DeepEqual(published, ours) {
		w.note("%s: published %v, ours %v", what, published, ours)
	}
}

func (w *walker) schema(path string, published, ours object) {
	w.paths++
	for _, keyword := range keywords {
		w.same(path+": "+keyword, published[keyword], ours[keyword])
	}
	required, _ := published["required"].([]any)
	ourRequired, _ := ours["required"].([]any)
	for _, name := range ourRequired {
		if !slices.Contains(required, name) {
			w.note("%s: requires %v, which the published schema does not", path, name)
		}
	}
	properties, _ := published["properties"].(object)
	ourProperties, _ := ours["properties"].(object)
	for name, child := range properties {
		ourChild, ok := ourProperties[name].(object)
		if !ok {
			w.note("%s.%s: missing", path, name)
			continue
		}
		w.schema(path+"."+name, child.(object), ourChild)
	}
	w.element(path, "items", "[]", published, ours)
	w.element(path, "additionalProperties", "{}", published, ours)
}

// element compares what lists and maps hold: a schema, true, or nothing.
func (w *walker) element(path, keyword, suffix string, published, ours object) {
	theirs, isSchema := published[keyword].(object)
	own, ourIsSchema := ours[keyword].(object)
	if isSchema && ourIsSchema {
		w.schema(path+suffix, theirs, own)
		return
	}
	w.same(path+": "+keyword, published[keyword], ours[keyword])
}

func version(crd object) object { return crd["spec"].(object)["versions"].([]any)[0].(object) }

func rootSchema(crd object) object {
	return version(crd)["schema"].(object)["openAPIV3Schema"].(object)
}

// propertiesOf follows property names from the root and returns the properties found there.
func propertiesOf(crd object, names ...string) object {
	properties := rootSchema(crd)["properties"].(object)
	for _, name := range names {
		properties = properties[name].(object)["properties"].(object)
	}
	return properties
}

// columns are the printer columns without their prose.
func columns(version object) []any {
	list, _ := version["additionalPrinterColumns"].([]any)
	for _, column := range list {
		delete(column.(object), "description")
	}
	return list
}

func orEmpty(value any) any {
	if value == nil {
		return object{}
	}
	return value
}

func ourCRD(file string) string { return filepath.Join("..", "..", "config", "crd", file) }

// sharedFolder is a folder of published conformance data, which lies beside the repository and not in it.
func sharedFolder(t *testing.T, name string) string {
	t.Helper()
	folder := filepath.Join("..", "..", "..", "shared", "conformance", name)
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("the published conformance data is not beside the repository (../shared/conformance/%s), so there is nothing to compare with", name)
	}
	return folder
}

func load(t *testing.T, file string) object {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var decoded object
	if err := yaml.Unmarshal(bytes.TrimSpace(text), &decoded); err != nil {
		t.Fatalf("decode %s: %v", file, err)
	}
	return decoded
}
