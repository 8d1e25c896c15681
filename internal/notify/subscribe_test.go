package notify

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhoIsTold(t *testing.T) {
	const at = "notifications.argoproj.io/"
	dotted := map[string]string{"service.webhook.a": "url: http://a", "trigger.v1.aborted": "- send: [aborted]"}
	global := func(text string) map[string]string { return map[string]string{"subscriptions": text} }
	one := func(service, recipient string) map[string][]Destination {
		return map[string][]Destination{"on-rollout-aborted": {{Service: service, Recipient: recipient}}}
	}
	for name, c := range map[string]struct {
		data        map[string]string
		annotations map[string]string
		want        map[string][]Destination
		problem     string
	}{
		"a trigger and a service":      {nil, map[string]string{at + "subscribe.on-rollout-aborted.slack": "web"}, one("slack", "web"), ""},
		"several recipients, trimmed":  {nil, map[string]string{at + "subscribe.on-rollout-aborted.slack": "web ; api;"}, map[string][]Destination{"on-rollout-aborted": {{Service: "slack", Recipient: "api"}, {Service: "slack", Recipient: "web"}}}, ""},
		"a service without recipients": {nil, map[string]string{at + "subscribe.on-rollout-aborted.ci": ""}, one("ci", ""), ""},
		"the default triggers":         {map[string]string{"defaultTriggers": "[on-rollout-aborted]"}, map[string]string{at + "subscribe.slack": "web"}, one("slack", "web"), ""},
		"those of the service":         {map[string]string{"defaultTriggers": "[on-rollout-paused]", "defaultTriggers.slack": "[on-rollout-aborted]"}, map[string]string{at + "subscribe.slack": "web"}, one("slack", "web"), ""},
		"a list":                       {nil, map[string]string{at + "subscriptions": "- trigger: [on-rollout-aborted]\n  destinations: [{service: slack, recipients: [web]}]"}, one("slack", "web"), ""},
		"a list under a longer key":    {nil, map[string]string{at + "subscriptions.web": "- trigger: [on-rollout-aborted]\n  destinations: [{service: slack, recipients: [web]}]"}, one("slack", "web"), ""},
		"a list without triggers":      {map[string]string{"defaultTriggers": "[on-rollout-aborted]"}, map[string]string{at + "subscriptions": "- destinations: [{service: slack, recipients: [web]}]"}, one("slack", "web"), ""},
		"everybody":                    {global("- recipients: ['slack:web']\n  triggers: [on-rollout-aborted]"), nil, one("slack", "web"), ""},
		"everybody of a label":         {global("- recipients: ['slack:web']\n  triggers: [on-rollout-aborted]\n  selector: team=web"), nil, one("slack", "web"), ""},
		"everybody of another label":   {global("- recipients: ['slack:web']\n  triggers: [on-rollout-aborted]\n  selector: team=api"), nil, map[string][]Destination{}, ""},
		"a recipient with colons":      {global("- recipients: ['ci:http://a:80']\n  triggers: [on-rollout-aborted]"), nil, one("ci", "http://a:80"), ""},
		"twice is once":                {global("- recipients: ['slack:web']\n  triggers: [on-rollout-aborted]"), map[string]string{at + "subscribe.on-rollout-aborted.slack": "web"}, one("slack", "web"), ""},
		"a trigger with a dot":         {dotted, map[string]string{at + "subscribe.v1.aborted.slack": "web"}, map[string][]Destination{"v1.aborted": {{Service: "slack", Recipient: "web"}}}, ""},
		"other annotations beside it":  {map[string]string{"defaultTriggers": "[on-rollout-aborted]"}, map[string]string{at + "subscribe.on-rollout-aborted.slack": "web", "a": "b", "notified." + at: "c"}, one("slack", "web"), ""},
		"no such service":              {nil, map[string]string{at + "subscribe.on-rollout-aborted.teams": "web"}, map[string][]Destination{}, at + `subscribe.on-rollout-aborted.teams: there is no service "teams"; there are ci, slack`},
		"no such trigger":              {nil, map[string]string{at + "subscribe.on-abort.slack": "web"}, map[string][]Destination{"on-abort": {{Service: "slack", Recipient: "web"}}}, at + `subscribe.on-abort.slack: there is no trigger "on-abort"`},
		"no list":                      {nil, map[string]string{at + "subscriptions": "slack"}, map[string][]Destination{}, at + "subscriptions: it is no list of subscriptions: want [{trigger: [NAME], destinations: [{service: NAME, recipients: [NAME]}]}]"},
		"a list without destinations":  {nil, map[string]string{at + "subscriptions": "- trigger: [on-rollout-aborted]"}, map[string][]Destination{}, at + "subscriptions: [0] has no destinations"},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := parsed(c.data, nil).Destinations(&metav1.ObjectMeta{Annotations: c.annotations, Labels: map[string]string{"team": "web"}})
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("told (-want +got)\n%s", d)
			}
			text := ""
			for _, p := range problems {
				text += p.String()
			}
			if text != c.problem {
				t.Errorf("it says %q", text)
			}
		})
	}
}
