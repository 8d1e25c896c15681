package cli

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// givenDeployment is one of four pods, all rolled out.
func givenDeployment(mods ...func(*appsv1.Deployment)) *appsv1.Deployment {
	four := int32(4)
	d := &appsv1.Deployment{}
	d.Name, d.Namespace, d.Generation = "web", "shop", 2
	d.Spec.Replicas, d.Spec.Selector = &four, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Image: "web:1"}}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 4, UpdatedReplicas: 4, AvailableReplicas: 4}
	for _, mod := range mods {
		mod(d)
	}
	return d
}

func scaledTo(n int32) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Spec.Replicas, d.Status = &n, appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: n, UpdatedReplicas: n, AvailableReplicas: n}
	}
}

func ofWeb(r *v1alpha1.Rollout) {
	r.Spec.WorkloadRef = &v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", ScaleDown: "progressively"}
}

func givingUp(r *v1alpha1.Rollout) { r.Finalizers = []string{givingBack} }

func justMade(r *v1alpha1.Rollout) { r.Status = v1alpha1.RolloutStatus{} }

func TestWhatCannotBeAdoptedIsSaid(t *testing.T) {
	scaler := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "load"}}
	scaler.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
	for want, objects := range map[string][]client.Object{
		`deployment.apps "web" not found`:                                                            nil,
		`deployment "web" is paused: resume it first`:                                                {givenDeployment(func(d *appsv1.Deployment) { d.Spec.Paused = true })},
		`deployment "web" has no pods: scale it up first`:                                            {givenDeployment(scaledTo(0))},
		`deployment "web" is not rolled out: 3 of 4 pods are of its template and available. Wait`:    {givenDeployment(func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 3 })},
		`deployment "web" is not rolled out: 4 of 4 pods`:                                            {givenDeployment(func(d *appsv1.Deployment) { d.Generation++ })},
		`the autoscaler "load" drives deployment "web": point its spec.scaleTargetRef at apiVersion`: {givenDeployment(), scaler},
		`there is a rollout "web" that is not of this deployment`:                                    {givenDeployment(), givenRollout()},
		`rollout "other" has adopted deployment "web" already`:                                       {givenDeployment(), givenRollout(ofWeb, named("other", "shop"))},
	} {
		s := newServer(t, objects...)
		if got := s.call(t.Context(), "adopt", "deployment", "web"); got.code != 1 || !strings.HasPrefix(got.err, "Error: "+want) || len(s.seen) > 0 {
			t.Errorf("%+v after %v, want %q", got, s.seen, want)
		}
	}
}

