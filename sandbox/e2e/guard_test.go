package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/config"
	"github.com/penstock-io/penstock/sandbox/cluster"
)

// guardable are the routers that byObjects does not have.
var guardable = map[string]byObject{
	"Istio": {
		section: "istio: {virtualService: {name: web}}", group: "networking.istio.io", version: "v1", kind: "VirtualService", name: "web",
		manifests: `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web.example], http: [{route: [{destination: {host: web-canary}, weight: 0}, {destination: {host: web-stable}, weight: 100}]}]}
`,
		weight: func(u *unstructured.Unstructured) string { return inFirst(u, "route", "spec", "http") },
		half:   `{"spec":{"http":[{"route":[{"destination":{"host":"web-canary"},"weight":50},{"destination":{"host":"web-stable"},"weight":50}]}]}}`,
	},
	"Gateway API": {
		section: "plugins: {argoproj-labs/gatewayAPI: {httpRoute: web}}", group: "gateway.networking.k8s.io", version: "v1", kind: "HTTPRoute", name: "web",
		manifests: `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {parentRefs: [{name: gateway}], rules: [{backendRefs: [{name: web-canary, port: 80, weight: 0}, {name: web-stable, port: 80, weight: 100}]}]}
`,
		weight: func(u *unstructured.Unstructured) string { return inFirst(u, "backendRefs", "spec", "rules") },
		half:   `{"spec":{"rules":[{"backendRefs":[{"name":"web-canary","port":80,"weight":50},{"name":"web-stable","port":80,"weight":50}]}]}}`,
	},
}

// inFirst is the weight of the first entry of a list in the first entry of another.
func inFirst(u *unstructured.Unstructured, list string, fields ...string) string {
	outer, _, err := unstructured.NestedSlice(u.Object, fields...)
	if err != nil || len(outer) == 0 {
		return fmt.Sprint("no list: ", err)
	}
	return first(&unstructured.Unstructured{Object: outer[0].(map[string]any)}, list)
}

// guard applies the policies of config/guard, bound to namespaces with a label.
func guard(t *testing.T) {
	t.Helper()
	names, err := fs.Glob(config.Guard, "guard/*.yaml")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d policies, %v", len(names), err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "kustomization.yaml") {
			continue
		}
		text, err := fs.ReadFile(config.Guard, name)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := cluster.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			if u := o; u.GetKind() == "ValidatingAdmissionPolicyBinding" {
				if err := unstructured.SetNestedMap(u.Object, map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"guarded": "yes"}}},
					"spec", "matchResources"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := shared.Apply(t.Context(), "", objects...); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGuardKeepsOthersFromMovingARelease: the policies of config/guard on the real API server.
func TestGuardKeepsOthersFromMovingARelease(t *testing.T) {
	t.Parallel()
	made, err := cluster.Decode([]byte(kinds))
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.Apply(t.Context(), "", append(made, gatewayKinds(t)...)...); err != nil {
		t.Fatal(err)
	}
	guard(t)
	all := maps.Clone(byObjects)
	maps.Copy(all, guardable)
	for name, b := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b.guarded(t)
		})
	}
	t.Run("every policy compiles", func(t *testing.T) {
		within(t, 20*time.Second, func() error { return compiled(t) })
	})
}

// compiled is an error for a policy whose expressions the API server finds wrong. Of custom
// resources it knows no types, so only what is wrong in itself shows.
func compiled(t *testing.T) error {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(admissionv1.SchemeGroupVersion.String())
	list.SetKind("ValidatingAdmissionPolicyList")
	if err := shared.Client().List(t.Context(), list); err != nil {
		return err
	}
	var errs []error
	for _, u := range list.Items {
		warnings, _, err := unstructured.NestedSlice(u.Object, "status", "typeChecking", "expressionWarnings")
		if err != nil || len(warnings) > 0 {
			errs = append(errs, fmt.Errorf("policy %s: %v %w", u.GetName(), warnings, err))
		}
	}
	return errors.Join(errs...)
}

func (b byObject) guarded(t *testing.T) {
	ns := space(t)
	label := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"guarded":"yes"}}}`))
	if err := shared.Client().Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, label); err != nil {
		t.Fatal(err)
	}
	strategy := fmt.Sprintf("\n    canary:\n      stableService: web-stable\n      canaryService: web-canary\n      trafficRouting: {%s}\n      steps: [{setWeight: 20}, {pause: {}}]\n", b.section)
	within(t, 30*time.Second, func() error { // a new kind is not served at once
		list, err := cluster.Decode([]byte(web(strategy) + services + b.manifests))
		if err != nil {
			return err
		}
		return shared.Apply(t.Context(), ns, list...)
	})
	patch := func(text string) error {
		u := object(b.group, b.version, b.kind)
		u.SetNamespace(ns)
		u.SetName(b.name)
		return shared.Client().Patch(t.Context(), u, client.RawPatch(types.MergePatchType, []byte(text)))
	}
	await(t, ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	within(t, 10*time.Second, func() error { return patch(`{"metadata":{"annotations":{"note":"before"}}}`) })
	if err := patch(b.half); err != nil {
		t.Errorf("without a release: %v", err)
	}
	setImage(t, ns, "web", "penstock/demo:v2")
	await(t, ns, "web", 30*time.Second, atStep(1))
	b.reads(t, ns, "20", 5*time.Second)
	within(t, 20*time.Second, func() error { // the API server takes a policy up within seconds
		if err := patch(b.half); err == nil || !strings.Contains(err.Error(), "rollout web is moving traffic over this object") {
			return fmt.Errorf("another user moves traffic: %w", err)
		}
		return nil
	})
	for i := range 20 { // often, as the order of a map's keys is another each time
		if err := patch(fmt.Sprintf(`{"metadata":{"annotations":{"note":"meanwhile %d"}}}`, i)); err != nil {
			t.Errorf("what is not a share: %v", err)
			break
		}
	}
	if err := patch(`{"metadata":{"labels":{"penstock.io/break-glass":"incident"}}}`); err != nil {
		t.Errorf("the label: %v", err)
	}
	if err := patch(b.half); err != nil {
		t.Errorf("with broken glass: %v", err)
	}
	b.reads(t, ns, "20", 5*time.Second)
	ro := rollout(t, ns, "web")
	if err := shared.Client().Status().Patch(t.Context(), ro, client.RawPatch(types.MergePatchType, []byte(`{"status":{"abort":true}}`))); err != nil {
		t.Fatal(err)
	}
	b.reads(t, ns, "0", 10*time.Second)
}
