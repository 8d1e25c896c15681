package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/cluster"
	"github.com/penstock-io/penstock/sandbox/demo"
)

// The tests share one cluster.
var (
	shared   *cluster.Cluster
	arrivals demo.Arrivals
)

func TestMain(m *testing.M) { os.Exit(share(m)) }

func share(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var err error
	if shared, err = cluster.Start(ctx, cluster.Options{OnMeasurement: arrivals.Add}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.Stop()
	code := m.Run()
	if err := errors.Join(shared.Err(), rightsSufficed()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// rightsSufficed looks for requests that the role of the controller did not allow, after
// all tests have made it do everything it does.
func rightsSufficed() error {
	log, err := os.ReadFile(filepath.Join(shared.Dir(), "controller.log"))
	if err != nil {
		return fmt.Errorf("read the controller's log: %w", err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "forbidden") {
			return fmt.Errorf("the controller's role does not suffice: %s", line)
		}
	}
	return nil
}

// space makes a namespace.
func space(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}
	if err := shared.Client().Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, func() error {
		return shared.Client().Get(t.Context(), types.NamespacedName{Namespace: ns.Name, Name: "default"}, &corev1.ServiceAccount{})
	})
	return ns.Name
}

// within polls until ok returns nil, and fails the test with its last error otherwise.
func within(t *testing.T, limit time.Duration, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", limit, err)
		}
		<-tick.C
	}
}

// apply applies manifests, as YAML, to a namespace.
func apply(t *testing.T, ns, manifests string) {
	t.Helper()
	objects, err := cluster.Decode([]byte(manifests))
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.Apply(t.Context(), ns, objects...); err != nil {
		t.Fatal(err)
	}
}

func rollout(t *testing.T, ns, name string) *v1alpha1.Rollout {
	t.Helper()
	r := &v1alpha1.Rollout{}
	if err := shared.Client().Get(t.Context(), types.NamespacedName{Namespace: ns, Name: name}, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// await polls a Rollout until the controller has seen its spec and ok finds nothing wrong.
func await(t *testing.T, ns, name string, limit time.Duration, ok func(*v1alpha1.Rollout) error) *v1alpha1.Rollout {
	t.Helper()
	var r *v1alpha1.Rollout
	within(t, limit, func() error {
		r = rollout(t, ns, name)
		if r.Status.ObservedGeneration != fmt.Sprint(r.Generation) {
			return fmt.Errorf("generation %d is not observed", r.Generation)
		}
		return ok(r)
	})
	return r
}

func inPhase(want v1alpha1.RolloutPhase) func(*v1alpha1.Rollout) error {
	return func(r *v1alpha1.Rollout) error {
		if r.Status.Phase != want {
			return fmt.Errorf("rollout %s is %s (%s), want %s", r.Name, r.Status.Phase, r.Status.Message, want)
		}
		return nil
	}
}

// atStep wants the rollout to be at a step and paused there.
func atStep(step int32) func(*v1alpha1.Rollout) error {
	return func(r *v1alpha1.Rollout) error {
		i := int32(-1)
		if at := r.Status.CurrentStepIndex; at != nil {
			i = *at
		}
		if i != step || r.Status.Phase != v1alpha1.RolloutPhasePaused {
			return fmt.Errorf("rollout %s is %s (%s) at step %d, want Paused at %d", r.Name, r.Status.Phase, r.Status.Message, i, step)
		}
		return nil
	}
}

// patch sends a JSON merge patch.
func patch(t *testing.T, object client.Object, ns, name, body string) error {
	t.Helper()
	object.SetNamespace(ns)
	object.SetName(name)
	return shared.Client().Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(body)))
}

// setImage releases an image.
func setImage(t *testing.T, ns, name, image string) {
	t.Helper()
	body := fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":%q,"ports":[{"name":"http","containerPort":8080}]}]}}}}`, image)
	if err := patch(t, &v1alpha1.Rollout{}, ns, name, body); err != nil {
		t.Fatal(err)
	}
}

// resume promotes past an endless pause, as the published plugin does.
func resume(t *testing.T, ns, name string) {
	t.Helper()
	r := &v1alpha1.Rollout{}
	r.Namespace, r.Name = ns, name
	if err := shared.Client().Status().Patch(t.Context(), r, client.RawPatch(types.MergePatchType, []byte(`{"status":{"pauseConditions":null}}`))); err != nil {
		t.Fatal(err)
	}
}

// web is a Rollout of two pods of the demo application, with the given strategy.
func web(strategy string) string {
	return `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: app, image: "penstock/demo:v1", ports: [{name: http, containerPort: 8080}]}
  strategy: ` + strategy + "\n"
}

// services are a stable and a canary Service of web.
const services = `
---
apiVersion: v1
kind: Service
metadata: {name: web-stable}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-canary}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
`

func object(group, version, kind string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion(group + "/" + version)
	u.SetKind(kind)
	return u
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "default", Name: name} }
