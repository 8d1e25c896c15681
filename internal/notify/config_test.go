package notify

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// parsed is a configuration with two services, a trigger and a template, and what is given.
func parsed(data map[string]string, secret map[string][]byte) *Config {
	all := map[string]string{
		"service.webhook.ci":         "url: http://127.0.0.1:1/hook",
		"service.slack":              "token: $slack-token",
		"trigger.on-rollout-aborted": "- send: [aborted]",
		"template.aborted":           `message: "{{.rollout.metadata.name}} was aborted"`,
	}
	for k, v := range data {
		all[k] = v
	}
	if secret == nil {
		secret = map[string][]byte{"slack-token": []byte("t"), "team": []byte("web")}
	}
	return Parse(Sources{ConfigMap: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: ConfigMapName}, Data: all}, Secret: &corev1.Secret{Data: secret}})
}

func TestWhatIsWrongIsLeftOutAndSaid(t *testing.T) {
	for name, c := range map[string]struct {
		data map[string]string
		want string // the only problem
	}{
		"a template that does not parse":       {map[string]string{"template.x": `message: "{{.rollout"`}, "template.x: "},
		"a template that is no YAML":           {map[string]string{"template.x": "message: [a"}, "template.x: "},
		"a function that there is not":         {map[string]string{"template.x": `message: "{{env \"HOME\"}}"`}, `template.x: template: x:1: function "env" not defined; it is left out`},
		"a condition that does not compile":    {map[string]string{"trigger.x": "- when: rollout.status.phase ==\n  send: [aborted]"}, "trigger.x: "},
		"a trigger without its template":       {map[string]string{"trigger.x": "- send: [abort]"}, `trigger.x: there is no template "abort"; it cannot be sent`},
		"a service of no known type":           {map[string]string{"service.pigeon": "loft: 7"}, "service.pigeon: service type 'pigeon' is not supported"},
		"a service with too long a name":       {map[string]string{"service.webhook.a.b": "url: http://a"}, "service.webhook.a.b: invalid service key"},
		"a key that the Secret has not":        {map[string]string{"service.webhook.x": "url: http://a/$gone"}, "service.webhook.x: $gone is no key of the Secret"},
		"a recipient of no service":            {map[string]string{"subscriptions": "- recipients: ['teams:web']\n  triggers: [on-rollout-aborted]"}, `subscriptions: recipient "teams:web": there is no service "teams"`},
		"a subscription to no trigger":         {map[string]string{"subscriptions": "- recipients: ['slack:web']\n  triggers: [on-abort]"}, `subscriptions: there is no trigger "on-abort"`},
		"subscriptions that are no list":       {map[string]string{"subscriptions": "recipients: a"}, "subscriptions: "},
		"default triggers that are no list":    {map[string]string{"defaultTriggers": "{a: b}"}, "defaultTriggers: "},
		"an entry that means nothing to us":    {map[string]string{"context": "environment: prod"}, ""},
		"nothing wrong":                        {nil, ""},
		"a service's triggers that are a list": {map[string]string{"defaultTriggers.slack": "[on-rollout-aborted]"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := parsed(c.data, nil)
			var said []string
			for _, p := range got.Problems {
				said = append(said, p.String())
			}
			if c.want == "" && said != nil || c.want != "" && (len(said) != 1 || !strings.HasPrefix(said[0], c.want)) {
				t.Errorf("it says %q, want %q", said, c.want)
			}
			if !slices.Equal(got.Services()[:1], []string{"ci"}) || got.Triggers["on-rollout-aborted"] == nil {
				t.Errorf("the rest does not work: %v", got.Services())
			}
		})
	}
	if got := Parse(Sources{}); got.Problems != nil || len(got.Services())+len(got.Templates) != 0 {
		t.Errorf("nothing at all: %+v", got)
	}
}

func TestTemplatesDoNotSeeWhatServicesSignInWith(t *testing.T) {
	c := parsed(nil, nil)
	if len(c.secrets) != 1 || string(c.secrets["team"]) != "web" {
		t.Errorf("templates see %v", c.secrets)
	}
	got := Revealed(&corev1.Secret{Data: map[string][]byte{"a": []byte("1")}, StringData: map[string]string{"b": "2"}})
	if len(got.Data) != 2 || string(got.Data["b"]) != "2" || got.StringData != nil {
		t.Errorf("%+v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("template.x", "message: a", "notifications.argoproj.io/subscribe.on-rollout-aborted.slack", "web;api")
	f.Add("trigger.x", "- when: a == b\n  send: [x]", "notifications.argoproj.io/subscriptions", "- trigger: [a]\n  destinations: [{service: slack, recipients: [a]}]")
	f.Add("subscriptions", "- recipients: ['a:b:c']\n  selector: a=b", "notifications.argoproj.io/subscribe.slack", "")
	f.Add("service.webhook.a", "url: $b", "x", "y")
	f.Fuzz(func(t *testing.T, key, text, annotation, value string) {
		if strings.HasPrefix(key, "service.gcppubsub") {
			return // it looks for the machine's own credentials
		}
		c := parsed(map[string]string{key: text}, nil)
		all, _ := c.Destinations(&metav1.ObjectMeta{Annotations: map[string]string{annotation: value}})
		for trigger, list := range all {
			if slices.ContainsFunc(list, func(d Destination) bool { return c.services[d.Service] == nil }) && annotation != "" && key != "subscriptions" {
				t.Errorf("%s goes to %v", trigger, list)
			}
		}
	})
}
