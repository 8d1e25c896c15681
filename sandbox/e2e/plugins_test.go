package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// outside is the world that the example plugins speak to: an edge proxy, a job, and what a
// shop counts.
type outside struct {
	mu      sync.Mutex
	site    []byte
	version int
	jobs    []string
}

func (o *outside) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case r.URL.Path == "/sites/web" && r.Method == http.MethodPut:
		if r.Header.Get("If-Match") != strconv.Itoa(o.version) {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		o.site, o.version = body, o.version+1
	case r.URL.Path == "/sites/web":
		w.Header().Set("ETag", strconv.Itoa(o.version))
		w.Header().Set("X-Serving", strconv.Itoa(o.version))
		w.Write(o.site) //nolint:errcheck // whoever asked sees it
	case r.URL.Path == "/stats":
		fmt.Fprint(w, `{"orders":{"failed":0}}`)
	default:
		o.jobs = append(o.jobs, r.Method)
		fmt.Fprint(w, `{"id":"7","status":"done"}`)
	}
}

// set writes the weights of stable and canary, as somebody else would.
func (o *outside) set(stable, canary int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.site = fmt.Appendf(nil, `{"tls":true,"origins":[{"name":"web-stable","weight":%d},{"name":"web-canary","weight":%d}]}`, stable, canary)
	o.version++
}

// weight is the canary's.
func (o *outside) weight(want int) func(*v1alpha1.Rollout) error {
	return func(r *v1alpha1.Rollout) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		var site struct {
			TLS     bool
			Origins []struct{ Weight int }
		}
		if err := json.Unmarshal(o.site, &site); err != nil {
			return err
		}
		if site.Origins[1].Weight != want || !site.TLS {
			return fmt.Errorf("the edge has %s, want %d for the canary; the rollout is %s (%s)", o.site, want, r.Status.Phase, r.Status.Message)
		}
		return nil
	}
}

// names lists the example programs in the controller's ConfigMap, as e2e/<kind>.
func names(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "penstock-system", Name: "argo-rollouts-config"}, Data: map[string]string{}}
	for kind, key := range map[string]string{"metric": "metricProviderPlugins", "traffic": "trafficRouterPlugins", "step": "stepPlugins"} {
		path := filepath.Join(dir, kind)
		build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./examples/plugins/"+kind)
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(raw)
		config.Data[key] = fmt.Sprintf("- {name: e2e/%s, location: \"file://%s\", sha256: %s}\n", kind, path, hex.EncodeToString(sum[:]))
	}
	if err := shared.Client().Create(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// TestARolloutWithPluginsOfTheSecondProtocol: a release that a program routes, another holds
// up, and a third measures; weights that somebody else changes at the edge are set back.
func TestARolloutWithPluginsOfTheSecondProtocol(t *testing.T) {
	t.Parallel()
	edge := &outside{}
	edge.set(100, 0)
	server := httptest.NewServer(edge)
	t.Cleanup(server.Close)
	names(t)
	ns := space(t)
	apply(t, ns, web(fmt.Sprintf(`{canary: {stableService: web-stable, canaryService: web-canary,
    trafficRouting: {plugins: {e2e/traffic: {admin: %q, site: web}}},
    steps: [{setWeight: 20}, {plugin: {name: e2e/step, config: {url: %q}}}, {analysis: {templates: [{templateName: orders}]}}, {pause: {}}, {setWeight: 50}, {pause: {}}]}}`,
		server.URL, server.URL+"/jobs"))+services+fmt.Sprintf(`
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: orders}
spec:
  metrics:
  - name: orders
    provider: {plugin: {e2e/metric: {url: %q, field: orders.failed, max: 0}}}
`, server.URL+"/stats"))
	// The controller may have read the ConfigMap a moment before it was there.
	await(t, ns, "web", 2*time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	setImage(t, ns, "web", "penstock/demo:v2")
	await(t, ns, "web", time.Minute, atStep(3))
	await(t, ns, "web", time.Second, edge.weight(20))
	edge.mu.Lock()
	if !slices.Equal(edge.jobs, []string{http.MethodPost}) {
		t.Errorf("the job was asked for with %q", edge.jobs)
	}
	edge.mu.Unlock()
	edge.set(50, 50)
	await(t, ns, "web", 30*time.Second, edge.weight(20))
	within(t, 10*time.Second, func() error {
		events := &corev1.EventList{}
		if err := shared.Client().List(t.Context(), events, client.InNamespace(ns)); err != nil {
			return err
		}
		if !slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.Reason == "TrafficDrift" && strings.HasPrefix(e.Message, "Plugin/e2e/traffic was changed by somebody: ")
		}) {
			return errors.New("nobody tells of the weights that were changed")
		}
		return nil
	})
	resume(t, ns, "web")
	await(t, ns, "web", time.Minute, atStep(5))
	await(t, ns, "web", time.Second, edge.weight(50))
	setImage(t, ns, "web", "penstock/demo:v1")
	await(t, ns, "web", time.Minute, edge.weight(0))
	await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
}
