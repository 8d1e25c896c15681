package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/config"
	"github.com/penstock-io/penstock/internal/notify"
	"github.com/penstock-io/penstock/sandbox/cluster"
)

// letter is a request that a webhook got.
type letter struct{ path, key, auth, body string }

// letterBox is a webhook, and PagerDuty.
type letterBox struct {
	*httptest.Server
	mu   sync.Mutex
	got  []letter
	shut bool // answers 503
}

func newLetterBox(t *testing.T) *letterBox {
	b := &letterBox{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.shut {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		b.got = append(b.got, letter{r.URL.Path, r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"), string(body)})
		if strings.HasSuffix(r.URL.Path, "/v2/enqueue") {
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"status":"success"}`)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *letterBox) close(shut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shut = shut
}

// about are the letters whose body names something.
func (b *letterBox) about(text string) (all []letter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.got {
		if strings.Contains(l.body, text) {
			all = append(all, l)
		}
	}
	return all
}

// told waits for exactly one letter about a text on a path.
func (b *letterBox) told(t *testing.T, ns, path, text string) (found letter) {
	t.Helper()
	within(t, 30*time.Second, func() error {
		n := 0
		for _, l := range b.about(text) {
			if l.path == path {
				found, n = l, n+1
			}
		}
		if n != 1 {
			return fmt.Errorf("%d letters to %s say %q: %v, still to be sent: %+v", n, path, text, b.about(""), rollout(t, ns, "web").Status.Notifications)
		}
		return nil
	})
	return found
}

// configure gives the controller what is shipped, and services that lead here.
func configure(t *testing.T, b *letterBox) {
	t.Helper()
	objects, err := cluster.DecodeFiles(config.Notifications, "notifications")
	if err != nil {
		t.Fatal(err)
	}
	data := map[string]any{
		"service.webhook.ci":  "url: " + b.URL + "/ci/$path\nheaders: [{name: Authorization, value: Bearer $token}]",
		"service.pagerdutyv2": "url: " + b.URL + "/pager\nserviceKeys: {web: $token}",
		"trigger.is-degraded": "- when: rollout.status.phase == 'Degraded'\n  oncePer: rollout.metadata.name\n  send: [is-degraded]",
		"template.broken":     "message: \"{{.rollout\"",
		"template.raw":        "message: x\nwebhook: {ci: {method: POST, path: raw, body: '{{.rollout.metadata.namespace}} step {{.rollout.status.currentStepIndex}} phase {{.rollout.status.phase}} {{.event}}'}}",
	}
	objects[0].Object["data"].(map[string]any)["trigger.on-rollout-step-completed"] = "- send: [raw]"
	for k, v := range data {
		objects[0].Object["data"].(map[string]any)[k] = v
	}
	if err := shared.Apply(t.Context(), cluster.SystemNamespace, objects...); err != nil {
		t.Fatal(err)
	}
	apply(t, cluster.SystemNamespace, `
apiVersion: v1
kind: Secret
metadata: {name: `+notify.SecretName+`}
stringData: {token: s3cret-token, path: hidden-path}
---
apiVersion: notifications.argoproj.io/v1alpha1
kind: NotificationTemplate
metadata: {name: is-degraded}
spec:
  message: "{{.rollout.metadata.namespace}} is degraded: {{(index .analysisRun.status.metricResults 0).name}}"
`)
}

// TestPeopleAreTold: by the events of a release, by the state that it ends in, each once, and of
// the object as it is then; a service that is away gets its messages later, and a subscription that
// leads nowhere is said where people look.
func TestPeopleAreTold(t *testing.T) {
	ns, j, b := space(t), newJudge(t), newLetterBox(t)
	configure(t, b)
	const on = "notifications.argoproj.io/subscribe."
	app := strings.Replace(web(`
    canary:
      stableService: web-stable
      canaryService: web-canary
      trafficRouting: {istio: {virtualService: {name: web, routes: [primary]}}}
      analysis: {startingStep: 2, templates: [{templateName: errors}]}
      steps: [{setWeight: 25}, {pause: {}}, {setWeight: 50}, {pause: {duration: 1h}}]
`), "metadata: {name: web}", `metadata:
  name: web
  annotations:
    `+on+`on-rollout-step-completed.ci: ""
    `+on+`on-analysis-run-failed.ci: ""
    `+on+`on-analysis-run-failed.pagerdutyv2: web
    `+on+`is-degraded.ci: ""
    `+on+`on-rollout-aborted.nobody: web
    link.argocd.argoproj.io/runbook: https://runbooks.example.com/web`, 1)
	apply(t, ns, strings.TrimPrefix(services, "\n---")+fmt.Sprintf(istioRoute, ns)+j.template())
	apply(t, ns, gentle.Replace(app))
	await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	within(t, 30*time.Second, func() error {
		if text := why(t, ns); !strings.Contains(text, `on-rollout-aborted.nobody: there is no service "nobody"; there are ci, pagerdutyv2`) {
			return errors.New(text)
		}
		return nil
	})
	setImage(t, ns, "web", "penstock/demo:v2")
	await(t, ns, "web", time.Minute, atStep(1))
	if l := b.told(t, ns, "/ci/hidden-path/raw", ns+" step 1 phase"); l.key == "" || l.auth != "Bearer s3cret-token" {
		t.Errorf("the request has %+v", l)
	}
	b.close(true)
	resume(t, ns, "web")
	await(t, ns, "web", time.Minute, atStep(3))
	j.percent.Store(9)
	await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseDegraded))
	within(t, 30*time.Second, func() error {
		for _, p := range rollout(t, ns, "web").Status.Notifications.Pending {
			if strings.HasPrefix(p.Failure, "the service answers 503") {
				return nil
			}
		}
		return errors.New("the status does not say that a message could not be sent")
	})
	if text := why(t, ns); !strings.Contains(text, "ci has not been told of on-") || !strings.Contains(text, "503") {
		t.Errorf("why says:\n%s", text)
	}
	b.close(false)
	failed := b.told(t, ns, "/ci/hidden-path", "The analysis of rollout web has failed. metric errors failed: measured 9, ")
	for _, want := range []string{"kubectl penstock why web -n " + ns, "runbook: https://runbooks.example.com/web"} {
		if !strings.Contains(failed.body, want) {
			t.Errorf("%q is not in %q", want, failed.body)
		}
	}
	b.told(t, ns, "/ci/hidden-path", ns+" is degraded: errors")
	var page struct {
		RoutingKey string `json:"routing_key"`
		Action     string `json:"event_action"`
		DedupKey   string `json:"dedup_key"`
		Payload    struct{ Summary, Severity, Source string }
	}
	sent := b.told(t, ns, "/pager/v2/enqueue", `"source":"`+ns+`/web"`)
	if err := json.Unmarshal([]byte(sent.body), &page); err != nil || page.RoutingKey != "s3cret-token" || page.Action != "trigger" || page.DedupKey == "" ||
		page.Payload.Severity != "error" || !strings.Contains(page.Payload.Summary, "measured 9") {
		t.Errorf("the page is %s: %v", sent.body, err)
	}
	within(t, 30*time.Second, func() error {
		if st := rollout(t, ns, "web").Status.Notifications; len(st.Pending) > 0 {
			return fmt.Errorf("still pending: %+v", st.Pending)
		}
		return nil
	})
}
