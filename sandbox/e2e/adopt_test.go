package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// gone wants no Rollout.
func gone(t *testing.T, ns, name string) {
	t.Helper()
	err := shared.Client().Get(t.Context(), types.NamespacedName{Namespace: ns, Name: name}, &v1alpha1.Rollout{})
	if !apierrors.IsNotFound(err) {
		t.Fatalf("rollout %s: %v", name, err)
	}
}

// A live application changes hands and comes back while its users go on.
func TestADeploymentIsAdoptedAndReleasedUnderLoad(t *testing.T) {
	t.Parallel()
	d := newDeployed(t)
	p := person{d.ns}
	p.gets(t, "adopt deployment web --dry-run", "kind: Rollout\n", "scaleDown: progressively\n", "setWeight: 25\n")
	gone(t, d.ns, "web")
	p.gets(t, "adopt deployment web", "rollout.argoproj.io/web created\n", "4 of 4 pods of the rollout are available, the deployment has ", "deployment 'web' adopted: rollout.argoproj.io/web serves\n")
	d.pods(t, 0)
	p.gets(t, "adopt deployment web", "deployment 'web' adopted")
	d.users.answers(t, 100)
	if out := p.gets(t, "history web -o json", `"changedBy": "`); strings.Contains(out, "kubectl") {
		t.Errorf("the template is not the plugin's:\n%s", out)
	}
	p.gets(t, "set image web *=penstock/demo:v2", "deployment \"web\" image updated\n")
	p.gets(t, "status web --for paused --timeout 1m", "Paused - CanaryPauseStep")
	p.fails(t, 1, "release rollout web", "rollout \"web\" is not Healthy (Paused - CanaryPauseStep): finish its update")
	p.gets(t, "promote web --full")
	p.gets(t, "status web --timeout 1m", "Healthy")

	out := p.gets(t, "release rollout web --dry-run", "would delete rollout 'web'; the controller first scales deployment.apps/web to 4 and waits for its pods\n")
	if strings.Contains(out, "would create") {
		t.Error(out)
	}
	p.gets(t, "release rollout web", "pods of deployment.apps/web are available\n", "rollout 'web' released: deployment.apps/web serves\n")
	gone(t, d.ns, "web")
	d.pods(t, 4)
	d.users.answers(t, 100)
	d.users.served(t)
}

// A Rollout that never was a Deployment becomes one.
func TestARolloutWithItsOwnTemplateIsReleasedUnderLoad(t *testing.T) {
	t.Parallel()
	u := newRouted(t)
	p := person{u.ns}
	p.gets(t, "release rollout web --dry-run", "would create deployment.apps/web from the rollout's template")
	p.gets(t, "release rollout web", "deployment.apps/web created, without pods yet\n", "the rollout refers to deployment.apps/web", "rollout 'web' released: deployment.apps/web serves\n")
	gone(t, u.ns, "web")
	d := &deployed{ns: u.ns, users: u.users}
	d.pods(t, 4)
	u.users.answers(t, 100)
	u.users.served(t)
	p.fails(t, 1, "release rollout web", `rollout.argoproj.io "web" not found`)
}

// newRouted is a Healthy Rollout behind a VirtualService, with users.
func newRouted(t *testing.T) *underway {
	t.Helper()
	u := &underway{ns: space(t)}
	apply(t, u.ns, gentle.Replace(web(istioStrategy))+services+fmt.Sprintf(istioRoute, u.ns))
	await(t, u.ns, "web", 30*time.Second, inPhase(v1alpha1.RolloutPhaseHealthy))
	vs := object("networking.istio.io", "v1", "VirtualService")
	vs.SetNamespace(u.ns)
	vs.SetName("web")
	followed(t, u.ns+".example", vs)
	u.users = newUsers(t, u.ns+".example")
	u.users.answers(t, 20)
	return u
}
