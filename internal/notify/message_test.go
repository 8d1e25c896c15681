package notify

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// subject is an aborted Rollout with its runs.
func subject() Subject {
	run := func(name string, age time.Duration, phase v1alpha1.AnalysisPhase, message string) *v1alpha1.AnalysisRun {
		r := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age))}}
		r.Status.Phase, r.Status.Message = phase, message
		r.Status.MetricResults = []v1alpha1.MetricResult{{Name: "errors", Phase: phase}}
		return r
	}
	s := Subject{Runs: []*v1alpha1.AnalysisRun{
		run("first", time.Hour, v1alpha1.AnalysisPhaseSuccessful, ""), run("bad", time.Minute, v1alpha1.AnalysisPhaseFailed, "errors: 0.07 is not below 0.05"),
		run("last", time.Second, v1alpha1.AnalysisPhaseSuccessful, ""),
	}}
	s.Rollout = map[string]any{"metadata": map[string]any{"name": "web", "namespace": "shop"}, "spec": map[string]any{
		"replicas": 4, "strategy": map[string]any{"canary": map[string]any{"steps": []any{1, 2}}},
		"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "app", "image": "web:2"}}}}},
		"status": map[string]any{"phase": "Degraded", "message": "RolloutAborted", "currentStepIndex": 1}}
	NewestFirst(s.Runs)
	return s
}

func TestWhatAMessageSays(t *testing.T) {
	for name, c := range map[string]struct{ template, want string }{
		"fields of the object":      {"{{.rollout.metadata.name}} is {{.rollout.status.phase}}", "web is Degraded"},
		"the run that failed":       {"{{.analysisRun.metadata.name}}: {{.analysisRun.status.message}}", "bad: errors: 0.07 is not below 0.05"},
		"its results as JSON":       {"{{.analysisRun.status.metricResults | toJson}}", `[{"name":"errors","phase":"Failed"}]`},
		"all runs, newest first":    {"{{range .analysisRuns}}{{.metadata.name}} {{end}}", "last bad first "},
		"who gets it":               {"{{.serviceType}} {{.recipient}}", "console web"},
		"what the Secret shares":    {`{{index .secrets "team" | toString}}{{index .secrets "slack-token" | toString}}`, "web"},
		"the time":                  {`{{(call .time.Parse "2026-01-02T03:04:05Z").Year}}`, "2026"},
		"signs of HTML as they are": {`{{"<&>"}}`, "<&>"},
	} {
		quoted, err := json.Marshal(c.template)
		if err != nil {
			t.Fatal(err)
		}
		n, err := parsed(map[string]string{"template.x": "message: " + string(quoted)}, nil).Message([]string{"x"}, subject(), Destination{Service: "console", Recipient: "web"})
		if err != nil || n.Message != c.want {
			t.Errorf("%s: %v, %v, want %q", name, n, err, c.want)
		}
	}
	c := parsed(map[string]string{"template.run": `message: "{{.analysisRun.status.message}}"`}, nil)
	lonely := subject()
	lonely.Runs = nil
	if n, err := c.Message([]string{"run"}, lonely, Destination{}); err != nil || n.Message != "<no value>" {
		t.Errorf("without a run: %v, %v", n, err)
	}
	if _, err := c.Message([]string{"gone"}, subject(), Destination{}); err == nil || err.Error() != `there is no template "gone"; there are aborted, run` {
		t.Error(err)
	}
}

func TestConditionsOfATrigger(t *testing.T) {
	c := parsed(map[string]string{"trigger.x": "- when: rollout.status.phase == 'Degraded'\n  send: [aborted]\n- when: len(analysisRuns) > 5\n  send: [aborted]\n- send: [aborted]",
		"trigger.y": "- when: rollout.spec.nothing.of.it == 1\n  send: [aborted]"}, nil)
	vars, err := c.Vars(subject())
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Conditions("x", vars)
	if err != nil || len(got) != 3 || !got[0].Met || got[1].Met || !got[2].Met || got[0].When != "rollout.status.phase == 'Degraded'" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.Conditions("z", vars); err == nil || err.Error() != `there is no trigger "z"; there are on-rollout-aborted, x, y` {
		t.Error(err)
	}
	if all, err := c.Conditions("y", vars); err == nil && all[0].Met {
		t.Error("what is not there is met")
	}
}

