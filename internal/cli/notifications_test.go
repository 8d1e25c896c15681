package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/notify"
)

var messages = map[string]string{
	"template.aborted":           "message: '{{.rollout.metadata.name}} of {{(index .rollout.spec.template.spec.containers 0).image}}: {{.analysisRun.status.message}}'",
	"template.paused":            "message: '{{.rollout.metadata.name}} waits'",
	"trigger.on-rollout-aborted": "- send: [aborted]",
	"trigger.on-wait":            "- when: rollout.status.phase == 'Paused'\n  send: [paused]\n- when: rollout.status.phase == 'Healthy'\n  send: [paused, aborted]",
	"service.webhook.ci":         "url: http://127.0.0.1:1\nretryMax: 1\nretryWaitMin: 1\nretryWaitMax: 1\nheaders: [{name: a, value: $token}]",
}

// configured are the ConfigMap and the Secret of a namespace.
func configured(namespace string) []client.Object {
	at := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }
	return []client.Object{&corev1.ConfigMap{ObjectMeta: at(notify.ConfigMapName), Data: messages},
		&corev1.Secret{ObjectMeta: at(notify.SecretName), Data: map[string][]byte{"token": []byte("t")}}}
}

func TestNotificationsAreTried(t *testing.T) {
	run := givenRun("web-new-4", "4", v1alpha1.AnalysisPhaseFailed, 0)
	run.Labels, run.Status.Message = map[string]string{v1alpha1.PodTemplateHashLabel: "new"}, "errors: 7 is too much"
	past := givenRun("web-old-3", "3", v1alpha1.AnalysisPhaseFailed, 0)
	past.Labels, past.Status.Message = map[string]string{v1alpha1.PodTemplateHashLabel: "old"}, "long ago"
	ro := givenRollout()
	ro.Annotations = map[string]string{"notifications.argoproj.io/subscribe.on-wait.ci": "", "notifications.argoproj.io/subscribe.on-rollout-aborted.ci": "a;b"}
	ro.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Image: "web:1.3"}}
	objects := append(configured("shop"), ro, run, past, givenSet("new", "4", "web:1.3", 1, 0), givenSet("old", "3", "web:1.2", 4, 0))
	for args, want := range map[string]string{
		"template get":                       "NAME     PREVIEW\naborted  {{.rollout.metadata.name}} of {{(index .rollout.spec.template.spec.containers 0).image}}: {{.analys...\npaused   {{.rollout.metadata.name}} waits\n",
		"template get paused":                "NAME    PREVIEW\npaused  {{.rollout.metadata.name}} waits\n",
		"template get -o name":               "aborted\npaused\n",
		"template get paused -o yaml":        "paused:\n  message: '{{.rollout.metadata.name}} waits'\n",
		"trigger get":                        "NAME                TEMPLATE         CONDITION\non-rollout-aborted  aborted          \non-wait             paused           rollout.status.phase == 'Paused'\n                    paused, aborted  rollout.status.phase == 'Healthy'\n",
		"subscriptions web":                  "TRIGGER             SERVICE  RECIPIENT\non-rollout-aborted  ci       a\non-rollout-aborted  ci       b\non-wait             ci       \n",
		"trigger get -o name":                "on-rollout-aborted\non-wait\n",
		"trigger run on-wait web":            "CONDITION                          RESULT\nrollout.status.phase == 'Paused'   true\nrollout.status.phase == 'Healthy'  false\n",
		"trigger run on-rollout-aborted web": "CONDITION  RESULT\n           true\n",
		"template notify aborted web":        "message: 'web of web:1.3: errors: 7 is too much'\n",
		"template notify paused web --recipient console:a --recipient console:b": "message: web waits\nmessage: web waits\n",
	} {
		got := newServer(t, objects...).call(t.Context(), append([]string{"notifications"}, strings.Fields(args)...)...)
		if got.code != 0 || got.out != want || got.err != "" {
			t.Errorf("%s: %+v\nwant\n%s", args, got, want)
		}
	}
	got := newServer(t, objects...).call(t.Context(), "notifications", "trigger", "get", "-o", "json")
	all := map[string][]struct{ When string }{}
	if err := json.Unmarshal([]byte(got.out), &all); err != nil || len(all["on-wait"]) != 2 {
		t.Errorf("%+v: %v", got, err)
	}
}

