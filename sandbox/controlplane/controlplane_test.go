package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestItIsReadyWhenStartReturns(t *testing.T) {
	t.Logf("from start to ready: %v", startTime.Round(time.Millisecond))
	ctx := t.Context()
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.Major != "1" || !strings.HasPrefix(version.Minor, "37") {
		t.Errorf("the server says version %s.%s, want 1.37", version.Major, version.Minor)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "first"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "nginx"}}},
	}
	if _, err := client.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Errorf("a pod cannot be created: %v", err)
	}
	if _, err := Start(ctx, Options{}); !errors.Is(err, ErrRunning) {
		t.Errorf("a second control plane in the process: %v, want ErrRunning", err)
	}
	if err := plane.Err(); err != nil {
		t.Errorf("Err() = %v while it runs", err)
	}
}

func TestACancelledStartEndsAndAllowsAnother(t *testing.T) {
	if !errors.Is(errCancelled, context.Canceled) {
		t.Errorf("a start with a cancelled context: %v, want context.Canceled", errCancelled)
	}
}

func TestKubeconfigIsForAnAdministratorAndPrivate(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", plane.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(config.Host, "https://127.0.0.1:") {
		t.Errorf("the server is %s, want 127.0.0.1", config.Host)
	}
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CoreV1().Secrets("kube-system").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("list secrets: %v", err)
	}
	info, err := os.Stat(plane.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the kubeconfig has mode %v, want 0600", info.Mode().Perm())
	}
}

func TestServiceAccountTokensAreBoundByRBAC(t *testing.T) {
	ctx := t.Context()
	_, err := client.CoreV1().ServiceAccounts("default").Create(ctx,
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := client.CoreV1().ServiceAccounts("default").CreateToken(ctx, "reader", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(plane.RESTConfig())
	if _, err := mustClient(t, config).CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) {
		t.Errorf("nobody lists config maps: %v, want forbidden", err)
	}
	config.BearerToken = token.Status.Token
	reader := mustClient(t, config)
	if _, err := reader.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("list config maps without a role: %v, want forbidden", err)
	}
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"},
	}}}
	if _, err := client.RbacV1().Roles("default").Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "reader", Namespace: "default"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
	}
	if _, err := client.RbacV1().RoleBindings("default").Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, func() error {
		_, err := reader.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
		return err
	})
	if _, err := reader.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("list secrets with a role for config maps: %v, want forbidden", err)
	}
}

