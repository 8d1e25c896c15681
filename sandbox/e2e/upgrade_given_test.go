package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/cluster"
	"github.com/penstock-io/penstock/sandbox/load"
)

// formerDir holds namespaces as the published controller leaves them, a file each.
const formerDir = root + "/testdata/upgrade"

// elsewhere is the instance id of objects that another controller holds.
const elsewhere = "former"

// heir is a namespace that the published controller has left, as far as ours can tell.
type heir struct {
	ns, host string
	text     string
	known    map[string]string
}

// inherit makes the namespace of a file, with an instance id that keeps our controller
// away, and returns when its pods serve.
func inherit(t *testing.T, name, metrics string) *heir {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(formerDir, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	h := &heir{ns: space(t), text: string(text)}
	h.host = h.ns + ".former.example"
	h.known = map[string]string{"ns": h.ns, "host": h.host, "metrics": metrics, "generation": "1"}
	h.create(t, "Rollout", "Deployment")
	h.know(t)
	h.create(t)
	within(t, time.Minute, func() error { return h.up(t) })
	for _, kind := range []string{"VirtualService", "HTTPRoute"} {
		for _, u := range h.objects(t) {
			if u.GetKind() == kind {
				followed(t, h.host, u)
			}
		}
	}
	within(t, 20*time.Second, func() error { return answered(t, h.host, 40) })
	h.date(t)
	return h
}

// answered wants requests in a row to be answered: the gateway learns of pods in its own time.
func answered(t *testing.T, host string, n int) error {
	t.Helper()
	for range n {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, shared.Gateway().URL(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		answer.Body.Close() //nolint:errcheck // only the status is read
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("the gateway answers %s", answer.Status)
		}
	}
	return nil
}

// objects are those of the file, with what is known by now.
func (h *heir) objects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objects, err := cluster.Decode([]byte(os.Expand(h.text, func(name string) string {
		kind, value, timed := strings.Cut(name, ":")
		if !timed {
			return h.known[name]
		}
		d, err := time.ParseDuration(value)
		if err != nil {
			t.Fatal(err)
		}
		if kind == "ago" {
			d = -d
		}
		return time.Now().Add(d).UTC().Format(time.RFC3339)
	})))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range objects {
		u.SetNamespace(h.ns)
		if k := u.GetKind(); k == "Rollout" || k == "AnalysisRun" {
			u.SetLabels(merged(u.GetLabels(), v1alpha1.InstanceIDLabel, elsewhere))
		}
	}
	return objects
}

func merged(m map[string]string, k, v string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[k] = v
	return m
}

