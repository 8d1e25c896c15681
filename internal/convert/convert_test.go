package convert_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/convert"
	"github.com/penstock-io/penstock/internal/lint"
	"github.com/penstock-io/penstock/internal/rollout"
)

func deployment(replicas int32, mods ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{}
	d.Name, d.Namespace, d.UID, d.ResourceVersion = "orders", "shop", "u-1", "7"
	d.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "deployment.kubernetes.io/revision": "3", "team": "shop"}
	d.Spec.Replicas, d.Spec.Selector = &replicas, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "orders"}}
	d.Spec.Template.Labels = map[string]string{"app": "orders", "tier": "back"}
	d.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "now"}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "orders", Image: "shop/orders:1"}}
	d.Status.Replicas = replicas
	for _, mod := range mods {
		mod(d)
	}
	return d
}

func service(name string, selector ...string) *corev1.Service {
	s := &corev1.Service{}
	s.Name, s.Namespace, s.Spec.ClusterIP, s.Spec.Type = name, "shop", "10.0.0.1", corev1.ServiceTypeNodePort
	s.Spec.Selector = map[string]string{}
	for _, l := range selector {
		k, v, _ := strings.Cut(l, "=")
		s.Spec.Selector[k] = v
	}
	s.Spec.Ports = []corev1.ServicePort{{Port: 80, NodePort: 30080, TargetPort: intstr.FromInt32(8080)}}
	return s
}

func route(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	u.SetNamespace("shop")
	u.SetResourceVersion("9")
	return u
}

const (
	httpRoute      = `{kind: HTTPRoute, apiVersion: gateway.networking.k8s.io/v1, metadata: {name: public}, spec: {rules: [{name: own, backendRefs: [{name: orders, port: 80}]}, {backendRefs: [{name: other}]}, {backendRefs: [{name: orders}, {name: other}]}]}, status: {parents: []}}`
	virtualService = `{kind: VirtualService, apiVersion: networking.istio.io/v1, metadata: {name: mesh}, spec: {hosts: [orders], http: [{name: main, route: [{destination: {host: orders.shop.svc.cluster.local, port: {number: 80}}}]}, {name: rest, route: [{destination: {host: other}}]}]}}`
	ingress        = `{kind: Ingress, apiVersion: networking.k8s.io/v1, metadata: {name: edge}, spec: {ingressClassName: %s, rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: orders, port: {number: 80}}}}]}}]}}`
)

// outline says what was made, in a line for each object.
func outline(t testing.TB, out convert.Output) (lines []string) {
	t.Helper()
	for _, o := range out.Objects {
		switch o := o.(type) {
		case *corev1.Service:
			lines = append(lines, fmt.Sprintf("Service %s %v %d %s", o.Name, o.Spec.Selector, o.Spec.Ports[0].NodePort, o.Spec.ClusterIP))
		case *unstructured.Unstructured:
			raw, err := yaml.Marshal(o.Object["spec"])
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf("%s %s %q status %v", o.GetKind(), o.GetName(), o.GetResourceVersion(), o.Object["status"]), string(raw))
		case *v1alpha1.AnalysisTemplate:
			lines = append(lines, "AnalysisTemplate "+o.Name)
		case *v1alpha1.Rollout:
			raw, err := yaml.Marshal(o.Spec.Strategy)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf("Rollout %s %v %v template %d reference %v", o.Name, o.Annotations, o.Spec.Template.Annotations, len(o.Spec.Template.Spec.Containers), o.Spec.WorkloadRef != nil), string(raw))
		}
	}
	return lines
}

func weights(out convert.Output) (all []int32) {
	r := out.Objects[len(out.Objects)-1].(*v1alpha1.Rollout)
	for _, s := range r.Spec.Strategy.Canary.Steps {
		if s.SetWeight != nil {
			all = append(all, *s.SetWeight)
		}
	}
	return all
}

