package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// fieldManager is who applies manifests.
const fieldManager = "penstock-sandbox"

// servedWithin bounds the wait for an applied kind to be served.
const servedWithin = 30 * time.Second

func newClient(config *rest.Config) (client.WithWatch, error) {
	s := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(s), v1alpha1.AddToScheme(s), apiextensionsv1.AddToScheme(s)); err != nil {
		return nil, fmt.Errorf("build the scheme: %w", err)
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: s})
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return c, nil
}

// Decode reads all objects of a YAML text of one or more documents. Kustomizations and
// empty documents are left out.
func Decode(text []byte) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode document %d: %w", len(all)+1, err)
		}
		if len(u.Object) > 0 && u.GetKind() != "Kustomization" {
			all = append(all, u)
		}
	}
}

// DecodeFiles reads all objects of the YAML files below a folder, in the order of names.
func DecodeFiles(files fs.FS, folder string) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	err := fs.WalkDir(files, folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		objects, err := Decode(text)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, objects...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read manifests in %s: %w", folder, err)
	}
	return all, nil
}

// Apply applies objects on the server's side, and waits until kinds among them are
// served. Objects that name no namespace go to the given one if their kind has any.
func (c *Cluster) Apply(ctx context.Context, namespace string, objects ...*unstructured.Unstructured) error {
	for _, o := range objects {
		if err := c.apply(ctx, namespace, o.DeepCopy()); err != nil {
			return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	for _, o := range objects {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		if err := c.served(ctx, o.GetName()); err != nil {
			return fmt.Errorf("wait for kind %s: %w", o.GetName(), err)
		}
	}
	return nil
}

func (c *Cluster) apply(ctx context.Context, namespace string, o *unstructured.Unstructured) error {
	mapping, err := c.client.RESTMapper().RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
	if err != nil {
		return err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace && o.GetNamespace() == "" {
		o.SetNamespace(namespace)
	}
	return c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner(fieldManager), client.ForceOwnership)
}

// served waits until a kind is established.
func (c *Cluster) served(ctx context.Context, name string) error {
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, servedWithin, true, func(ctx context.Context) (bool, error) {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := c.client.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil {
			return false, err
		}
		for _, condition := range crd.Status.Conditions {
			if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
}
