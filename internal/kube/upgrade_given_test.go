package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic/gatewayapi"
)

// formerDir holds namespaces as the published controller leaves them, a file each.
const formerDir = "../../testdata/upgrade"

func formerNames(t testing.TB) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(formerDir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no namespaces in %s: %v", formerDir, err)
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".yaml"))
	}
	return names
}

// inherited is the world of one of those namespaces, with changes.
func inherited(t testing.TB, name string, changes ...func(client.Object)) *world {
	t.Helper()
	w := newWorld(t)
	w.withGateway()
	for _, o := range w.formerObjects(name) {
		for _, change := range changes {
			change(o)
		}
		w.create(o)
		if ro, is := o.(*v1alpha1.Rollout); is {
			if err := w.client.Status().Update(context.Background(), ro); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.pods()
	w.writes = nil
	return w
}

// withGateway adds the Gateway API to the table of routers.
func (w *world) withGateway() {
	o := gatewayapi.Options{Settle: time.Second}
	w.rollouts.Routers = append(w.rollouts.Routers, Routing{Name: "gatewayapi", Uses: gatewayapi.Uses, Verifies: true,
		Objects: gatewayapi.Objects, Kinds: o.Kinds, Router: gatewayapi.New(w.client, w.client, o)})
}

// formerObjects reads a namespace. What it cannot know stands for: hashes, times, UIDs.
func (w *world) formerObjects(name string) []client.Object {
	w.t.Helper()
	return w.decode(formerText(w.t, name), w.hashes(name))
}

func formerText(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(formerDir, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// hashes are what the placeholders in a namespace stand for: its two revisions', "taken"
// for the new one's without the collision count, and other names.
func (w *world) hashes(name string) map[string]string {
	w.t.Helper()
	known := map[string]string{"ns": "shop", "host": "web.example", "uid": "web-uid", "metrics": "http://127.0.0.1:1", "generation": "2"}
	var template *corev1.PodTemplateSpec
	var count *int32
	for _, o := range w.decode(formerText(w.t, name), known) {
		switch o := o.(type) {
		case *v1alpha1.Rollout:
			count, template = o.Status.CollisionCount, &o.Spec.Template
			if c := o.Spec.Strategy.Canary; c != nil {
				known["steps"] = v1alpha1.StepHash(c.Steps)
			}
		case *appsv1.Deployment:
			template = &o.Spec.Template
		}
	}
	known["new"], known["taken"] = v1alpha1.PodTemplateHash(template, count), v1alpha1.PodTemplateHash(template, nil)
	template.Spec.Containers[0].Image = "penstock/demo:v1"
	known["old"] = v1alpha1.PodTemplateHash(template, nil)
	return known
}

func (w *world) decode(text string, known map[string]string) (list []client.Object) {
	w.t.Helper()
	text = os.Expand(text, func(name string) string {
		kind, value, timed := strings.Cut(name, ":")
		if !timed {
			return known[name]
		}
		d, err := time.ParseDuration(value)
		if err != nil {
			w.t.Fatal(err)
		}
		if kind == "ago" {
			d = -d
		}
		return w.now.Add(d).Format(time.RFC3339)
	})
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096); ; {
		u := &unstructured.Unstructured{}
		if err := decoder.Decode(&u.Object); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			w.t.Fatal(err)
		}
		u.SetNamespace("shop")
		if u.GetKind() == "Rollout" {
			u.SetUID("web-uid")
		}
		list = append(list, w.typed(u))
	}
}

// typed is the object in its Go type, where there is one.
func (w *world) typed(u *unstructured.Unstructured) client.Object {
	w.t.Helper()
	known, err := w.client.Scheme().New(u.GroupVersionKind())
	if runtime.IsNotRegisteredError(err) {
		return u
	}
	if err == nil {
		err = runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, known, true)
	}
	o, is := known.(client.Object)
	if err != nil || !is {
		w.t.Fatalf("%s %s: %v", u.GetKind(), u.GetName(), err)
	}
	return o
}

// untouched is a namespace before any controller has seen it, with the former image.
func untouched(objects []client.Object) (list []client.Object) {
	for _, o := range objects {
		switch o := o.(type) {
		case *v1alpha1.Rollout:
			o.Status = v1alpha1.RolloutStatus{}
			delete(o.Annotations, revisionKey)
			if o.Spec.WorkloadRef == nil {
				o.Spec.Template.Spec.Containers[0].Image, o.Generation = "penstock/demo:v1", 0
			}
		case *appsv1.Deployment:
			o.Spec.Template.Spec.Containers[0].Image, o.Generation = "penstock/demo:v1", 1
		case *corev1.Service:
			delete(o.Spec.Selector, hashLabel)
			delete(o.Annotations, managedKey)
		case *unstructured.Unstructured:
			pristine(o)
		case *appsv1.ReplicaSet, *v1alpha1.AnalysisRun:
			continue
		}
		list = append(list, o)
	}
	return list
}

// pristine takes off a route what controllers put there: all goes to stable.
func pristine(u *unstructured.Unstructured) {
	if u.GetKind() == "HTTPRoute" && u.GetLabels() == nil {
		return // nobody's but the user's
	}
	u.SetLabels(nil)
	u.SetAnnotations(nil)
	for _, subset := range slice(u.Object, "spec", "subsets") {
		delete(subset["labels"].(map[string]any), hashLabel)
	}
	rules := slices.DeleteFunc(slice(u.Object, "spec", "http"), func(r map[string]any) bool { return r["match"] != nil })
	for _, r := range append(rules, slice(u.Object, "spec", "rules")...) {
		for i, to := range append(slice(r, "route"), slice(r, "backendRefs")...) {
			to["weight"] = int64(100 * (1 - i))
		}
	}
	if len(rules) > 0 {
		u.Object["spec"].(map[string]any)["http"] = []any{rules[0]}
	}
}

// slice is a list of maps in an object.
func slice(o map[string]any, path ...string) (list []map[string]any) {
	found, _, _ := unstructured.NestedFieldNoCopy(o, path...)
	all, _ := found.([]any)
	for _, one := range all {
		list = append(list, one.(map[string]any))
	}
	return list
}

// unlike lists where two values differ, by their paths: + for more, - for less than want.
// Lists of conditions and the like go by type, name or reason. Points in time are all the
// same, and so is how long a person has held the rollout up.
func unlike(path string, want, got any) (list []string) {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for _, k := range slices.Sorted(maps.Keys(anyOf(w, g))) {
			at := path + "." + k
			switch _, have := g[k]; {
			case w[k] == nil:
				list = append(list, "+"+at)
			case !have:
				list = append(list, "-"+at)
			case k != "totalManualPauseDurationSeconds":
				list = append(list, unlike(at, w[k], g[k])...)
			}
		}
		return list
	case []any:
		if key := keyed(w); key != "" {
			g, _ := got.([]any)
			return unlike(path, byKey(w, key), byKey(g, key))
		}
	case string:
		g, _ := got.(string)
		if _, err := time.Parse(time.RFC3339, w); err == nil {
			if _, err := time.Parse(time.RFC3339, g); err == nil {
				return nil
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		return []string{fmt.Sprintf("%s is %v, not %v", path, got, want)}
	}
	return nil
}

func anyOf(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, b)
	return out
}

func keyed(list []any) string {
	for _, key := range []string{"type", "name", "reason"} {
		if len(list) > 0 {
			if first, is := list[0].(map[string]any); is && first[key] != nil {
				return key
			}
		}
	}
	return ""
}

func byKey(list []any, key string) map[string]any {
	out := map[string]any{}
	for _, one := range list {
		m := one.(map[string]any)
		out[fmt.Sprint(m[key])] = m
	}
	return out
}