func TestWhatARolloutIsMadeOf(t *testing.T) {
	template := &v1alpha1.AnalysisTemplate{ObjectMeta: metav1.ObjectMeta{Name: "orders-requests"}}
	for name, c := range map[string]struct {
		in    convert.Input
		want  []string // parts of the outline, in their order
		notes []string
	}{
		"a Deployment alone": {convert.Input{Deployment: deployment(10)}, []string{"Rollout orders map[team:shop] map[] template 1 reference false", "setWeight: 10", "setWeight: 50"},
			[]string{"no router was found", "nothing judges the new version", "an autoscaler of the Deployment"}},
		"a reference":     {convert.Input{Deployment: deployment(10), Reference: true}, []string{"template 0 reference true"}, []string{"keeps the template"}},
		"a Service alone": {convert.Input{Deployment: deployment(10), Services: []*corev1.Service{service("orders", "app=orders")}}, []string{"Rollout orders", "setWeight: 10"}, nil},
		"an HTTPRoute": {convert.Input{Deployment: deployment(4), Services: []*corev1.Service{service("orders", "app=orders")}, Routes: []*unstructured.Unstructured{route(t, httpRoute)}},
			[]string{"Service orders-canary map[app:orders] 0 \n", "HTTPRoute public \"\" status <nil>\n", "- name: orders\n    port: 80\n    weight: 100\n  - name: orders-canary\n    port: 80\n    weight: 0\n  name: own\n- backendRefs:\n  - name: other\n- backendRefs:\n  - name: orders\n  - name: other\n",
				"canaryService: orders-canary", "stableService: orders", "setWeight: 5", "argoproj-labs/gatewayAPI:\n        httpRoute: public\n        namespace: shop"}, []string{"HTTPRoute public divides the requests"}},
		"a VirtualService": {convert.Input{Deployment: deployment(4), Services: []*corev1.Service{service("orders", "app=orders")}, Routes: []*unstructured.Unstructured{route(t, virtualService)}},
			[]string{"VirtualService mesh", "host: orders.shop.svc.cluster.local\n      port:\n        number: 80\n    weight: 100\n  - destination:\n      host: orders-canary.shop.svc.cluster.local\n      port:\n        number: 80\n    weight: 0",
				"istio:\n      virtualService:\n        name: mesh\n        routes:\n        - main\n"}, nil},
		"an Ingress of nginx": {convert.Input{Deployment: deployment(4), Services: []*corev1.Service{service("orders", "app=orders")}, Routes: []*unstructured.Unstructured{route(t, fmt.Sprintf(ingress, "nginx"))}},
			[]string{"Service orders-canary", "setWeight: 5", "nginx:\n      stableIngress: edge\n"}, nil},
		"an Ingress of another": {convert.Input{Deployment: deployment(4), Services: []*corev1.Service{service("orders", "app=orders")}, Routes: []*unstructured.Unstructured{route(t, fmt.Sprintf(ingress, "alb"))}},
			[]string{"Rollout orders", "setWeight: 25"}, []string{`Ingress edge is of class "alb"`}},
		"several Services": {convert.Input{Deployment: deployment(4), Services: []*corev1.Service{service("all", "tier=back"), service("orders", "app=orders"), service("none"), service("other", "app=other")},
			Routes: []*unstructured.Unstructured{route(t, httpRoute)}}, []string{"stableService: orders"}, []string{"2 Services lead to the pods; Service orders is"}},
		"blue-green": {convert.Input{Deployment: deployment(4), Strategy: convert.BlueGreen, Services: []*corev1.Service{service("orders", "app=orders")}, Template: template},
			[]string{"Service orders-preview", "AnalysisTemplate orders-requests", "activeService: orders", "autoPromotionSeconds: 300", "postPromotionAnalysis:", "templates:\n    - templateName: orders-requests", "previewService: orders-preview"}, []string{"tried at Service orders-preview"}},
		"an analysis": {convert.Input{Deployment: deployment(4), Template: template}, []string{"AnalysisTemplate orders-requests", "analysis:", "startingStep: 1\n    templates:\n    - templateName: orders-requests\n"}, nil},
		"a short history and Recreate": {convert.Input{Deployment: deployment(4, func(d *appsv1.Deployment) {
			d.Spec.RevisionHistoryLimit, d.Spec.Strategy.Type = new(int32(1)), appsv1.RecreateDeploymentStrategyType
		})}, nil, []string{"revisionHistoryLimit 1 is left out", "replaces all pods at once (Recreate)"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.in.Deployment.DeepCopy()
			out, err := convert.Deployment(c.in)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(outline(t, out), "\n")
			rest := text
			for _, w := range c.want {
				_, after, found := strings.Cut(rest, w)
				if !found {
					t.Fatalf("%q is missing, or out of place, in\n%s", w, text)
				}
				rest = after
			}
			notes := strings.Join(out.Notes, "\n")
			for _, n := range c.notes {
				if !strings.Contains(notes, n) {
					t.Errorf("%q is missing in\n%s", n, notes)
				}
			}
			if d := cmp.Diff(before, c.in.Deployment); d != "" {
				t.Errorf("the input changed:\n%s", d)
			}
		})
	}
}

