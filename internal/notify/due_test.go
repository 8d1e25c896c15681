package notify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

var noon = time.Unix(1_700_000_000, 0)

// booked is a Book with the configuration of parsed.
func booked(data map[string]string) *Book {
	b := &Book{}
	b.Set("", parsed(data, nil))
	return b
}

// subscribed is a change of a Rollout with annotations.
func subscribed(annotations map[string]string, events ...Event) Change {
	return Change{
		Object:  &metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u", Annotations: annotations},
		Subject: subject, Phase: "Degraded", Message: "RolloutAborted", Events: events, Attempt: "1",
	}
}

func lines(st *v1alpha1.NotificationStatus) (all []string) {
	if st == nil {
		return nil
	}
	for _, p := range st.Pending {
		all = append(all, strings.TrimSuffix(fmt.Sprintf("%s %s %s:%s %s", p.Trigger, strings.Join(p.Templates, "+"), p.Service, p.Recipient, p.Event), " "))
	}
	return all
}

func TestWhatIsDue(t *testing.T) {
	const on = "notifications.argoproj.io/subscribe."
	aborted := Event{Reason: "RolloutAborted", Message: "it is over", Warning: true}
	for name, c := range map[string]struct {
		data, annotations map[string]string
		events            []Event
		want, problems    []string
	}{
		"nobody subscribes":                 {nil, nil, []Event{aborted}, nil, nil},
		"an event":                          {nil, map[string]string{on + "on-rollout-aborted.slack": "web"}, []Event{aborted}, []string{"on-rollout-aborted aborted slack:web it is over"}, nil},
		"another event":                     {nil, map[string]string{on + "on-rollout-aborted.slack": "web"}, []Event{{Reason: "RolloutPaused"}}, nil, nil},
		"twice in one pass":                 {nil, map[string]string{on + "on-rollout-aborted.slack": "web"}, []Event{aborted, aborted}, []string{"on-rollout-aborted aborted slack:web it is over"}, nil},
		"an annotation and the selector":    {map[string]string{"subscriptions": "- recipients: ['slack:web']\n  triggers: [on-rollout-aborted]"}, map[string]string{on + "on-rollout-aborted.slack": "web;ops"}, []Event{aborted}, []string{"on-rollout-aborted aborted slack:ops it is over", "on-rollout-aborted aborted slack:web it is over"}, nil},
		"an event whose condition holds":    {map[string]string{"trigger.on-rollout-paused": "- when: rollout.status.phase == 'Degraded'\n  send: [aborted]"}, map[string]string{on + "on-rollout-paused.ci": ""}, []Event{{Reason: "RolloutPaused"}}, []string{"on-rollout-paused aborted ci:"}, nil},
		"an event whose condition does not": {map[string]string{"trigger.on-rollout-paused": "- when: rollout.status.phase == 'Paused'\n  send: [aborted]"}, map[string]string{on + "on-rollout-paused.ci": ""}, []Event{{Reason: "RolloutPaused"}}, nil, nil},
		"an event's name and no event":      {map[string]string{"trigger.on-rollout-paused": "- when: rollout.status.phase == 'Degraded'\n  send: [aborted]"}, map[string]string{on + "on-rollout-paused.ci": ""}, nil, nil, nil},
		"a state":                           {map[string]string{"trigger.bad": "- when: rollout.status.phase == 'Degraded'\n  send: [aborted]"}, map[string]string{on + "bad.ci": ""}, nil, []string{"bad aborted ci:"}, nil},
		"a state that is not":               {map[string]string{"trigger.bad": "- when: rollout.status.phase == 'Healthy'\n  send: [aborted]"}, map[string]string{on + "bad.ci": ""}, nil, nil, nil},
		"a state without a condition":       {map[string]string{"trigger.bad": "- send: [aborted]"}, map[string]string{on + "bad.ci": ""}, nil, nil, nil},
		"what the published controller told of": {map[string]string{"trigger.bad": "- when: rollout.status.phase == 'Degraded'\n  send: [aborted]"},
			map[string]string{on + "bad.ci": "", notifiedAnnotation: `{"bad:[0].` + keyOf("rollout.status.phase == 'Degraded'") + `:ci:":1}`}, nil, nil, nil},
		"a service that there is not": {nil, map[string]string{on + "on-rollout-aborted.pigeon": "web"}, []Event{aborted}, nil, []string{on + "on-rollout-aborted.pigeon: there is no service \"pigeon\"; there are ci, slack"}},
		"a trigger that there is not": {nil, map[string]string{on + "on-noon.slack": "web"}, []Event{aborted}, nil, []string{on + "on-noon.slack: there is no trigger \"on-noon\""}},
	} {
		t.Run(name, func(t *testing.T) {
			st := booked(c.data).Due(noon, subscribed(c.annotations, c.events...))
			if got := lines(st); !slices.Equal(got, c.want) {
				t.Errorf("due are %q, want %q", got, c.want)
			}
			if st != nil && !slices.Equal(st.Problems, c.problems) {
				t.Errorf("problems %q, want %q", st.Problems, c.problems)
			}
		})
	}
}

// keyOf is the published name of the state of a condition.
func keyOf(when string) string {
	c := parsed(map[string]string{"trigger.x": "- when: " + when + "\n  send: [aborted]"}, nil)
	all, _ := c.Conditions("x", map[string]any{})
	return strings.TrimPrefix(all[0].Key, "[0].")
}