// create makes the objects of some kinds, or of all others.
func (h *heir) create(t *testing.T, kinds ...string) {
	t.Helper()
	first := map[string]bool{"Rollout": true, "Deployment": true}
	for _, u := range h.objects(t) {
		if first[u.GetKind()] != (len(kinds) > 0) {
			continue
		}
		if err := shared.Client().Create(t.Context(), u); err != nil {
			t.Fatalf("%s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}
}

// know learns the UID, and the hashes from the templates as the API server has them.
func (h *heir) know(t *testing.T) {
	t.Helper()
	ro := rollout(t, h.ns, "web")
	h.known["uid"] = string(ro.UID)
	template := &ro.Spec.Template
	if ro.Spec.WorkloadRef != nil {
		d := &appsv1.Deployment{}
		if err := shared.Client().Get(t.Context(), client.ObjectKeyFromObject(ro), d); err != nil {
			t.Fatal(err)
		}
		template = &d.Spec.Template
	}
	if c := ro.Spec.Strategy.Canary; c != nil {
		h.known["steps"] = v1alpha1.StepHash(c.Steps)
	}
	h.known["new"] = v1alpha1.PodTemplateHash(template, h.status(t).CollisionCount)
	template.Spec.Containers[0].Image = "penstock/demo:v1"
	h.known["old"] = v1alpha1.PodTemplateHash(template, nil)
}

// status is that of the Rollout in the file.
func (h *heir) status(t *testing.T) v1alpha1.RolloutStatus {
	t.Helper()
	ro := &v1alpha1.Rollout{}
	for _, u := range h.objects(t) {
		if u.GetKind() != "Rollout" {
			continue
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, ro); err != nil {
			t.Fatal(err)
		}
	}
	return ro.Status
}

// sets are the ReplicaSets by hash.
func (h *heir) sets(t *testing.T) map[string]*appsv1.ReplicaSet {
	t.Helper()
	list := &appsv1.ReplicaSetList{}
	if err := shared.Client().List(t.Context(), list, client.InNamespace(h.ns), client.HasLabels{v1alpha1.PodTemplateHashLabel}); err != nil {
		t.Fatal(err)
	}
	all := map[string]*appsv1.ReplicaSet{}
	for i := range list.Items {
		all[list.Items[i].Labels[v1alpha1.PodTemplateHashLabel]] = &list.Items[i]
	}
	return all
}

func (h *heir) up(t *testing.T) error {
	for hash, rs := range h.sets(t) {
		if rs.Status.AvailableReplicas != *rs.Spec.Replicas || rs.Status.Replicas != *rs.Spec.Replicas {
			return fmt.Errorf("revision %s has %d pods, %d available, of %d", hash, rs.Status.Replicas, rs.Status.AvailableReplicas, *rs.Spec.Replicas)
		}
	}
	return nil
}

// date writes the Rollout's status, and what else tells a time, as of now.
func (h *heir) date(t *testing.T) {
	t.Helper()
	for _, u := range h.objects(t) {
		if u.GetKind() == "ReplicaSet" {
			body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": u.GetAnnotations()}})
			if err != nil {
				t.Fatal(err)
			}
			if err := patch(t, &appsv1.ReplicaSet{}, h.ns, u.GetName(), string(body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	ro := rollout(t, h.ns, "web")
	ro.Status = h.status(t)
	if err := shared.Client().Status().Update(t.Context(), ro); err != nil {
		t.Fatal(err)
	}
}

// hand gives the Rollout and its runs to our controller, or takes them away.
func (h *heir) hand(t *testing.T, over bool) {
	t.Helper()
	body := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, v1alpha1.InstanceIDLabel, elsewhere)
	if over {
		body = fmt.Sprintf(`{"metadata":{"labels":{%q:null}}}`, v1alpha1.InstanceIDLabel)
	}
	for _, run := range h.runs(t) {
		if err := patch(t, &v1alpha1.AnalysisRun{}, h.ns, run.Name, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := patch(t, &v1alpha1.Rollout{}, h.ns, "web", body); err != nil {
		t.Fatal(err)
	}
}

func (h *heir) runs(t *testing.T) []v1alpha1.AnalysisRun {
	t.Helper()
	list := &v1alpha1.AnalysisRunList{}
	if err := shared.Client().List(t.Context(), list, client.InNamespace(h.ns)); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// taken waits until our controller has written a status.
func (h *heir) taken(t *testing.T) {
	t.Helper()
	within(t, 30*time.Second, func() error {
		if rollout(t, h.ns, "web").Status.Reached == 0 {
			return fmt.Errorf("rollout %s/web is not taken over", h.ns)
		}
		return nil
	})
}

// still is what may not change while nothing moves: of each object the version, or where
// others write its status what only writes of the rest change.
func (h *heir) still(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, kind := range []string{"v1 Pod", "v1 Service", "apps/v1 ReplicaSet", "apps/v1 Deployment", "argoproj.io/v1alpha1 AnalysisRun",
		"networking.istio.io/v1 VirtualService", "networking.istio.io/v1 DestinationRule", "gateway.networking.k8s.io/v1 HTTPRoute"} {
		version, name, _ := strings.Cut(kind, " ")
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(version)
		list.SetKind(name + "List")
		if err := shared.Client().List(t.Context(), list, client.InNamespace(h.ns)); err != nil && !meta.IsNoMatchError(err) {
			t.Fatal(err)
		}
		for _, u := range list.Items {
			state := u.GetResourceVersion()
			switch name {
			case "Pod", "AnalysisRun":
				state = fmt.Sprint(u.GetUID(), u.GetDeletionTimestamp() != nil)
			case "ReplicaSet", "HTTPRoute", "Deployment":
				state = fmt.Sprint(u.GetUID(), u.GetGeneration(), u.GetAnnotations(), u.GetLabels())
			}
			all[name+" "+u.GetName()] = state
		}
	}
	return all
}

// patience is how long a user waits for an answer.
const patience = 20 * time.Second

// users send requests to a host until the test ends or they are called off.
type users struct {
	host      string
	generator *load.Generator
	stop      func()
}

func newUsers(t *testing.T, host string) *users {
	t.Helper()
	g, err := load.New(load.Options{URL: shared.Gateway().URL(), Host: host, RatePerSecond: 50, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { g.Run(ctx) })
	u := &users{host, g, func() { cancel(); running.Wait() }}
	t.Cleanup(u.stop)
	return u
}

// answers waits for so many more answers.
func (u *users) answers(t *testing.T, n uint64) {
	t.Helper()
	before := u.generator.Snapshot().OK
	within(t, time.Minute, func() error {
		if now := u.generator.Snapshot().OK; now < before+n {
			return fmt.Errorf("%d answers of %d", now-before, n)
		}
		return nil
	})
}

// served ends the requests and wants them all answered.
func (u *users) served(t *testing.T) load.Report {
	t.Helper()
	u.stop()
	r := u.generator.Snapshot()
	if r.Failed != 0 || r.OK == 0 {
		t.Errorf("%d of %d requests failed: %v", r.Failed, r.Sent, r.ByStatus)
		for k, n := range shared.Gateway().Stats() {
			if k.Host == u.host && k.Class != "2xx" {
				t.Errorf("%d times %+v", n, k)
			}
		}
	}
	return r
}