func TestWeightsAreThoseThatPodsCanShow(t *testing.T) {
	for replicas, want := range map[int32][]int32{0: {50}, 1: {50}, 2: {50}, 3: {34, 50}, 4: {25, 50}, 10: {10, 50}, 100: {10, 50}} {
		out, err := convert.Deployment(convert.Input{Deployment: deployment(replicas)})
		if got := weights(out); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d pods: %v, %v, want %v", replicas, got, err, want)
		}
	}
}

func TestWhatCannotBeConvertedIsSaid(t *testing.T) {
	for want, in := range map[string]convert.Input{
		"blue-green switches a Service, and none of those given selects the pods of Deployment orders": {Deployment: deployment(1), Strategy: convert.BlueGreen, Services: []*corev1.Service{service("other", "app=other")}},
		`unknown strategy "rolling"; there are canary and bluegreen`:                                   {Deployment: deployment(1), Strategy: "rolling"},
	} {
		if _, err := convert.Deployment(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Whatever a Deployment is like, what comes out is valid.
func TestWhatIsMadeIsValid(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		maybe := func() *int32 {
			if r.IntN(3) == 0 {
				return nil
			}
			return new(r.Int32N(5))
		}
		in := convert.Input{Deployment: deployment(r.Int32N(30), func(d *appsv1.Deployment) {
			d.Spec.RevisionHistoryLimit = maybe()
			if r.IntN(4) == 0 {
				d.Spec.Replicas = nil
			}
			if r.IntN(2) == 0 {
				surge, missing := intstr.FromInt32(1+r.Int32N(3)), intstr.FromString(fmt.Sprintf("%d%%", r.IntN(100)))
				d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &missing}}
			} else if r.IntN(3) == 0 {
				d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
			}
			d.Spec.MinReadySeconds, d.Spec.Paused = r.Int32N(30), r.IntN(5) == 0
			if r.IntN(2) == 0 {
				d.Spec.ProgressDeadlineSeconds = new(d.Spec.MinReadySeconds + 1 + r.Int32N(600))
			}
		}), Reference: r.IntN(2) == 0, Strategy: []string{"", convert.Canary, convert.BlueGreen}[r.IntN(3)]}
		for i := range r.IntN(4) {
			in.Services = append(in.Services, service(fmt.Sprintf("s%d", i), "app=orders"))
		}
		in.Services = append(in.Services, service("orders", "app=orders"))
		for _, text := range []string{httpRoute, virtualService, fmt.Sprintf(ingress, "nginx"), fmt.Sprintf(ingress, "alb")} {
			if r.IntN(2) == 0 {
				in.Routes = append(in.Routes, route(t, text))
			}
		}
		out, err := convert.Deployment(in)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		made := out.Objects[len(out.Objects)-1].(*v1alpha1.Rollout)
		for _, p := range rollout.Validate("shop", made.Name, &made.Spec, nil) {
			t.Errorf("seed %d: %s", seed, p.Text)
		}
		var sources []lint.Source
		for i, o := range append(out.Objects, objectsOf(in)...) {
			raw, err := yaml.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, lint.Source{Name: fmt.Sprint(i), Data: raw})
		}
		found, err := lint.Check(sources)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if f.Severity == lint.Error && !strings.Contains(f.Message, "unknown field") {
				t.Errorf("seed %d: %s %s", seed, f.Path, f.Message)
			}
		}
	}
}

func objectsOf(in convert.Input) (all []runtime.Object) {
	for _, s := range in.Services {
		s.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}
		all = append(all, s)
	}
	return all
}