// TestAStateIsToldWhenItBegins lets a state come, stay, go and come again.
func TestAStateIsToldWhenItBegins(t *testing.T) {
	b := booked(map[string]string{"trigger.bad": "- when: rollout.status.phase == 'Degraded'\n  send: [aborted]",
		"trigger.once": "- when: rollout.status.phase == 'Degraded'\n  oncePer: rollout.metadata.generation\n  send: [aborted]"})
	c := subscribed(map[string]string{"notifications.argoproj.io/subscribe.bad.ci": "", "notifications.argoproj.io/subscribe.once.slack": "web"})
	phase, generation := "", 1
	c.Subject = func() Subject {
		return Subject{Rollout: map[string]any{"metadata": map[string]any{"generation": generation}, "status": map[string]any{"phase": phase}}}
	}
	for i, step := range []struct {
		phase      string
		generation int
		want       []string
	}{
		{"Healthy", 1, nil},
		{"Degraded", 1, []string{"bad aborted ci:", "once aborted slack:web"}},
		{"Degraded", 1, nil},
		{"Healthy", 1, nil},
		{"Degraded", 1, []string{"bad aborted ci:"}},
		{"Degraded", 2, []string{"once aborted slack:web"}},
		{"Healthy", 2, nil},
		{"Degraded", 1, []string{"bad aborted ci:"}},
	} {
		phase, generation = step.phase, step.generation
		st := b.Due(noon.Add(time.Duration(i)*time.Second), c)
		if got := lines(st); !slices.Equal(got, step.want) {
			t.Fatalf("step %d: %q, want %q", i, got, step.want)
		}
		if c.Status = st; st != nil {
			c.Status.Pending = nil // delivered
		}
	}
}

// TestAWarningThatStandsIsToldOnce, also after a restart, and again when the update is another.
func TestAWarningThatStandsIsToldOnce(t *testing.T) {
	b := booked(map[string]string{"trigger.on-traffic-routing-error": "- send: [aborted]"})
	c := subscribed(map[string]string{"notifications.argoproj.io/subscribe.on-traffic-routing-error.slack": "web"},
		Event{Reason: "TrafficRoutingError", Message: "no route", Warning: true})
	told := 0
	for i, attempt := range []string{"1", "1", "1", "2", "2"} {
		c.Attempt = attempt
		c.Status = b.Due(noon.Add(time.Duration(i)*time.Second), c)
		told += len(c.Status.Pending)
		c.Status.Pending = nil
	}
	if told != 2 {
		t.Errorf("it was told %d times, want once for each of two updates", told)
	}
}

// TestEachHasItsOwnID: what happens again is another message, and a retry of the same is the same.
func TestEachHasItsOwnID(t *testing.T) {
	b := booked(map[string]string{"trigger.on-rollout-paused": "- send: [aborted]"})
	c := subscribed(map[string]string{"notifications.argoproj.io/subscribe.on-rollout-paused.slack": "web;ops"}, Event{Reason: "RolloutPaused"})
	seen := map[string]bool{}
	for i := range 3 {
		for _, p := range b.Due(noon.Add(time.Duration(i)), c).Pending {
			seen[p.ID] = true
		}
	}
	again := b.Due(noon, c).Pending
	if len(seen) != 6 || !seen[again[0].ID] {
		t.Errorf("IDs are %v, and again %s", slices.Collect(maps.Keys(seen)), again[0].ID)
	}
}

// TestTheStatusStaysSmall, however much is told of and nothing can be sent.
func TestTheStatusStaysSmall(t *testing.T) {
	b := booked(map[string]string{"trigger.on-traffic-routing-error": "- send: [aborted]"})
	c := subscribed(map[string]string{"notifications.argoproj.io/subscribe.on-traffic-routing-error.slack": "web"})
	for i := range 300 {
		c.Object.GetAnnotations()[fmt.Sprintf("notifications.argoproj.io/subscribe.on-%d.slack", i)] = "x"
		c.Events = []Event{{Reason: "TrafficRoutingError", Message: fmt.Sprint("route ", i), Warning: true}}
		c.Status = b.Due(noon.Add(time.Duration(i)), c)
	}
	st := c.Status
	if len(st.Pending) != maxPending || len(st.Warned) != maxWarned || len(st.Problems) != maxProblems || st.Pending[maxPending-1].Event != "route 299" {
		t.Errorf("%d pending, %d warned, %d problems, the last %q", len(st.Pending), len(st.Warned), len(st.Problems), st.Pending[maxPending-1].Event)
	}
}

// TestNamespacesServeThemselves: what one of two configurations can serve is no problem.
func TestNamespacesServeThemselves(t *testing.T) {
	b := booked(nil)
	b.Set("shop", parsed(map[string]string{"service.webhook.own": "url: http://127.0.0.1:1"}, nil))
	st := b.Due(noon, subscribed(map[string]string{"notifications.argoproj.io/subscribe.on-rollout-aborted.own": ""}, Event{Reason: "RolloutAborted"}))
	if len(st.Pending) != 1 || st.Pending[0].Namespace != "shop" || st.Problems != nil {
		t.Errorf("%+v", st)
	}
}

func TestTriggerNames(t *testing.T) {
	for reason, want := range map[string]string{
		"RolloutAborted": "on-rollout-aborted", "ScalingReplicaSet": "on-scaling-replica-set", "NewReplicaSetCreated": "on-new-replica-set-created",
		"PatchingALBIngress": "on-patching-alb-ingress", "AnalysisRunFailed": "on-analysis-run-failed", "ApisixRouteCreateError": "on-apisix-route-create-error",
	} {
		if got := TriggerName(reason); got != want {
			t.Errorf("%s: %s, want %s", reason, got, want)
		}
	}
}