func TestAdoptingWaitsUntilTheRolloutServes(t *testing.T) {
	created := func(s *apiServer, mods ...func(*v1alpha1.Rollout)) {
		s.put(givenRollout(append([]func(*v1alpha1.Rollout){ofWeb}, mods...)...))
	}
	for name, c := range map[string]struct {
		objects []client.Object
		acts    script
		args    string
		want    outcomes
		took    time.Duration
		deny    string
	}{
		"pods change hands": {[]client.Object{givenDeployment()}, script{
			{2500 * time.Millisecond, func(s *apiServer, _ func()) {
				created(s, running, func(r *v1alpha1.Rollout) { r.Status.AvailableReplicas = 1 })
			}},
			{4500 * time.Millisecond, func(s *apiServer, _ func()) { s.put(givenDeployment(scaledTo(1))); created(s, healthy) }},
			{5500 * time.Millisecond, func(s *apiServer, _ func()) { s.put(givenDeployment(scaledTo(0))) }},
		}, "", outcomes{0, "rollout.argoproj.io/web created\n1 of 4 pods of the rollout are available, the deployment has 4\n" +
			"5 of 4 pods of the rollout are available, the deployment has 1\n5 of 4 pods of the rollout are available, the deployment has 0\ndeployment 'web' adopted: rollout.argoproj.io/web serves\n", ""}, 6 * time.Second, ""},
		"an earlier call was interrupted": {[]client.Object{givenDeployment(scaledTo(0)), givenRollout(ofWeb, healthy)}, nil, "",
			outcomes{0, "5 of 4 pods of the rollout are available, the deployment has 0\ndeployment 'web' adopted: rollout.argoproj.io/web serves\n", ""}, 0, ""},
		"no controller": {[]client.Object{givenDeployment()}, nil, "",
			outcomes{1, "rollout.argoproj.io/web created\n", "Error: no controller has looked at the rollout yet: is one running? The deployment serves as before; `kubectl delete rollout web` takes this back\n"}, 31 * time.Second, ""},
		"the rollout does not come up": {[]client.Object{givenDeployment()}, script{{time.Second, func(s *apiServer, _ func()) { created(s, degraded) }}}, "",
			outcomes{1, "rollout.argoproj.io/web created\n", "Error: the rollout is Degraded (RolloutAborted: no success); the deployment's pods serve on. `kubectl argo rollouts release rollout web` goes back\n"}, time.Second, ""},
		"too slow": {[]client.Object{givenDeployment(), givenRollout(ofWeb, running)}, nil, "--timeout 5m",
			outcomes{1, "5 of 4 pods of the rollout are available, the deployment has 4\n", "Error: not done after 5m0s; the pods of both serve. Look with `kubectl argo rollouts why web`; `kubectl argo rollouts release rollout web` goes back\n"}, 5 * time.Minute, ""},
		"autoscalers may not be read": {[]client.Object{givenDeployment(), givenRollout(ofWeb, named("x", "bank"))}, script{{time.Second, func(s *apiServer, _ func()) { s.put(givenDeployment(scaledTo(0))); created(s, healthy) }}}, "",
			outcomes{0, "rollout.argoproj.io/web created\n5 of 4 pods of the rollout are available, the deployment has 0\ndeployment 'web' adopted: rollout.argoproj.io/web serves\n",
				"Warning: autoscalers are not looked at: the server says Forbidden\n"}, time.Second, "GET /apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, c.objects...)
				s.deny[c.deny] = http.StatusForbidden
				got, took := play(t, s, Options{}, c.acts, append([]string{"adopt", "deployment", "web"}, strings.Fields(c.args)...)...)
				if got != c.want || took.Truncate(time.Second) != c.took {
					t.Errorf("after %s\n%q\n%q\nwant %q\n%q", took, got.out, got.err, c.want.out, c.want.err)
				}
			})
		})
	}
}

func TestWhatCannotBeReleasedIsSaid(t *testing.T) {
	for want, objects := range map[string][]client.Object{
		`rollout.argoproj.io "web" not found`:                                          nil,
		`rollout "web" is not Healthy (Paused - CanaryPauseStep): finish its update`:   {givenRollout()},
		`rollout "web" is not Healthy (Degraded - RolloutAborted: no success): finish`: {givenRollout(degraded)},
		`rollout "web" is of a PodTemplate: release it by hand`:                        {givenRollout(healthy, refersTo("v1", "PodTemplate"))},
		`deployment "web" is there already: remove it, or let the rollout refer to it`: {givenRollout(healthy), givenDeployment()},
	} {
		s := newServer(t, objects...)
		got := s.call(t.Context(), "release", "rollout", "web")
		if got.code != 1 || !strings.HasPrefix(got.err, "Error: "+want) || len(s.seen) > 0 && !strings.HasPrefix(s.seen[0], "POST /apis/apps/v1/namespaces/shop/deployments") {
			t.Errorf("%+v after %v, want %q", got, s.seen, want)
		}
	}
}

