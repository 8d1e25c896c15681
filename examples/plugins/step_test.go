package plugins_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
	"github.com/penstock-io/penstock/internal/step"
	stepplugin "github.com/penstock-io/penstock/internal/step/plugin"
)

func TestTheStepWaitsForItsJob(t *testing.T) {
	path, sum := program(t, "step")
	p := stepplugin.New(host(t, plugin.Step, entry("shop/job", "file://"+path, sum)))
	status := "running"
	var asked []string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Idempotency-Key")+" "+string(body)))
		fmt.Fprintf(w, `{"id":"7","status":%q,"message":"so %[1]s"}`, status)
	})
	ro := manifest[v1alpha1.Rollout](t, "step/rollout.yaml")
	ro.ObjectMeta = metav1.ObjectMeta{Name: ro.Name, UID: "uid"}
	ro.Status.CurrentPodHash = "hash"
	config := strings.ReplaceAll(string(ro.Spec.Strategy.Canary.Steps[1].Plugin.Config), "http://compare", url)
	call := step.Call{Rollout: ro, Index: 1, Name: ro.Spec.Strategy.Canary.Steps[1].Plugin.Name, Config: json.RawMessage(config)}
	memory := json.RawMessage(`{"id":"7"}`)
	for _, c := range []struct {
		when      string
		operation v1alpha1.StepPluginOperation
		status    string
		want      step.Reply
		asks      string
	}{
		{"it begins", "Run", "running", step.Reply{Phase: "Running", Message: "so running", RequeueAfter: 20 * time.Second, State: memory}, `POST /jobs uid/hash/1 {"sample":1000}`},
		{"it goes on", "Run", "running", step.Reply{Phase: "Running", Message: "so running", RequeueAfter: 20 * time.Second, State: memory}, "GET /jobs/7"},
		{"it is done", "Run", "done", step.Reply{Phase: "Successful", Message: "so done", RequeueAfter: 20 * time.Second, State: memory}, "GET /jobs/7"},
		{"it fails", "Run", "failed", step.Reply{Phase: "Failed", Message: "so failed", RequeueAfter: 20 * time.Second, State: memory}, "GET /jobs/7"},
		{"the rest is left out", "Terminate", "running", step.Reply{Phase: "Successful", Message: "job ended", State: memory}, "DELETE /jobs/7"},
		{"the update is taken back", "Abort", "running", step.Reply{Phase: "Successful", Message: "job ended", State: memory}, "DELETE /jobs/7"},
	} {
		status, asked, call.Operation = c.status, nil, c.operation
		got, err := p.Call(t.Context(), call)
		if d := cmp.Diff(c.want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", c.when, err, d)
		}
		if d := cmp.Diff([]string{c.asks}, asked); d != "" {
			t.Errorf("%s: %s", c.when, d)
		}
		call.State = memory
	}
	status, call.Operation = "odd", "Run"
	if _, err := p.Call(t.Context(), call); err == nil || err.Error() != `plugin shop/job: job 7 has the status "odd", which is none of running, done and failed` {
		t.Errorf("got %v", err)
	}
	call.Config = json.RawMessage(`{"url":"` + url + `","pollSeconds":-1}`)
	if _, err := p.Call(t.Context(), call); err == nil || err.Error() != "plugin shop/job: the configuration cannot be used: spec.strategy.canary.steps[1].plugin.config.pollSeconds: want a number of seconds" {
		t.Errorf("got %v", err)
	}
}