// Whatever fails, fails: the published commands end with 0.
func TestNotificationsThatFailSaySo(t *testing.T) {
	config := configured("shop")
	asConfigMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: notify.SecretName}, Data: map[string]string{"token": "t"}}
	for name, c := range map[string]struct {
		objects  []client.Object
		args     string
		code     int
		out, err string // what it begins with
	}{
		"no configuration":                 {nil, "template get", 1, "", "Error: there is no ConfigMap argo-rollouts-notification-configmap in namespace shop, argo-rollouts or penstock-system: name the controller's namespace (-n), or a file (--config-map)\n"},
		"no such template":                 {config, "template get x", 1, "", "Error: there is no template \"x\"; there are aborted, paused\n"},
		"no such trigger":                  {config, "trigger get x", 1, "", "Error: there is no trigger \"x\"; there are on-rollout-aborted, on-wait\n"},
		"no such rollout":                  {config, "template notify paused web", 1, "", "Error: rollout.argoproj.io \"web\" not found\n"},
		"an output that there is not":      {config, "template get -o xml", 1, "", "Error: --output: want wide, name, json or yaml, got \"xml\"\n"},
		"no such service":                  {append(configured("shop"), givenRollout()), "template notify paused web --recipient slack:a", 1, "", "Error: notify slack:a: there is no service \"slack\"; there are ci, console\n"},
		"a service that does not answer":   {append(configured("shop"), givenRollout()), "template notify paused web --recipient ci: --recipient console:a", 1, "message: web waits\n", "Error: notify ci:: "},
		"a template that cannot be filled": {append(configured("shop"), givenRollout()), "template notify aborted web", 1, "", "Error: notify console:stdout: render template aborted: "},
		"no Secret":                        {config[:1], "template get -o name", 0, "aborted\npaused\n", "Warning: there is no Secret argo-rollouts-notification-secret in namespace shop\nWarning: service.webhook.ci: $token is no key of the Secret\n"},
		"no Secret is wanted":              {config[:1], "template get -o name --secret :empty", 0, "aborted\npaused\n", "Warning: service.webhook.ci: $token is no key of the Secret\n"},
		"a ConfigMap for the Secret":       {[]client.Object{config[0], asConfigMap}, "template get -o name", 0, "aborted\npaused\n", "Warning: argo-rollouts-notification-secret: it is a ConfigMap: everybody who may read ConfigMaps reads these tokens; make it a Secret\n"},
		"nobody is told":                   {append(configured("shop"), givenRollout()), "subscriptions web", 0, "", "Nobody is told.\n"},
		"a subscription that leads nowhere": {append(configured("shop"), givenRollout(func(r *v1alpha1.Rollout) {
			r.Annotations = map[string]string{"notifications.argoproj.io/subscribe.on-wait.slack": "web"}
		})), "subscriptions web", 0, "", "Warning: notifications.argoproj.io/subscribe.on-wait.slack: there is no service \"slack\"; there are ci\nNobody is told.\n"},
		"the controller's namespace": {configured("argo-rollouts"), "template get -o name", 0, "aborted\npaused\n", ""},
	} {
		got := newServer(t, c.objects...).call(t.Context(), append([]string{"notifications"}, strings.Fields(c.args)...)...)
		if got.code != c.code || got.out != c.out || !strings.HasPrefix(got.err, c.err) || c.err == "" && got.err != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	s := newServer(t, config...)
	s.deny["GET /api/v1/namespaces/shop/secrets/"+notify.SecretName] = http.StatusForbidden
	if got := s.call(t.Context(), "notifications", "template", "get"); got.code != 1 || !strings.Contains(got.err, "; --secret :empty does without") {
		t.Errorf("%+v", got)
	}
}

func TestNotificationsFromFiles(t *testing.T) {
	t.Chdir(files(t, map[string]string{
		"config.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: other}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: argo-rollouts-notification-configmap}\ndata: {template.a: \"message: '{{.rollout.metadata.name}} {{index .secrets `k` | toString}}'\"}\n",
		"secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: argo-rollouts-notification-secret}\nstringData: {k: v}\n",
		"web.yaml":    anOutline, "broken.yaml": "a: [",
	}))
	for args, want := range map[string]outcomes{
		"template notify a web.yaml --config-map config.yaml --secret secret.yaml": {0, "message: fresh v\n", ""},
		"template get -o name --config-map config.yaml":                            {0, "a\n", "Warning: no Secret was given: name one with --secret, or say --secret :empty\n"},
		"template get --config-map secret.yaml":                                    {1, "", "Error: secret.yaml has no ConfigMap argo-rollouts-notification-configmap\n"},
		"template get --config-map gone.yaml":                                      {1, "", "Error: open gone.yaml: no such file or directory\n"},
		"template get --config-map config.yaml --secret config.yaml":               {1, "", "Error: config.yaml has no Secret argo-rollouts-notification-secret\n"},
		"template notify a broken.yaml --config-map config.yaml --secret :empty":   {1, "", "Error: broken.yaml: error converting YAML to JSON: yaml: line 1: did not find expected node content\n"},
	} {
		if got := newServer(t).call(t.Context(), append([]string{"notifications"}, strings.Fields(args)...)...); got != want {
			t.Errorf("%s: %+v", args, got)
		}
	}
}
