package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/app"
	"github.com/penstock-io/penstock/internal/cli"
)

// why runs the command as a person would.
func why(t *testing.T, ns string) string {
	t.Helper()
	var out, errs bytes.Buffer
	code := cli.Run(t.Context(), cli.Options{Args: []string{"kubectl-penstock", "why", "web", "-n", ns, "--kubeconfig", shared.Kubeconfig()}, Out: &out, Err: &errs, Look: app.Look})
	if code != 0 || errs.Len() > 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	return out.String()
}

// What a controller waits for is told by a look at the same facts, without asking it.
func TestWhySaysWhatARolloutWaitsFor(t *testing.T) {
	t.Parallel()
	ns, j := space(t), newJudge(t)
	apply(t, ns, gentle.Replace(web(`
    canary:
      stableService: web-stable
      canaryService: web-canary
      trafficRouting: {istio: {virtualService: {name: web, routes: [primary]}}}
      analysis: {startingStep: 2, templates: [{templateName: errors}]}
      steps: [{setWeight: 25}, {pause: {}}, {setWeight: 50}, {pause: {duration: 1h}}]
`))+services+fmt.Sprintf(istioRoute, ns)+j.template())
	says := func(want ...string) {
		t.Helper()
		within(t, 30*time.Second, func() error {
			text := why(t, ns)
			for _, w := range want {
				if !strings.Contains(text, w) {
					return fmt.Errorf("%q is missing:\n%s", w, text)
				}
			}
			return nil
		})
	}
	await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	says(ns+"/web  ✔ Healthy", "It waits for nothing.")
	setImage(t, ns, "web", "penstock/demo:v2")
	await(t, ns, "web", time.Minute, atStep(1))
	says("॥ Paused  CanaryPauseStep", "At step 2 of 4: pause", "a person    NeedsApproval:", "`kubectl penstock promote web`", "What led there", "RolloutPaused")
	resume(t, ns, "web")
	await(t, ns, "web", time.Minute, atStep(3))
	says("At step 4 of 4: pause", "the clock   PauseElapsing: the step pauses until")
	j.percent.Store(9)
	await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseDegraded))
	says("✖ Degraded  RolloutAborted:", "Judged against it", "Failed: Metric \"errors\"", "measured ", "Warning  RolloutAborted")
}
