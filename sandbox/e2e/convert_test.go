package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What convert prints of a live application takes the Deployment's place as it is.
func TestAConvertedDeploymentReleases(t *testing.T) {
	t.Parallel()
	d := newDeployed(t)
	p := person{d.ns}
	var manifests string
	within(t, time.Minute, func() error { // until the Prometheus has seen requests
		out, errs, code := p.types(t, "", "convert deployment web --prometheus "+shared.PrometheusURL())
		for _, w := range []string{"kind: Rollout\n", "kind: HTTPRoute\n", "name: web-canary\n", "kind: AnalysisTemplate\n", "http_requests_total{service="} {
			if code != 0 || !strings.Contains(out, w) {
				return fmt.Errorf("exit code %d, %q is missing in\n%s%s", code, w, out, errs)
			}
		}
		manifests = out
		return nil
	})
	for _, w := range []string{"{}", "dnsPolicy", "maxSurge"} {
		if strings.Contains(manifests, w) {
			t.Errorf("it says %s, which is the default:\n%s", w, manifests)
		}
	}
	p.gives(t, manifests, "lint -f -")
	if err := shared.Client().Delete(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: d.ns, Name: "web"}}); err != nil {
		t.Fatal(err)
	}
	apply(t, d.ns, manifests)
	p.gets(t, "status web --timeout 1m", "Healthy\n")
	p.gets(t, "set image web app=penstock/demo:v2", "rollout \"web\" image updated\n")
	p.gets(t, "status web --for paused --timeout 1m", "Paused - CanaryPauseStep\n")
	p.gets(t, "get rollout web", "  SetWeight:     5\n", "  ActualWeight:  5\n", "α web-")
	p.gets(t, "promote web --full")
	p.gets(t, "status web --timeout 1m", "Healthy\n")
	d.users.answers(t, 20)
}
