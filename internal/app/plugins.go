package app

import (
	"context"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/plugin"
)

// +kubebuilder:rbac:groups="",resources=configmaps,resourceNames=argo-rollouts-config,namespace=penstock-system,verbs=get

// metricPlugins are those that the ConfigMap in the controller's namespace names. It is
// read when a metric asks for a plugin, and not before.
func metricPlugins(live client.Reader, own string, secrets metric.SecretReader, log logr.Logger) *plugin.Registry {
	return &plugin.Registry{
		Kind: plugin.Metric, Dir: filepath.Join(os.TempDir(), "penstock-plugins"), Log: log,
		Config: func(ctx context.Context) (map[string]string, error) {
			config := &corev1.ConfigMap{}
			err := live.Get(ctx, client.ObjectKey{Namespace: own, Name: plugin.ConfigMap}, config)
			return config.Data, client.IgnoreNotFound(err)
		},
		Secrets: func(ctx context.Context, name string) (map[string][]byte, error) { return secrets(ctx, "", name) },
	}
}