// TestThePublishedTemplatesRender: as they are shipped, each gives its words and JSON that Slack takes.
func TestThePublishedTemplatesRender(t *testing.T) {
	text, err := os.ReadFile("../../config/notifications/configmap.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cm := &corev1.ConfigMap{}
	if err := yaml.UnmarshalStrict(text, cm); err != nil {
		t.Fatal(err)
	}
	c := Parse(Sources{ConfigMap: cm})
	if len(c.Problems) > 0 || len(c.Templates) != 15 {
		t.Fatalf("%d templates, %v", len(c.Templates), c.Problems)
	}
	for name := range c.Templates {
		n, err := c.Message([]string{name}, subject(), Destination{Service: "slack", Recipient: "web"})
		if err != nil || !strings.Contains(n.Message, "web") || strings.Contains(n.Message, "no value") || !strings.HasPrefix(n.Message, strings.TrimSpace(n.Email.Subject)) {
			t.Errorf("%s: %+v, %v", name, n, err)
			continue
		}
		var attachments []struct {
			Title  string
			Fields []struct{ Title, Value string }
		}
		if err := json.Unmarshal([]byte(n.Slack.Attachments), &attachments); err != nil || len(attachments[0].Fields) < 2 || attachments[0].Fields[1].Value != "web:2" {
			t.Errorf("%s: %v in %s", name, err, n.Slack.Attachments)
		}
	}
}

func TestAMessageArrives(t *testing.T) {
	got := make(chan string, 2)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization") + " " + string(body)
		if strings.HasSuffix(r.URL.Path, "/chat.postMessage") {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"ok":true,"channel":"C1","ts":"1.2"}`)) //nolint:errcheck // the client sees what comes
		}
		if r.URL.Path == "/teams" {
			w.Write([]byte("1")) //nolint:errcheck // the same
		}
	}))
	defer s.Close()
	c := parsed(map[string]string{
		"service.webhook.ci":      "url: " + s.URL + "\nheaders: [{name: Authorization, value: Bearer $slack-token}]",
		"service.slack":           "token: $slack-token\napiURL: " + s.URL + "/api/",
		"service.teams":           "recipientUrls: {team: '" + s.URL + "/teams'}",
		"service.teams-workflows": "recipientUrls: {team: '" + s.URL + "/powerautomate/x'}",
		"template.aborted":        "message: '{{.rollout.metadata.name}} was aborted'\nwebhook:\n  ci: {method: POST, path: /hook, body: '{\"name\": {{.rollout.metadata.name | toJson}}}'}",
	}, nil)
	for to, want := range map[Destination][]string{
		{Service: "ci"}:                                 {`POST /hook Bearer t {"name": "web"}`},
		{Service: "slack", Recipient: "team"}:           {"POST /api/chat.postMessage ", "channel=team", "text=web+was+aborted"},
		{Service: "teams", Recipient: "team"}:           {"POST /teams ", `"@type":"MessageCard"`, `"text":"web was aborted"`},
		{Service: "teams-workflows", Recipient: "team"}: {"POST /powerautomate/x ", `"contentType":"application/vnd.microsoft.card.adaptive"`, "web was aborted"},
	} {
		n, err := c.Message([]string{"aborted"}, subject(), to)
		if err == nil {
			err = c.Send("id-1", n, to)
		}
		if err != nil {
			t.Errorf("%s: %v", to.Service, err)
			continue
		}
		text := <-got
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s got %q, without %q", to.Service, text, w)
			}
		}
	}
	if err := c.Send("", nil, Destination{Service: "pigeon"}); err == nil || err.Error() != `there is no service "pigeon"; there are ci, slack, teams, teams-workflows` {
		t.Error(err)
	}
}
