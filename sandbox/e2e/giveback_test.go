package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/cluster"
)

// TestRoutesAreGivenBackToGitOps: while a release runs, the VirtualService that Argo CD made
// has an entry of ours in managedFields, and afterwards it has none, so that what changes in
// Git shows again. Without a GitOps tool nothing is written for that.
// Covers: outage 113.
func TestRoutesAreGivenBackToGitOps(t *testing.T) {
	t.Parallel()
	b := guardable["Istio"]
	for manager, gives := range map[string]bool{"argocd-controller": true, "kubectl-create": false} {
		t.Run(manager, func(t *testing.T) {
			t.Parallel()
			ns := space(t)
			routes, err := cluster.Decode([]byte(b.manifests))
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range routes {
				o.SetNamespace(ns)
				if err := shared.Client().Create(t.Context(), o, client.FieldOwner(manager)); err != nil {
					t.Fatal(err)
				}
			}
			apply(t, ns, web("\n    canary:\n      stableService: web-stable\n      canaryService: web-canary\n      trafficRouting: {"+b.section+
				"}\n      steps: [{setWeight: 20}, {pause: {}}]\n")+services)
			ours := func(want bool) error {
				u := object(b.group, b.version, b.kind)
				if err := shared.Client().Get(t.Context(), types.NamespacedName{Namespace: ns, Name: b.name}, u); err != nil {
					return err
				}
				has := slices.ContainsFunc(u.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == "rollouts-controller" })
				if has != want {
					return fmt.Errorf("an entry of ours: %v, in %v", has, u.GetManagedFields())
				}
				if b.weight(u) == "" {
					return errors.New("no weight")
				}
				return nil
			}
			await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
			setImage(t, ns, "web", "penstock/demo:v2")
			await(t, ns, "web", 30*time.Second, atStep(1))
			if err := ours(true); err != nil {
				t.Error(err)
			}
			ro := rollout(t, ns, "web")
			if err := shared.Client().Status().Patch(t.Context(), ro, client.RawPatch(types.MergePatchType, []byte(`{"status":{"promoteFull":true}}`))); err != nil {
				t.Fatal(err)
			}
			await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
			b.reads(t, ns, "0", 20*time.Second)
			if gives {
				within(t, 20*time.Second, func() error { return ours(false) })
			} else if err := ours(true); err != nil {
				t.Error(err)
			}
		})
	}
}
