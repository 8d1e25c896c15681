package alb

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

const (
	rootAction = "alb.ingress.kubernetes.io/actions.root"
	// letGone is the action that a rollout leaves behind.
	letGone = `{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"root","ServicePort":"80","Weight":100}]}}`
)

// web has foreign things of every sort: another rollout's action and book, an action with
// keys that nobody here knows, other paths, hosts, and rules without http.
const web = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  labels: {team: a}
  annotations:
    note: keep
    alb.ingress.kubernetes.io/actions.root: '` + letGone + `'
    alb.ingress.kubernetes.io/actions.api: '{ "type" : "forward", "future": [1, null], "forwardConfig":{"targetGroups":[{"serviceName":"api","servicePort":80}]}}'
    rollouts.argoproj.io/managed-alb-annotations: '{"api":["alb.ingress.kubernetes.io/actions.api"]}'
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: sorry, port: {number: 80}}}
  rules:
  - host: only.example
  - host: a.example
    http:
      paths:
      - {path: /static, pathType: Prefix, backend: {service: {name: static, port: {number: 80}}}}
      - {path: /, pathType: Prefix, backend: {service: {name: root, port: {name: use-annotation}}}}
      - {path: /api, pathType: Prefix, backend: {service: {name: api, port: {name: use-annotation}}}}
      - {path: /files, pathType: Prefix, backend: {resource: {apiGroup: x.example, kind: Bucket, name: b}}}
  - host: b.example
    http: {paths: [{path: /*, pathType: ImplementationSpecific, backend: {service: {name: root, port: {name: use-annotation}}}}]}
  - host: other.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: other, port: {number: 80}}}}]}
status: {loadBalancer: {ingress: [{hostname: lb.example}]}}
`

const second = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: second, namespace: shop, annotations: {alb.ingress.kubernetes.io/actions.root: '` + letGone + `'}}
spec: {rules: [{http: {paths: [{path: /*, pathType: ImplementationSpecific, backend: {service: {name: root, port: {name: use-annotation}}}}]}}]}
status: {loadBalancer: {ingress: [{hostname: lb.example}]}}
`

func targetOf(c v1alpha1.ALBTrafficRouting) traffic.Target {
	return traffic.Target{Namespace: "shop", Name: "web", UID: "u-1", StableService: "stable", CanaryService: "canary", Routing: &v1alpha1.RolloutTrafficRouting{
		ALB: &c, ManagedRoutes: []v1alpha1.MangedRoutes{{Name: "hdr-b"}, {Name: "hdr"}, {Name: "hdr-1"}}}}
}

func section() v1alpha1.ALBTrafficRouting {
	return v1alpha1.ALBTrafficRouting{Ingresses: []string{"web", "second"}, ServicePort: 80, RootService: "root"}
}

// mask takes away what is ours: the annotations that the book lists, the book, the claim and
// the paths of header routes.
func mask(u *unstructured.Unstructured) {
	h, problem := deskOf(targetOf(section())).hold(u.GetName(), u.Object)
	if problem != "" {
		panic(problem)
	}
	h.lead("root", nil)
	for _, key := range append(h.keys, rootAction, traffic.ClaimAnnotation) {
		delete(h.notes, key)
	}
	enter(h.notes, "web", nil)
}

func drift(u *unstructured.Unstructured) {
	notes := u.GetAnnotations()
	notes[rootAction] = strings.NewReplacer(`"Weight":30`, `"Weight":50`, `"Weight":40`, `"Weight":20`).Replace(notes[rootAction])
	u.SetAnnotations(notes)
}

func fixture(t testing.TB, c v1alpha1.ALBTrafficRouting) routertest.Fixture {
	return routertest.Fixture{
		New:     func(r client.Reader, w client.Client) traffic.Router { return New(r, w, Options{}) },
		Target:  targetOf(c),
		Objects: []*unstructured.Unstructured{routertest.Object(t, web), routertest.Object(t, second)},
		Extras:  true, Headers: true, Exact: true, Bare: true,
		Mask: mask, Drift: drift,
		Shape: func(r *rand.Rand) []*unstructured.Unstructured {
			return []*unstructured.Unstructured{shape(r, "web"), shape(r, "second")}
		},
	}
}

// shape is an Ingress whose root Service some path leads to.
func shape(r *rand.Rand, name string) *unstructured.Unstructured {
	lead := func(service string) map[string]any {
		kind := []string{"Prefix", "Exact", "ImplementationSpecific"}[r.IntN(3)]
		return map[string]any{"path": fmt.Sprint("/", r.IntN(9)), "pathType": kind, "backend": map[string]any{"service": map[string]any{"name": service, "port": map[string]any{"name": byAnnotation}}}}
	}
	var rules []any
	for i := range 1 + r.IntN(3) {
		paths := []any{lead("other")}
		if i == 0 || r.IntN(2) == 0 {
			paths = append(paths, lead("root"))
		}
		if r.IntN(3) == 0 {
			paths = append(paths, map[string]any{"path": "/r", "backend": map[string]any{"resource": map[string]any{"kind": "B"}}}, lead("root"))
		}
		rule := map[string]any{"http": map[string]any{"paths": paths}}
		if r.IntN(2) == 0 {
			rule["host"] = fmt.Sprintf("h%d.example", i)
		}
		rules = append(rules, rule)
	}
	if r.IntN(3) == 0 {
		rules = append(rules, map[string]any{"host": "bare.example"})
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"rules": rules}}}
	u.SetGroupVersionKind(ingress)
	u.SetNamespace("shop")
	u.SetName(name)
	notes := map[string]string{rootAction: letGone}
	if r.IntN(2) == 0 {
		notes["note"], notes[bookKey] = "keep", `{"api":["x/actions.api"],"web-2":[]}`
	}
	if r.IntN(3) == 0 {
		notes[formerKey] = `{"api":["x/actions.api"]}`
	}
	u.SetAnnotations(notes)
	return u
}

func TestContract(t *testing.T) {
	sticky := section()
	sticky.StickinessConfig = &v1alpha1.StickinessConfig{Enabled: true, DurationSeconds: 300}
	for name, c := range map[string]v1alpha1.ALBTrafficRouting{"by a root Service": section(), "with stickiness": sticky} {
		t.Run(name, func(t *testing.T) { routertest.Run(t, fixture(t, c)) })
	}
}

func clusterOf(objects ...client.Object) client.Client {
	return fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithObjects(objects...).Build()
}

func read(t *testing.T, cluster client.Client, name string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(ingress)
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, u); err != nil {
		t.Fatal(err)
	}
	return u
}

func at(weight int32) traffic.Split {
	return traffic.Two(100, weight, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
}

func apply(t *testing.T, cluster client.Client, to traffic.Target, s traffic.Split) traffic.Written {
	t.Helper()
	w, err := New(cluster, cluster, Options{}).Apply(t.Context(), to, s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func with(s traffic.Split, weights map[string]int32) traffic.Split {
	for _, name := range []string{"exp-a", "exp-b"} {
		if w, there := weights[name]; there {
			s.Destinations[0].Weight -= w
			s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra, Service: name, Weight: w})
		}
	}
	return s
}

// Covers: traffic edge 175.
func TestTheActionIsAsPublished(t *testing.T) {
	one := section()
	one.Ingress, one.Ingresses = "web", nil
	sticky, off := one, one
	sticky.StickinessConfig = &v1alpha1.StickinessConfig{Enabled: true, DurationSeconds: 300}
	off.StickinessConfig = &v1alpha1.StickinessConfig{DurationSeconds: 0}
	for name, c := range map[string]struct {
		section v1alpha1.ALBTrafficRouting
		split   traffic.Split
		want    string
	}{
		"two targets": {one, at(30), `{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"canary","ServicePort":"80","Weight":30},{"ServiceName":"stable","ServicePort":"80","Weight":70}]}}`},
		"experiments between them": {one, with(at(10), map[string]int32{"exp-a": 5, "exp-b": 20}),
			`{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"canary","ServicePort":"80","Weight":10},{"ServiceName":"exp-a","ServicePort":"80","Weight":5},{"ServiceName":"exp-b","ServicePort":"80","Weight":20},{"ServiceName":"stable","ServicePort":"80","Weight":65}]}}`},
		// Covers: traffic edge 176.
		"stickiness": {sticky, at(0), `{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"canary","ServicePort":"80","Weight":0},{"ServiceName":"stable","ServicePort":"80","Weight":100}],"TargetGroupStickinessConfig":{"Enabled":true,"DurationSeconds":300}}}`},
		// Covers: traffic edge 176.
		"stickiness that is off": {off, at(100), `{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"canary","ServicePort":"80","Weight":100},{"ServiceName":"stable","ServicePort":"80","Weight":0}]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := clusterOf(routertest.Object(t, web))
			apply(t, cluster, targetOf(c.section), c.split)
			u := read(t, cluster, "web")
			if d := cmp.Diff(c.want, u.GetAnnotations()[rootAction]); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(`{"api":["alb.ingress.kubernetes.io/actions.api"],"web":["alb.ingress.kubernetes.io/actions.root"]}`, u.GetAnnotations()[bookKey]); d != "" {
				t.Error(d)
			}
			if w := apply(t, cluster, targetOf(c.section), c.split); len(w) != 0 {
				t.Errorf("no change wrote %v", w)
			}
		})
	}
}

// Covers: traffic edge 175.
func TestAnActionThatSaysTheSameStays(t *testing.T) {
	text := `{ "type": "forward", "forwardConfig": {"targetGroups": [
		{"serviceName": "canary", "servicePort": 80, "weight": 30}, {"weight": 70, "servicePort": "80", "serviceName": "stable"}]} }`
	u := routertest.Object(t, second)
	u.SetAnnotations(map[string]string{rootAction: text, bookKey: `{"web": ["` + rootAction + `"]}`})
	c := section()
	c.Ingresses = []string{"second"}
	cluster := clusterOf(u)
	if w := apply(t, cluster, targetOf(c), at(30)); len(w) != 0 {
		t.Errorf("wrote %v", w)
	}
	apply(t, cluster, targetOf(c), at(31))
	if got := read(t, cluster, "second").GetAnnotations()[rootAction]; !strings.Contains(got, `"Weight":31`) {
		t.Error(got)
	}
	for sentence, other := range map[string]string{
		"another order":      strings.Replace(text, `"weight": 30`, `"weight": 70`, 1),
		"another port":       strings.Replace(text, `"servicePort": 80`, `"servicePort": 81`, 1),
		"a key of its own":   strings.Replace(text, `"type"`, `"future": 1, "type"`, 1),
		"something after it": text + "{}",
		"no JSON":            "{",
	} {
		u.SetAnnotations(map[string]string{rootAction: other, bookKey: `{"web": ["` + rootAction + `"]}`})
		cluster := clusterOf(u)
		o, err := New(cluster, cluster, Options{}).Observe(t.Context(), targetOf(c))
		if err != nil || o.Problem != "" || o.Written.Equal(at(30)) {
			t.Errorf("%s: %s %v %s", sentence, o.Written, err, o.Problem)
		}
		if w := apply(t, cluster, targetOf(c), at(30)); len(w) != 1 {
			t.Errorf("%s: wrote %v", sentence, w)
		}
	}
}

// Covers: traffic edge 178.
func TestPingPong(t *testing.T) {
	cluster, to := clusterOf(routertest.Object(t, web), routertest.Object(t, second)), targetOf(section())
	to.StableService, to.CanaryService = "pong", "ping"
	s := traffic.Two(100, 25, traffic.Destination{Service: "pong"}, traffic.Destination{Service: "ping"})
	apply(t, cluster, to, s)
	want := to1("ping", 25, "pong", 75)
	if d := cmp.Diff(want, read(t, cluster, "web").GetAnnotations()[rootAction]); d != "" {
		t.Error(d)
	}
	to.StableService, to.CanaryService = "ping", "pong" // promoted: all on ping, which is stable now
	s = traffic.Two(100, 0, traffic.Destination{Service: "ping"}, traffic.Destination{Service: "pong"})
	apply(t, cluster, to, s)
	if d := cmp.Diff(to1("pong", 0, "ping", 100), read(t, cluster, "web").GetAnnotations()[rootAction]); d != "" {
		t.Error(d)
	}
}

func to1(canary string, weight int, stable string, rest int) string {
	return fmt.Sprintf(`{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":%q,"ServicePort":"80","Weight":%d},{"ServiceName":%q,"ServicePort":"80","Weight":%d}]}}`, canary, weight, stable, rest)
}

// Covers: traffic edge 179, traffic defect 31.
func TestEveryIngressIsWritten(t *testing.T) {
	cluster, to := clusterOf(routertest.Object(t, web), routertest.Object(t, second)), targetOf(section())
	apply(t, cluster, to, at(30))
	u := read(t, cluster, "second")
	notes := u.GetAnnotations()
	notes[rootAction] = to1("canary", 5, "stable", 95)
	u.SetAnnotations(notes)
	if err := cluster.Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if w := apply(t, cluster, to, at(30)); len(w) != 1 {
		t.Errorf("wrote %v", w)
	}
	if d := cmp.Diff(to1("canary", 30, "stable", 70), read(t, cluster, "second").GetAnnotations()[rootAction]); d != "" {
		t.Error(d)
	}
}

func header(name string, pairs ...string) v1alpha1.SetHeaderRoute {
	h := v1alpha1.SetHeaderRoute{Name: name}
	for i := 0; i < len(pairs); i += 2 {
		h.Match = append(h.Match, v1alpha1.HeaderRoutingMatch{HeaderName: pairs[i], HeaderValue: &v1alpha1.StringMatch{Exact: pairs[i+1]}})
	}
	return h
}

// Covers: traffic edge 177, traffic defect 34.
func TestHeaderRoutes(t *testing.T) {
	cluster, to := clusterOf(routertest.Object(t, web), routertest.Object(t, second)), targetOf(section())
	s := at(0)
	// hdr-1 is a route of the user's, so the second rule of hdr gets another name.
	s.Headers = []v1alpha1.SetHeaderRoute{header("hdr-b", "x-b", "1"), header("hdr", "x-beta", "1", "x-team", "a", "X-Beta", "2")}
	apply(t, cluster, to, s)
	u := read(t, cluster, "web")
	notes := u.GetAnnotations()
	prefix := "alb.ingress.kubernetes.io/"
	only := `{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"canary","ServicePort":"80","Weight":100}]}}`
	for key, want := range map[string]string{
		"actions.hdr-b": only, "actions.hdr": only, "actions.hdr-2": only,
		"conditions.hdr-b": `[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x-b","values":["1"]}}]`,
		"conditions.hdr":   `[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x-beta","values":["1","2"]}}]`,
		"conditions.hdr-2": `[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x-team","values":["a"]}}]`,
	} {
		if d := cmp.Diff(want, notes[prefix+key]); d != "" {
			t.Errorf("%s: %s", key, d)
		}
	}
	var got []string
	rules, _, _ := unstructured.NestedSlice(u.Object, "spec", "rules")
	for _, r := range rules {
		paths, _, _ := unstructured.NestedSlice(r.(map[string]any), "http", "paths")
		for _, p := range paths {
			name, port := backend(p)
			got = append(got, fmt.Sprint(r.(map[string]any)["host"], " ", p.(map[string]any)["path"], " ", p.(map[string]any)["pathType"], " ", name, " ", port))
		}
	}
	want := []string{
		"a.example / Prefix hdr-b use-annotation", "a.example / Prefix hdr use-annotation", "a.example / Prefix hdr-2 use-annotation",
		"a.example /static Prefix static ", "a.example / Prefix root use-annotation", "a.example /api Prefix api use-annotation", "a.example /files Prefix  ",
		"b.example /* ImplementationSpecific hdr-b use-annotation", "b.example /* ImplementationSpecific hdr use-annotation",
		"b.example /* ImplementationSpecific hdr-2 use-annotation", "b.example /* ImplementationSpecific root use-annotation",
		"other.example / Prefix other ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	s.Headers = nil // no match any more
	apply(t, cluster, to, s)
	plain := clusterOf(routertest.Object(t, web), routertest.Object(t, second))
	apply(t, plain, to, s)
	for _, name := range []string{"web", "second"} {
		a, b := read(t, cluster, name), read(t, plain, name)
		a.SetResourceVersion("")
		b.SetResourceVersion("")
		if d := cmp.Diff(b.Object, a.Object); d != "" {
			t.Errorf("something stays: %s", d)
		}
	}
}

// What the published controller leaves in the middle of a step is taken over: its header
// route counts until it is known, its book is read in both forms.
//
// Covers: traffic edge 177.
func TestTakingOver(t *testing.T) {
	prefix := "alb.ingress.kubernetes.io/"
	for name, key := range map[string]string{"the book": bookKey, "the former book": formerKey} {
		t.Run(name, func(t *testing.T) {
			u, to := routertest.Object(t, second), targetOf(section())
			to.Routing.ALB.Ingresses = []string{"second"}
			s := at(30)
			s.Headers = []v1alpha1.SetHeaderRoute{header("hdr", "x-beta", "1")}
			cluster := clusterOf(u)
			apply(t, cluster, to, s)
			wanted := read(t, cluster, "second")
			former := wanted.DeepCopy()
			notes := former.GetAnnotations()
			delete(notes, traffic.ClaimAnnotation)
			delete(notes, bookKey)
			notes[key] = `{"other":[],"web":["` + prefix + `conditions.hdr","` + rootAction + `","` + prefix + `actions.hdr"]}`
			former.SetAnnotations(notes)
			cluster = clusterOf(former)
			o, err := New(cluster, cluster, Options{}).Observe(t.Context(), to)
			if err != nil || o.Problem != "" || len(o.Written.Headers) != 1 || o.Written.Headers[0].Name != "hdr" || o.Written.Weight(traffic.Canary) != 30 {
				t.Fatalf("%s %v %s", o.Written, err, o.Problem)
			}
			apply(t, cluster, to, s)
			if o, _ = New(cluster, cluster, Options{}).Observe(t.Context(), to); !o.Written.Equal(s) {
				t.Errorf("afterwards %s", o.Written)
			}
			got := read(t, cluster, "second")
			if d := cmp.Diff(wanted.Object["spec"], got.Object["spec"]); d != "" {
				t.Error(d)
			}
			if key == formerKey && got.GetAnnotations()[formerKey] != `{"other":[]}` {
				t.Errorf("the former book: %s", got.GetAnnotations()[formerKey])
			}
			apply(t, cluster, to, traffic.Split{})
			notes = read(t, cluster, "second").GetAnnotations()
			if _, there := notes[prefix+"conditions.hdr"]; there || notes[rootAction] != letGone || strings.Contains(notes[bookKey], `"web"`) {
				t.Errorf("after letting go: %v", notes)
			}
		})
	}
}
