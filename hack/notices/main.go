// Command notices writes the ConfigMap of notifications that is shipped: the published triggers,
// and those for what an engineer on call wants to know.
//
// Usage: notices <file to write>
package main

import (
	"fmt"
	"os"
	"strings"
)

// Colours of Slack's attachments, as published.
const (
	good, bad, doubtful = "#18be52", "#E01E5A", "#ECB22E"
)

// name is the Rollout in a message.
const (
	name  = `{{.rollout.metadata.name}}`
	named = `Rollout ` + name
	ask   = ` Ask: kubectl penstock why ` + name + ` -n {{.rollout.metadata.namespace}}`
	pages = `{{range .links}} {{.title}}: {{.url}}{{end}}`
	what  = `{{with .failure.Text}}{{.}}{{else}}{{$.analysisRun.status.message}}{{end}}`
	why   = `{{with .failure.Text}} Because: {{.}}.{{else}}{{with $.rollout.status.message}} Because: {{.}}{{end}}{{end}}`
)

// notice is one trigger with its template.
type notice struct {
	trigger, template, subject, more, colour string
	// field is a further one in Slack; severity makes a page of it.
	field, severity string
}

var notices = []notice{
	{trigger: "on-rollout-updated", template: "rollout-updated", subject: named + " has been updated.", colour: good},
	{trigger: "on-rollout-step-completed", template: "rollout-step-completed", subject: named + " has completed a step.", colour: good,
		field: `{"title": "Step completed", "value": "{{.rollout.status.currentStepIndex}}/{{len .rollout.spec.strategy.canary.steps}}", "short": true}`},
	{trigger: "on-rollout-paused", template: "rollout-paused", subject: named + " has been paused.", more: ask, colour: good},
	{trigger: "on-rollout-completed", template: "rollout-completed", subject: named + " has been completed.", colour: good},
	{trigger: "on-rollout-promoted", template: "rollout-promoted", subject: named + " serves its new version alone.", colour: good},
	{trigger: "on-rollout-aborted", template: "rollout-aborted", subject: named + " has been aborted: traffic is back on the stable version.", more: why + ask + pages, colour: bad, severity: "error"},
	{trigger: "on-rollout-degraded", template: "rollout-degraded", subject: named + " is degraded.", more: why + ask + pages, colour: bad, severity: "error"},
	{trigger: "on-rollout-healthy", template: "rollout-healthy", subject: named + " is healthy again.", colour: good},
	{trigger: "on-pause-timed-out", template: "pause-timed-out", subject: "Nobody has promoted rollout " + name + " in time.", more: ` {{.event}}` + ask, colour: doubtful, severity: "warning"},
	{trigger: "on-traffic-drift", template: "traffic-drift", subject: "Somebody else has changed the traffic of rollout " + name + ".", more: ` {{.event}}`, colour: doubtful, severity: "warning"},
	{trigger: "on-scaling-replica-set", template: "scaling-replicaset", subject: "Pods of rollout " + name + " are scaled.", more: ` {{.event}}`, colour: good,
		field: `{"title": "Replicas", "value": "{{.rollout.status.updatedReplicas | default 0}} new of {{.rollout.spec.replicas | default 1}}", "short": true}`},
	{trigger: "on-analysis-run-running", template: "analysis-run-running", subject: named + " is being analysed.", colour: good},
	{trigger: "on-analysis-run-failed", template: "analysis-run-failed", subject: "The analysis of rollout " + name + " has failed.", more: " " + what + "." + ask + pages, colour: bad, severity: "error"},
	{trigger: "on-analysis-run-error", template: "analysis-run-error", subject: "The analysis of rollout " + name + " could not be carried out.", more: " " + what + "." + ask + pages, colour: doubtful, severity: "warning"},
	{trigger: "on-analysis-run-inconclusive", template: "analysis-run-inconclusive", subject: "The analysis of rollout " + name + " has decided nothing: somebody must.", more: " " + what + "." + ask + pages, colour: doubtful, severity: "warning"},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: notices <file>")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(configMap()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func configMap() string {
	var b strings.Builder
	b.WriteString(`# Written by make generate. The triggers of notifications and what they say, for a start: who is
# told, and how, stands in further entries and in annotations of Rollouts (docs/notifications.md).
apiVersion: v1
kind: ConfigMap
metadata:
  name: argo-rollouts-notification-configmap
data:
`)
	for _, n := range notices {
		fmt.Fprintf(&b, "  trigger.%s: |\n    - send: [%s]\n", n.trigger, n.template)
	}
	for _, n := range notices {
		b.WriteString(n.text())
	}
	return b.String()
}

func (n notice) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  template.%s: |\n    message: >-\n      %s%s\n    email:\n      subject: >-\n        %s\n", n.template, n.subject, n.more, n.subject)
	fmt.Fprintf(&b, `    slack:
      attachments: |
        [{
          "title": {{.rollout.metadata.name | toJson}},
          "color": "%s",
          "fields": [
            {"title": "Strategy", "value": "{{if .rollout.spec.strategy.blueGreen}}BlueGreen{{else}}Canary{{end}}", "short": true}
            {{- range .rollout.spec.template.spec.containers}},
            {"title": {{.name | toJson}}, "value": {{.image | toJson}}, "short": true}
            {{- end}}%s
          ]
        }]
`, n.colour, n.extra())
	if n.severity != "" {
		fmt.Fprintf(&b, "    pagerdutyv2:\n      summary: >-\n        %s%s\n      severity: %s\n      source: \"{{.rollout.metadata.namespace}}/%s\"\n      component: %q\n",
			n.subject, strings.TrimSuffix(strings.TrimSuffix(n.more, pages), ask), n.severity, name, name)
	}
	return b.String()
}

func (n notice) extra() string {
	if n.field == "" {
		return ""
	}
	return ",\n            " + n.field
}
