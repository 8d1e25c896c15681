package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Each namespace is taken over from the published controller: nothing moves, and it goes
// on from where it stands. Users notice nothing of either.
func TestTakingOverInTheMiddleOfARelease(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(formerDir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no namespaces in %s: %v", formerDir, err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := inherit(t, name, newJudge(t).URL)
			users := newUsers(t, h.host)
			users.answers(t, 50)
			before, status := h.still(t), rollout(t, h.ns, "web").Status
			h.hand(t, true)
			h.taken(t)
			users.answers(t, 250) // longer than any data plane takes to settle
			h.unmoved(t, before, status)
			h.goOn(t, name, status)
			report := users.served(t)
			t.Logf("%d requests, %v", report.Sent, report.ByVersion)
		})
	}
}

// unmoved wants everything to be as it was.
func (h *heir) unmoved(t *testing.T, before map[string]string, status v1alpha1.RolloutStatus) {
	t.Helper()
	if d := cmp.Diff(before, h.still(t)); d != "" {
		t.Errorf("objects (-before +after):\n%s", d)
	}
	if status.Abort { // the Service leads to stable already, and that is what we record
		status.Canary.Weights.Canary.PodTemplateHash = status.StableRS
	}
	own := cmpopts.IgnoreFields(v1alpha1.RolloutStatus{}, "Reached")
	if d := cmp.Diff(status, rollout(t, h.ns, "web").Status, own, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("status (-before +after):\n%s", d)
	}
}

// goOn lets the release end.
func (h *heir) goOn(t *testing.T, name string, status v1alpha1.RolloutStatus) {
	t.Helper()
	switch name {
	case "timed-pause":
		end := status.PauseConditions[0].StartTime.Add(time.Minute)
		await(t, h.ns, "web", 90*time.Second, func(r *v1alpha1.Rollout) error {
			if *r.Status.CurrentStepIndex == 1 {
				return fmt.Errorf("it is still paused, %v after the end", time.Since(end))
			}
			return nil
		})
		if early := time.Until(end); early > 0 {
			t.Errorf("the pause ended %v too early", early)
		}
	case "aborted", "bluegreen-after-promotion":
		h.retires(t)
		if name == "aborted" {
			if err := inPhase(v1alpha1.RolloutPhaseDegraded)(rollout(t, h.ns, "web")); err != nil {
				t.Error(err)
			}
			return
		}
	case "background-analysis":
		h.measures(t)
		resume(t, h.ns, "web")
	default:
		resume(t, h.ns, "web")
	}
	await(t, h.ns, "web", 90*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	if seen := send(t, h.host, 20); seen["v2"] != 20 {
		t.Errorf("after the promotion the versions answer %v", seen)
	}
}

// retires waits for the deadline of a revision: its pods go then, not before.
func (h *heir) retires(t *testing.T) {
	t.Helper()
	for hash, rs := range h.sets(t) {
		text := rs.Annotations[v1alpha1.ScaleDownDeadlineAnnotation]
		if text == "" {
			continue
		}
		deadline, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		within(t, 90*time.Second, func() error {
			if n := *h.sets(t)[hash].Spec.Replicas; n != 0 {
				return fmt.Errorf("revision %s still has %d pods", hash, n)
			}
			return nil
		})
		if early := time.Until(deadline); early > 0 {
			t.Errorf("revision %s lost its pods %v before its deadline", hash, early)
		}
		return
	}
	t.Error("no revision has a deadline")
}

// measures wants the run that was inherited to go on, and no other.
func (h *heir) measures(t *testing.T) {
	t.Helper()
	within(t, 30*time.Second, func() error {
		runs := h.runs(t)
		if len(runs) != 1 {
			t.Fatalf("%d runs, want the one that was there", len(runs))
		}
		if s := runs[0].Status; s.Phase != v1alpha1.AnalysisPhaseRunning || s.MetricResults[0].Successful < 4 {
			return fmt.Errorf("the run is %s after %d measurements", s.Phase, s.MetricResults[0].Successful)
		}
		return nil
	})
}

// Our controller is the one that leaves, and comes back. In between the Rollout has another
// instance id, so it is nobody's; whoever wrote its status meanwhile, as the published
// controller does now and then, dropped the field that only ours knows.
func TestHandingBackAndTakingOverAgain(t *testing.T) {
	t.Parallel()
	h := &heir{ns: space(t)}
	h.host = h.ns + ".example"
	apply(t, h.ns, web(istioStrategy)+services+fmt.Sprintf(istioRoute, h.ns))
	await(t, h.ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	users := newUsers(t, h.host)
	setImage(t, h.ns, "web", "penstock/demo:v2")
	status := await(t, h.ns, "web", 60*time.Second, atStep(1)).Status
	users.answers(t, 200) // what follows the step has been written
	before := h.still(t)
	h.hand(t, false)
	r := rollout(t, h.ns, "web")
	if err := shared.Client().Status().Patch(t.Context(), r, client.RawPatch(types.MergePatchType, []byte(`{"status":{"reached":null}}`))); err != nil {
		t.Fatal(err)
	}
	users.answers(t, 250)
	h.unmoved(t, before, status)
	if r := rollout(t, h.ns, "web"); r.Status.Reached != 0 || len(r.Finalizers) != 0 {
		t.Errorf("our controller still writes: reached %d, finalizers %v", r.Status.Reached, r.Finalizers)
	}
	h.hand(t, true)
	h.taken(t)
	users.answers(t, 250)
	h.unmoved(t, before, status)
	h.goOn(t, "", status)
	users.served(t)
}

// Nothing of ours holds up a deletion without us, except where we took the pods of a
// referenced Deployment; docs/upgrade.md says how to give that up.
func TestDeletingWhatWasHandedBack(t *testing.T) {
	t.Parallel()
	for name, finalizers := range map[string]int{"scaleDown: never": 0, "scaleDown: onsuccess": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &heir{ns: space(t)}
			apply(t, h.ns, referring(name))
			await(t, h.ns, "web", 60*time.Second, func(r *v1alpha1.Rollout) error {
				if len(r.Finalizers) != finalizers {
					return fmt.Errorf("finalizers %v, want %d", r.Finalizers, finalizers)
				}
				return inPhase(v1alpha1.RolloutPhaseHealthy)(r)
			})
			h.hand(t, false)
			r := rollout(t, h.ns, "web")
			if err := shared.Client().Delete(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if finalizers > 0 {
				body := `[{"op":"test","path":"/metadata/finalizers/0","value":"penstock.io/workload"},{"op":"remove","path":"/metadata/finalizers/0"}]`
				if err := shared.Client().Patch(t.Context(), r, client.RawPatch(types.JSONPatchType, []byte(body))); err != nil {
					t.Fatal(err)
				}
			}
			within(t, 20*time.Second, func() error {
				err := shared.Client().Get(t.Context(), client.ObjectKeyFromObject(r), &v1alpha1.Rollout{})
				if !apierrors.IsNotFound(err) {
					return fmt.Errorf("the Rollout is still there: %v", err)
				}
				return nil
			})
		})
	}
}

// referring is a Rollout of a Deployment's pod template, with that Deployment.
func referring(scaleDown string) string {
	return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: "penstock/demo:v1", ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: 2
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web, ` + scaleDown + `}
  strategy: {canary: {}}
`
}