func mustClient(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOwnedObjectsOfACustomKindAreCollected covers definitions of new kinds, and that
// the garbage collector learns of them.
func TestOwnedObjectsOfACustomKindAreCollected(t *testing.T) {
	ctx := t.Context()
	define(t, ctx)
	things, err := dynamic.NewForConfig(plane.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	kind := things.Resource(schema.GroupVersionResource{Group: "test.penstock.io", Version: "v1", Resource: "things"}).Namespace("default")
	thing := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "test.penstock.io/v1", "kind": "Thing", "metadata": map[string]any{"name": "owner"},
	}}
	var owner *unstructured.Unstructured
	within(t, 15*time.Second, func() error {
		owner, err = kind.Create(ctx, thing, metav1.CreateOptions{})
		return err
	})
	owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owned", OwnerReferences: []metav1.OwnerReference{{
		APIVersion: "test.penstock.io/v1", Kind: "Thing", Name: "owner", UID: owner.GetUID(),
	}}}}
	if _, err := client.CoreV1().ConfigMaps("default").Create(ctx, owned, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := kind.Delete(ctx, "owner", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 30*time.Second, func() error {
		_, err := client.CoreV1().ConfigMaps("default").Get(ctx, "owned", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the owned object is still there (%v)", err)
	})
}

func define(t *testing.T, ctx context.Context) {
	t.Helper()
	definitions, err := apiextensions.NewForConfig(plane.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "things.test.penstock.io"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "test.penstock.io", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "things", Singular: "thing", Kind: "Thing", ListKind: "ThingList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}},
			}},
		},
	}
	if _, err := definitions.ApiextensionsV1().CustomResourceDefinitions().Create(ctx, crd, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestADeletedNamespaceGoesAway(t *testing.T) {
	ctx := t.Context()
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "brief"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().ConfigMaps("brief").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "content"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Namespaces().Delete(ctx, "brief", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 30*time.Second, func() error {
		n, err := client.CoreV1().Namespaces().Get(ctx, "brief", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there (%v): %v", err, n.Status)
	})
}

func TestTwoProcessesRunSideBySideAndCleanUp(t *testing.T) {
	one, two := freePort(t), freePort(t)
	root := t.TempDir()
	// The first directory does not exist and is so deep that no socket fits into it.
	deep := filepath.Join(root, "a", strings.Repeat("deep", 25), "b")
	existing := filepath.Join(root, "existing")
	if err := os.Mkdir(existing, 0o755); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(existing, "mine")
	if err := os.WriteFile(mine, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	// What a killed predecessor has left does not matter.
	if err := os.MkdirAll(filepath.Join(existing, "control-plane", "etcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	a, b := spawn(t, deep, one), spawn(t, existing, two)
	for _, c := range []*child{a, b} {
		path, ok := strings.CutPrefix(c.said, "ready ")
		if !ok {
			t.Fatalf("a child said %q", c.said)
		}
		config, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mustClient(t, config).CoreV1().Namespaces().Create(t.Context(),
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "own"}}, metav1.CreateOptions{}); err != nil {
			t.Errorf("create a namespace at %s: %v", config.Host, err)
		}
	}
	third := spawn(t, existing, 0)
	if want := "error use state directory " + existing + ": another control plane uses it"; third.said != want {
		t.Errorf("a third one in the same directory said %q, want %q", third.said, want)
	}
	for _, c := range []*child{a, b} {
		if output := c.end(t); output != "" {
			t.Errorf("a child wrote to its terminal:\n%s", output)
		}
	}
	if left := tree(t, root); len(left) != 2 || left[1] != mine {
		t.Errorf("left behind: %q, want only %q and the file in it", left, existing)
	}
}

func TestAFailedStartIsOneSentenceAndLeavesNothing(t *testing.T) {
	busy, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	port := busy.Addr().(*net.TCPAddr).Port
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	readOnly := readOnlyDir(t)
	tests := map[string]struct {
		dir  string
		port int
		want string
	}{
		"the port is busy":              {filepath.Join(root, "new"), port, fmt.Sprintf("error listen on 127.0.0.1:%d for the API server: bind: address already in use", port)},
		"the port is out of range":      {filepath.Join(root, "new"), 70000, "error listen on 127.0.0.1: port 70000 is not between 0 and 65535"},
		"the directory is below a file": {filepath.Join(file, "below"), 0, "error make state directory " + filepath.Join(file, "below") + ": not a directory"},
		"the directory is a file":       {file, 0, "error make state directory " + file + ": not a directory"},
		"the directory is read-only":    {readOnly.dir, 0, "error use state directory " + readOnly.dir + ": permission denied"},
		"the directory cannot be made":  {filepath.Join(readOnly.dir, "new"), 0, "error make state directory " + filepath.Join(readOnly.dir, "new") + ": permission denied"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			user := func(*exec.Cmd) {}
			if strings.HasPrefix(test.dir, readOnly.dir) {
				user = readOnly.user
			}
			c := spawn(t, test.dir, test.port, user)
			if c.said != test.want {
				t.Errorf("it said %q, want %q", c.said, test.want)
			}
			if output := c.end(t); output != "" {
				t.Errorf("it wrote to its terminal:\n%s", output)
			}
			if left := tree(t, root); len(left) != 1 || left[0] != file {
				t.Errorf("left behind: %q, want only %q", left, file)
			}
			if left := tree(t, readOnly.dir); len(left) != 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// tree lists everything below a directory.
func tree(t *testing.T, root string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if path != root {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
