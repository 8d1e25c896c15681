package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func TestInvalidSpecsSaySoInThePublishedWords(t *testing.T) {
	tests := map[string]struct {
		patch string // of a healthy web
		want  string
	}{
		"a deadline that is too short": {`{"spec":{"progressDeadlineSeconds":5,"minReadySeconds":10}}`,
			`spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds`},
		"a template without the selector's labels": {`{"spec":{"template":{"metadata":{"labels":{"app":"other"}}}}}`,
			"spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template `labels`"},
		"two strategies": {`{"spec":{"strategy":{"blueGreen":{"activeService":"web-stable"}}}}`,
			`spec.strategy.strategy: Invalid value: "canary, blueGreen": Multiple Strategies can not be listed`},
		"a missing Service": {`{"spec":{"strategy":{"canary":{"stableService":"nowhere","canaryService":"web-canary"}}}}`,
			`spec.strategy.canary.stableService: Invalid value: "nowhere": service "nowhere" not found`},
		"one Service for two roles": {`{"spec":{"strategy":{"canary":{"stableService":"web-stable","canaryService":"web-stable"}}}}`,
			`spec.strategy.stableService: Invalid value: "web-stable": This rollout uses the same service for the stable and canary services, but two different services are required.`},
		"a weight above all": {`{"spec":{"strategy":{"canary":{"steps":[{"setWeight":101}]}}}}`,
			`spec.strategy.steps[0].setWeight: Invalid value: 101: SetWeight needs to be between 0 and 100`},
		"a missing template": {`{"spec":{"strategy":{"canary":{"steps":[{"analysis":{"templates":[{"templateName":"nowhere"}]}}]}}}}`,
			`spec.strategy.canary.steps[0].analysis.templates: Invalid value: "nowhere": AnalysisTemplate 'nowhere' not found`},
		"a missing VirtualService": {`{"spec":{"strategy":{"canary":{"stableService":"web-stable","canaryService":"web-canary","trafficRouting":{"istio":{"virtualService":{"name":"nowhere"}}}}}}}`,
			`VirtualService.networking.istio.io "nowhere" not found`},
		"a missing route": {`{"spec":{"strategy":{"canary":{"stableService":"web-stable","canaryService":"web-canary","trafficRouting":{"istio":{"virtualService":{"name":"web","routes":["nowhere"]}}}}}}}`,
			`HTTP Route 'nowhere' is not found in the defined Virtual Service.`},
		"a router that nobody knows": {`{"spec":{"strategy":{"canary":{"stableService":"web-stable","canaryService":"web-canary","trafficRouting":{"unknown":{"name":"web"}}}}}}`,
			`spec.strategy.canary.trafficRouting: Invalid value: ""`},
		"a missing Ingress": {`{"spec":{"strategy":{"canary":{"stableService":"web-stable","canaryService":"web-canary","trafficRouting":{"nginx":{"stableIngress":"web"}}}}}}`,
			"spec.strategy.canary.trafficRouting: error retrieving stableIngress `web` from cache"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := space(t)
			apply(t, ns, web(`{canary: {steps: [{setWeight: 50}]}}`)+services+fmt.Sprintf(istioRoute, ns))
			await(t, ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
			if err := patch(t, &v1alpha1.Rollout{}, ns, "web", test.patch); err != nil {
				t.Fatal(err)
			}
			want := `InvalidSpec: The Rollout "web" is invalid: `
			r := await(t, ns, "web", 20*time.Second, func(r *v1alpha1.Rollout) error {
				if m := r.Status.Message; !strings.HasPrefix(m, want) || !strings.Contains(m, test.want) {
					return fmt.Errorf("the message is %q, want %q", m, want+test.want)
				}
				return inPhase(v1alpha1.RolloutPhaseDegraded)(r)
			})
			if r.Status.AvailableReplicas != 2 {
				t.Errorf("%d pods are available, want the 2 of before", r.Status.AvailableReplicas)
			}
		})
	}
}

// Covers: edge 20.
func TestTheSelectorIsImmutable(t *testing.T) {
	t.Parallel()
	ns := space(t)
	apply(t, ns, web(`{canary: {}}`))
	if err := patch(t, &v1alpha1.Rollout{}, ns, "web", `{"spec":{"selector":{"matchLabels":{"app":"web"}},"replicas":3}}`); err != nil {
		t.Errorf("the same selector: %v", err)
	}
	for name, change := range map[string]string{
		"another value": `{"spec":{"selector":{"matchLabels":{"app":"other"}}}}`,
		"another label": `{"spec":{"selector":{"matchLabels":{"tier":"front"}}}}`,
	} {
		err := patch(t, &v1alpha1.Rollout{}, ns, "web", change)
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), ".spec.selector is immutable") {
			t.Errorf("%s: %v, want it refused as immutable", name, err)
		}
	}
	for _, change := range []string{`{"spec":{"selector":null}}`, `{"spec":{"selector":{"matchLabels":{"app":"web"}}}}`} {
		if err := patch(t, &v1alpha1.Rollout{}, ns, "web", change); err != nil {
			t.Errorf("%s, as on the way to a workloadRef and back: %v", change, err)
		}
	}
}