// The requests are those that a call makes from where an earlier one was interrupted.
func TestReleasingGoesOnFromAnywhere(t *testing.T) {
	const (
		rolloutPath = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web"
		refers      = "PATCH " + rolloutPath + ` application/merge-patch+json {"spec":{"template":null,"workloadRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web","scaleDown":"progressively"}}}`
		removes     = "DELETE " + rolloutPath
	)
	made := func(d *appsv1.Deployment) { d.Annotations = map[string]string{"penstock.io/released-from": "uid-web"} }
	leaving := func(r *v1alpha1.Rollout) { now := ago(0); r.DeletionTimestamp = &now }
	takenIn := script{{2500 * time.Millisecond, func(s *apiServer, _ func()) { s.put(givenRollout(healthy, ofWeb, givingUp)) }}}
	for name, c := range map[string]struct {
		objects []client.Object
		acts    script
		sent    []string
	}{
		"a template of its own":       {[]client.Object{givenRollout(healthy)}, takenIn, []string{"POST /apis/apps/v1/namespaces/shop/deployments", refers, removes}},
		"the Deployment is made":      {[]client.Object{givenRollout(healthy), givenDeployment(scaledTo(0), made)}, takenIn, []string{"POST /apis/apps/v1/namespaces/shop/deployments", refers, removes}},
		"the Rollout refers to it":    {[]client.Object{givenRollout(healthy, ofWeb), givenDeployment(scaledTo(0), made)}, takenIn, []string{refers, removes}},
		"a Deployment from the start": {[]client.Object{givenRollout(healthy, ofWeb, givingUp), givenDeployment(scaledTo(0))}, nil, []string{removes}},
		"the Rollout is leaving":      {[]client.Object{givenRollout(healthy, ofWeb, givingUp, leaving), givenDeployment(scaledTo(2))}, nil, []string{removes}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, c.objects...)
				s.put(givenRollout(named("other", "shop")))
				acts := append(c.acts, script{{4500 * time.Millisecond, func(s *apiServer, _ func()) { s.put(givenDeployment(scaledTo(4), made)) }},
					{7500 * time.Millisecond, func(s *apiServer, _ func()) { s.remove("/rollouts/web") }}}...)
				got, took := play(t, s, Options{}, acts, "release", "rollout", "web")
				if got.code != 0 || got.err != "" || took.Truncate(time.Second) != 7*time.Second ||
					!strings.HasSuffix(got.out, "4 of 4 pods of deployment.apps/web are available\nrollout 'web' released: deployment.apps/web serves\n") {
					t.Errorf("after %s %+v", took, got)
				}
				var sent []string
				for _, request := range s.seen {
					if strings.HasPrefix(request, "POST") {
						request = strings.Join(strings.Fields(request)[:2], " ")
					}
					sent = append(sent, strings.TrimSpace(request))
				}
				if strings.Join(sent, "\n") != strings.Join(c.sent, "\n") {
					t.Errorf("sent\n%s\nwant\n%s", strings.Join(sent, "\n"), strings.Join(c.sent, "\n"))
				}
			})
		})
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	for args, c := range map[string]struct {
		objects []client.Object
		want    string
	}{
		"adopt deployment web": {[]client.Object{givenDeployment()}, "  workloadRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: web\n    scaleDown: progressively\n"},
		"release rollout web":  {[]client.Object{givenRollout(healthy)}, "would create deployment.apps/web from the rollout's template, and let the rollout refer to it\nwould delete rollout 'web'"},
		"release rollouts web": {[]client.Object{givenRollout(healthy, ofWeb)}, "would set spec.workloadRef.scaleDown to progressively"},
		"adopt deploy web":     {[]client.Object{givenDeployment(), givenRollout(ofWeb, justMade)}, "rollout 'web' is there already"},
	} {
		s := newServer(t, c.objects...)
		if got := s.call(t.Context(), append(strings.Fields(args), "--dry-run")...); got.code != 0 || !strings.Contains(got.out, c.want) || len(s.seen) > 0 {
			t.Errorf("%s: %+v after %v", args, got, s.seen)
		}
	}
}
