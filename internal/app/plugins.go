package app

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/kube"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/plugin"
	"github.com/penstock-io/penstock/internal/traffic"
	trafficplugin "github.com/penstock-io/penstock/internal/traffic/plugin"
)

// +kubebuilder:rbac:groups="",resources=configmaps,resourceNames=argo-rollouts-config,namespace=penstock-system,verbs=get

// programs are the plugins that the ConfigMap in the controller's namespace names. It is read
// when something asks for a plugin, and not before.
type programs struct{ metric, router, step *plugin.Registry }

func newPrograms(live client.Reader, own string, secrets metric.SecretReader, log logr.Logger) programs {
	of := func(kind plugin.Kind) *plugin.Registry {
		return &plugin.Registry{
			Kind: kind, Dir: filepath.Join(os.TempDir(), "penstock-plugins"), Log: log,
			Config: func(ctx context.Context) (map[string]string, error) {
				config := &corev1.ConfigMap{}
				err := live.Get(ctx, client.ObjectKey{Namespace: own, Name: plugin.ConfigMap}, config)
				return config.Data, client.IgnoreNotFound(err)
			},
			Secrets: func(ctx context.Context, name string) (map[string][]byte, error) { return secrets(ctx, "", name) },
		}
	}
	return programs{metric: of(plugin.Metric), router: of(plugin.Router), step: of(plugin.Step)}
}

func (p programs) close() {
	for _, r := range []*plugin.Registry{p.metric, p.router, p.step} {
		r.Close()
	}
}

// pluginRouting is the entry of the table of routers for plugins. The watcher, which brings
// Rollouts back after a time, needs the table first.
func pluginRouting(programs *plugin.Registry, o Options, watcher **kube.Watcher) kube.Routing {
	router := trafficplugin.New(trafficplugin.Options{Plugins: programs, Settle: o.Settle, Now: o.Now,
		Wake: func(key types.NamespacedName, after time.Duration) {
			time.AfterFunc(after, func() { (*watcher).Wake(context.Background(), key) })
		}})
	return kube.Routing{Name: "plugins", Uses: trafficplugin.Uses, Router: router, Carries: traffic.Everything, Verifies: true}
}
