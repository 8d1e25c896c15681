package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// judged is a canary with one step: a Job that runs a script.
func judged(script, image string) string {
	return web(`{canary: {steps: [{setWeight: 50}, {analysis: {templates: [{templateName: smoke}]}}]}}`) + fmt.Sprintf(`
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: smoke}
spec:
  metrics:
  - name: smoke-test
    provider:
      job:
        spec:
          backoffLimit: 0
          template:
            spec:
              restartPolicy: Never
              containers: [{name: test, image: %q, command: [sh, -c, %q]}]
`, image, script)
}

// Covers: analysis edge 108, analysis edge 109.
func TestAJobDecidesAboutARelease(t *testing.T) {
	for name, c := range map[string]struct {
		script, image string
		phase         v1alpha1.RolloutPhase
		message       string
	}{
		"a Job that passes":      {"sleep 1; exit 0", "shop/smoke:v1", v1alpha1.RolloutPhaseHealthy, ""},
		"a Job that fails":       {"exit 3", "shop/smoke:v1", v1alpha1.RolloutPhaseDegraded, `Step-based analysis phase error/failed: Metric "smoke-test" assessed Failed due to failed (1) > failureLimit (0)`},
		"an image that is wrong": {"exit 0", "shop/smoke:bad", v1alpha1.RolloutPhasePaused, "InconclusiveAnalysisRun"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := space(t)
			apply(t, ns, judged(c.script, c.image))
			await(t, ns, "web", 60*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
			setImage(t, ns, "web", "penstock/demo:v2")
			r := await(t, ns, "web", 90*time.Second, func(r *v1alpha1.Rollout) error {
				if r.Status.StableRS == r.Status.CurrentPodHash && c.phase != v1alpha1.RolloutPhaseHealthy {
					return fmt.Errorf("%s is stable", r.Status.StableRS)
				}
				return inPhase(c.phase)(r)
			})
			if !strings.Contains(r.Status.Message, c.message) {
				t.Errorf("message %q, want %q", r.Status.Message, c.message)
			}
			jobs := &batchv1.JobList{}
			if err := shared.Client().List(t.Context(), jobs, client.InNamespace(ns)); err != nil {
				t.Fatal(err)
			}
			for i := range jobs.Items {
				if o := jobs.Items[i].OwnerReferences; len(o) != 1 || o[0].Kind != "AnalysisRun" {
					t.Errorf("job %s belongs to %v", jobs.Items[i].Name, o)
				}
			}
			if len(jobs.Items) != 1 {
				t.Errorf("%d Jobs, want 1", len(jobs.Items))
			}
		})
	}
}
