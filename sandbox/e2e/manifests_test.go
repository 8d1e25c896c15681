package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/config"
	"github.com/penstock-io/penstock/sandbox/cluster"
)

// root is the repository's.
const root = "../.."

// build is what kubectl kustomize prints.
func build(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	list, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, folder))
	if err != nil {
		t.Fatalf("build %s: %v", folder, err)
	}
	text, err := list.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	objects, err := cluster.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// lost lists what of want is not in got: pruned, or stored as something else.
func lost(want, got any, at string) (paths []string) {
	switch w := want.(type) {
	case map[string]any:
		g, is := got.(map[string]any)
		if !is && len(w) > 0 {
			return []string{at}
		}
		for k, v := range w {
			if v != nil { // null means absent
				paths = append(paths, lost(v, g[k], at+"."+k)...)
			}
		}
	case []any:
		g, is := got.([]any)
		if !is && len(w) > 0 || len(g) != len(w) {
			return []string{at}
		}
		for i := range w {
			paths = append(paths, lost(w[i], g[i], fmt.Sprintf("%s[%d]", at, i))...)
		}
	default:
		if fmt.Sprint(want) != fmt.Sprint(got) {
			return []string{fmt.Sprintf("%s: %v became %v", at, want, got)}
		}
	}
	slices.Sort(paths)
	return paths
}

// readBack fails the test if the API server keeps less than the manifest says. Each part
// is compared by itself, where it is present.
func readBack(t *testing.T, ns string, u *unstructured.Unstructured, parts ...string) {
	t.Helper()
	got := &unstructured.Unstructured{}
	got.SetGroupVersionKind(u.GroupVersionKind())
	if err := shared.Client().Get(t.Context(), types.NamespacedName{Namespace: ns, Name: u.GetName()}, got); err != nil {
		t.Error(err)
		return
	}
	for _, part := range parts {
		if u.Object[part] == nil {
			continue
		}
		for _, path := range lost(u.Object[part], got.Object[part], part) {
			t.Errorf("%s %s loses %s", u.GetKind(), u.GetName(), path)
		}
	}
}

func TestExamplesApplyAndBecomeHealthy(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(root, "examples"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == "plugins" { // those need their programs, and have tests with them
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel()
			ns := space(t)
			objects := build(t, filepath.Join("examples", e.Name()))
			if err := shared.Apply(t.Context(), ns, objects...); err != nil {
				t.Fatal(err)
			}
			rollouts := 0
			for _, u := range objects {
				if u.GetKind() == "Rollout" {
					await(t, ns, u.GetName(), time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
					rollouts++
				}
				readBack(t, ns, u, "metadata", "data")
				if u.GetKind() != "Service" { // the controller adds the hash to its selector
					readBack(t, ns, u, "spec")
				}
			}
			if rollouts == 0 {
				t.Error("it has no Rollout")
			}
		})
	}
}

// A kubectl apply keeps the whole object in an annotation; all annotations together may
// have 256 KiB.
func TestKindsFitIntoKubectlsAnnotation(t *testing.T) {
	crds, err := cluster.DecodeFiles(config.Files, "crd")
	if err != nil || len(crds) != 6 {
		t.Fatalf("%d kinds, %v", len(crds), err)
	}
	for _, u := range crds {
		text, err := json.Marshal(u.Object)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 256<<10 {
			t.Errorf("%s has %d bytes", u.GetName(), len(text))
		}
		u.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": string(text)})
		if err := shared.Client().Patch(t.Context(), u, client.Merge, client.DryRunAll); err != nil {
			t.Errorf("%s with kubectl's annotation: %v", u.GetName(), err)
		}
	}
}

// Covers: defect 26.
func TestTheInstallationAppliesAndIsWhatRunsHere(t *testing.T) {
	objects := build(t, "config/default")
	role := &rbacv1.ClusterRole{}
	for _, u := range objects {
		if u.GetKind() == "ClusterRole" && u.GetName() == "penstock-controller" {
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, role); err != nil {
				t.Fatal(err)
			}
		}
	}
	running := &rbacv1.ClusterRole{}
	if err := shared.Client().Get(t.Context(), types.NamespacedName{Name: "penstock-controller"}, running); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(role.Rules, running.Rules); d != "" || len(role.Rules) == 0 {
		t.Errorf("the sandbox's controller runs with another role than is installed:\n%s", d)
	}
	if err := shared.Apply(t.Context(), "default", objects...); err != nil {
		t.Fatal(err)
	}
	// Its pod is admitted: the namespace allows only restricted pods.
	within(t, time.Minute, func() error {
		d := &appsv1.Deployment{}
		if err := shared.Client().Get(t.Context(), types.NamespacedName{Namespace: "penstock-system", Name: "penstock-controller"}, d); err != nil {
			return err
		}
		if d.Status.AvailableReplicas != 1 {
			return fmt.Errorf("the Deployment's status is %+v", d.Status)
		}
		return nil
	})
}

func TestTheControllerMayNotDoMoreThanItNeeds(t *testing.T) {
	as := shared.RESTConfig()
	as.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:penstock-system:penstock-controller"}
	c, err := client.New(as, client.Options{Scheme: shared.Client().Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	for what, act := range map[string]func() error{
		"list Secrets":        func() error { return c.List(t.Context(), &corev1.SecretList{}) },
		"delete a pod":        func() error { return c.Delete(t.Context(), &corev1.Pod{ObjectMeta: named("web")}) },
		"create a pod":        func() error { return c.Create(t.Context(), &corev1.Pod{ObjectMeta: named("web")}) },
		"delete a Rollout":    func() error { return c.Delete(t.Context(), &v1alpha1.Rollout{ObjectMeta: named("web")}) },
		"create a Rollout":    func() error { return c.Create(t.Context(), &v1alpha1.Rollout{ObjectMeta: named("web")}) },
		"delete a Deployment": func() error { return c.Delete(t.Context(), &appsv1.Deployment{ObjectMeta: named("web")}) },
		"read ConfigMaps":     func() error { return c.List(t.Context(), &corev1.ConfigMapList{}) },
		"read nodes":          func() error { return c.List(t.Context(), &corev1.NodeList{}) },
		"list cluster roles":  func() error { return c.List(t.Context(), &rbacv1.ClusterRoleList{}) },
	} {
		if err := act(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want it forbidden", what, err)
		}
	}
	if err := c.List(t.Context(), &v1alpha1.RolloutList{}); err != nil {
		t.Errorf("list Rollouts: %v", err)
	}
}

func TestLostFindsWhatIsPruned(t *testing.T) {
	want := map[string]any{"a": int64(1), "b": map[string]any{"c": "x", "d": nil}, "e": []any{map[string]any{"f": "y"}}}
	if got := lost(want, map[string]any{"a": int64(1), "b": map[string]any{"c": "x"}, "e": []any{map[string]any{"f": "y", "g": "added"}}}, ""); got != nil {
		t.Errorf("nothing is lost, but found %v", got)
	}
	got := lost(want, map[string]any{"a": int64(2), "b": map[string]any{}, "e": []any{}}, "")
	if wanted := []string{".a: 1 became 2", ".b.c: x became <nil>", ".e"}; !reflect.DeepEqual(got, wanted) {
		t.Errorf("lost %v, want %v", got, wanted)
	}
}
