package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// judge answers a web metric: errors in percent, which a test may raise.
type judge struct {
	*httptest.Server
	percent atomic.Int64
	// failed is when the first bad answer was given, in nanoseconds since 1970.
	failed atomic.Int64
}

func newJudge(t *testing.T) *judge {
	j := &judge{}
	j.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		percent := j.percent.Load()
		if percent > 5 {
			j.failed.CompareAndSwap(0, time.Now().UnixNano())
		}
		fmt.Fprintf(w, `{"percent":%d}`, percent)
	}))
	t.Cleanup(j.Close)
	return j
}

func (j *judge) template() string {
	return `
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  metrics:
  - name: errors
    interval: 1s
    count: 600
    failureCondition: result > 5
    provider: {web: {url: "` + j.URL + `", jsonPath: "{$.percent}"}}
`
}

// activeHash is the revision that a Service selects.
func serviceHash(t *testing.T, ns, name string) string {
	t.Helper()
	svc := &corev1.Service{}
	if err := shared.Client().Get(t.Context(), types.NamespacedName{Namespace: ns, Name: name}, svc); err != nil {
		t.Fatal(err)
	}
	return svc.Spec.Selector[v1alpha1.PodTemplateHashLabel]
}

// blueGreen is web as blue-green behind a host of the gateway.
func blueGreen(host, settings string) string {
	return web(`
    blueGreen:
      activeService: web-stable
      previewService: web-canary
`+settings) + services + `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gateway}]
  hostnames: [` + host + `]
  rules:
  - backendRefs: [{name: web-stable, port: 80, weight: 1}]
`
}

// A failing analysis after the cutover brings users back to the old pods in under a second;
// the way back then stays open for the scale-down delay.
//
// Covers: edge 109, edge 119, defect 1.
func TestAFailingPostPromotionAnalysisGoesBackAtOnce(t *testing.T) {
	t.Parallel()
	ns, j := space(t), newJudge(t)
	host := ns + ".active.example"
	apply(t, ns, blueGreen(host, `
      autoPromotionEnabled: false
      scaleDownDelaySeconds: 1800
      postPromotionAnalysis: {templates: [{templateName: errors}]}
`)+j.template())
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	old := serviceHash(t, ns, "web-stable")
	setImage(t, ns, "web", "penstock/demo:v2")
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhasePaused))
	if got := serviceHash(t, ns, "web-stable"); got != old {
		t.Fatalf("the active service went to %s before anybody promoted", got)
	}
	resume(t, ns, "web")
	within(t, 30*time.Second, func() error {
		if run := rollout(t, ns, "web").Status.BlueGreen.PostPromotionAnalysisRunStatus; run == nil || run.Status != v1alpha1.AnalysisPhaseRunning {
			return fmt.Errorf("the analysis is %+v", run)
		}
		return nil
	})
	if seen := send(t, host, 20); seen["v2"] != 20 {
		t.Fatalf("after the cutover the versions answer %v", seen)
	}
	j.percent.Store(9)
	within(t, 20*time.Second, func() error {
		if got := serviceHash(t, ns, "web-stable"); got != old {
			return fmt.Errorf("the active service is at %s, want %s", got, old)
		}
		return nil
	})
	back := time.Now()
	t.Logf("the active service was back %v after the first bad answer", back.Sub(time.Unix(0, j.failed.Load())))
	within(t, 5*time.Second, func() error {
		if seen := send(t, host, 10); seen["v1"] != 10 {
			return fmt.Errorf("the versions answer %v", seen)
		}
		return nil
	})
	if late := back.Sub(time.Unix(0, j.failed.Load())); late > 5*time.Second {
		t.Errorf("users stayed on the bad version for %v", late)
	}
	await(t, ns, "web", 10*time.Second, inPhase(v1alpha1.RolloutPhaseDegraded))
}

// Covers: edge 119.
func TestTheWayBackStaysOpenForTheScaleDownDelay(t *testing.T) {
	t.Parallel()
	ns := space(t)
	host := ns + ".active.example"
	apply(t, ns, blueGreen(host, `
      scaleDownDelaySeconds: 1800
`))
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	setImage(t, ns, "web", "penstock/demo:v2")
	await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	within(t, 5*time.Second, func() error {
		if seen := send(t, host, 10); seen["v2"] != 10 {
			return fmt.Errorf("the versions answer %v", seen)
		}
		return nil
	})
	began := time.Now()
	setImage(t, ns, "web", "penstock/demo:v1")
	await(t, ns, "web", 10*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	t.Logf("back on pods that still stood after %v", time.Since(began))
	within(t, 5*time.Second, func() error {
		if seen := send(t, host, 10); seen["v1"] != 10 {
			return fmt.Errorf("the versions answer %v", seen)
		}
		return nil
	})
}
