package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/notify"
)

// noSecret is the published value of --secret that needs no rights.
const noSecret = ":empty"

// controllerNamespaces are where the configuration is, unless it is in the namespace of the
// command line.
var controllerNamespaces = []string{"argo-rollouts", "penstock-system"}

// config reads the configuration, and warns of what is wrong with it.
func (n *notice) config(ctx context.Context) (*notify.Config, error) {
	cm, err := n.configuration(ctx)
	if err != nil {
		return nil, err
	}
	from := notify.Sources{ConfigMap: cm}
	if err := n.credentials(ctx, cm.Namespace, &from); err != nil {
		return nil, err
	}
	if n.configMap == "" {
		if from.Templates, err = n.templates(ctx, cm.Namespace); err != nil {
			return nil, err
		}
	}
	config := notify.Parse(from)
	for _, p := range config.Problems {
		fmt.Fprintln(n.Err, "Warning:", p)
	}
	return config, nil
}

// templates are the NotificationTemplate objects, where the cluster has such a kind.
func (n *notice) templates(ctx context.Context, namespace string) (all []*unstructured.Unstructured, err error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(notify.TemplateKind)
	err = n.cluster.List(ctx, list, client.InNamespace(namespace))
	switch {
	case apimeta.IsNoMatchError(err), apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list the NotificationTemplates of namespace %s: %w", namespace, err)
	}
	for i := range list.Items {
		all = append(all, &list.Items[i])
	}
	return all, nil
}

func (n *notice) configuration(ctx context.Context) (*corev1.ConfigMap, error) {
	cm := &corev1.ConfigMap{}
	if n.configMap != "" {
		return cm, n.document(n.configMap, "ConfigMap", notify.ConfigMapName, cm)
	}
	cl, err := n.connect()
	if err != nil {
		return nil, err
	}
	for _, namespace := range append([]string{cl.namespace}, controllerNamespaces...) {
		err := cl.Get(ctx, client.ObjectKey{Namespace: namespace, Name: notify.ConfigMapName}, cm)
		switch {
		case err == nil:
			return cm, nil
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("get configmap %s/%s: %w", namespace, notify.ConfigMapName, err)
		}
	}
	return nil, fmt.Errorf("there is no ConfigMap %s in namespace %s, %s or %s: name the controller's namespace (-n), or a file (--config-map)",
		notify.ConfigMapName, cl.namespace, controllerNamespaces[0], controllerNamespaces[1])
}

// credentials are the Secret; a ConfigMap under its name, as some textbooks have it, will do.
func (n *notice) credentials(ctx context.Context, namespace string, from *notify.Sources) error {
	secret := &corev1.Secret{}
	switch n.secret {
	case noSecret:
		return nil
	case "":
	default:
		from.Secret = secret
		return n.document(n.secret, "Secret", notify.SecretName, secret)
	}
	if n.configMap != "" {
		fmt.Fprintln(n.Err, "Warning: no Secret was given: name one with --secret, or say --secret :empty")
		return nil
	}
	key := client.ObjectKey{Namespace: namespace, Name: notify.SecretName}
	err := n.cluster.Get(ctx, key, secret)
	switch {
	case err == nil:
		from.Secret = secret
		return nil
	case apierrors.IsForbidden(err):
		return fmt.Errorf("get secret %s/%s: %w; --secret :empty does without", namespace, notify.SecretName, err)
	case !apierrors.IsNotFound(err):
		return err
	}
	cm := &corev1.ConfigMap{}
	switch err := n.cluster.Get(ctx, key, cm); {
	case err == nil:
		from.Misplaced = cm
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		fmt.Fprintf(n.Err, "Warning: there is no Secret %s in namespace %s\n", notify.SecretName, namespace)
	default:
		return fmt.Errorf("get configmap %s/%s: %w", namespace, notify.SecretName, err)
	}
	return nil
}

// document finds an object of a kind and name in a file.
func (n *notice) document(file, kind, name string, into any) error {
	found := false
	err := n.objects(file, func(o *unstructured.Unstructured) error {
		if found || o.GetKind() != kind || o.GetName() != name {
			return nil
		}
		found = true
		return runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into)
	})
	if err == nil && !found {
		err = fmt.Errorf("%s has no %s %s", file, kind, name)
	}
	return err
}

// subject is a Rollout of the cluster with its runs, or one in a file.
func (n *notice) subject(ctx context.Context, resource string) (s notify.Subject, err error) {
	if info, err := os.Stat(resource); err == nil && !info.IsDir() {
		data, err := os.ReadFile(resource)
		if err != nil {
			return s, err
		}
		if err := yaml.Unmarshal(bytes.TrimSpace(data), &s.Rollout); err != nil {
			return s, fmt.Errorf("%s: %w", resource, err)
		}
		return s, nil
	}
	cl, err := n.connect()
	if err != nil {
		return s, err
	}
	o, err := cl.raw(ctx, aRollout, resource)
	if err != nil {
		return s, err
	}
	s.Rollout = o.(*unstructured.Unstructured).Object
	if err := n.resolve(ctx, cl, resource, s.Rollout); err != nil {
		return s, err
	}
	w, err := n.about(ctx, cl, resource, aReplicaSet, anAnalysisRun)
	if err != nil {
		return s, err
	}
	for _, r := range w.analyses() {
		if r.Labels[v1alpha1.PodTemplateHashLabel] == w.rollout.Status.CurrentPodHash {
			s.Runs = append(s.Runs, r)
		}
	}
	notify.NewestFirst(s.Runs)
	return s, nil
}

// resolve gives a Rollout that refers to a workload its template and selector, which templates
// count on.
func (n *notice) resolve(ctx context.Context, cl *cluster, name string, rollout map[string]any) error {
	if _, refers, _ := unstructured.NestedMap(rollout, "spec", "workloadRef"); !refers {
		return nil
	}
	o, at, err := cl.templated(ctx, name)
	if err != nil {
		return fmt.Errorf("read what the rollout refers to: %w", err)
	}
	template, _, _ := unstructured.NestedFieldNoCopy(o.Object, at...)
	if err := unstructured.SetNestedField(rollout, template, "spec", "template"); err != nil {
		return err
	}
	selector, found, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "selector")
	if _, own, _ := unstructured.NestedMap(rollout, "spec", "selector"); own || !found {
		return nil
	}
	return unstructured.SetNestedField(rollout, selector, "spec", "selector")
}
