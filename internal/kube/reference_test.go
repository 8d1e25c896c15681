package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func named(templates ...string) *v1alpha1.RolloutAnalysis {
	a := &v1alpha1.RolloutAnalysis{}
	for _, name := range templates {
		a.Templates = append(a.Templates, v1alpha1.AnalysisTemplateRef{TemplateName: name})
	}
	return a
}

// Covers: defect 21.
func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	w := shop(t, func(ro *v1alpha1.Rollout) {
		c := ro.Spec.Strategy.Canary
		c.StableService = "no"
		c.Steps = []v1alpha1.CanaryStep{{SetWeight: ptr(int32(101))}, {Analysis: named("check")}}
	})
	for range 2 {
		if _, err := w.pass(); err != nil {
			t.Fatal(err)
		}
	}
	const want = `InvalidSpec: The Rollout "web" is invalid: ` +
		`spec.strategy.steps[0].setWeight: Invalid value: 101: SetWeight needs to be between 0 and 100 (spec.strategy.canary.steps[0].setWeight: set a weight within these bounds); ` +
		`spec.strategy.canary.stableService: Invalid value: "no": service "no" not found (create the Service in namespace shop, or correct its name); ` +
		`spec.strategy.canary.steps[1].analysis.templates: Invalid value: "check": AnalysisTemplate 'check' not found (create the template, or correct its name and clusterScope); ` +
		`spec.strategy.canary.trafficRouting.istio.virtualService.name: Invalid value: "web": Istio VirtualService has invalid HTTP routes. Error: Stable Service 'no' not found in route`
	if got := w.rollout().Status.Message; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if diff := cmp.Diff([]string{"status Rollout web"}, w.writes); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestReferencesOfEveryStrategy(t *testing.T) {
	blue := func(change func(*v1alpha1.BlueGreenStrategy)) func(*v1alpha1.Rollout) {
		return func(ro *v1alpha1.Rollout) {
			b := &v1alpha1.BlueGreenStrategy{ActiveService: "web-stable", PreviewService: "web-canary"}
			change(b)
			ro.Spec.Strategy = v1alpha1.RolloutStrategy{BlueGreen: b}
		}
	}
	canary := func(change func(*v1alpha1.CanaryStrategy)) func(*v1alpha1.Rollout) {
		return func(ro *v1alpha1.Rollout) { change(ro.Spec.Strategy.Canary) }
	}
	trial := canary(func(c *v1alpha1.CanaryStrategy) {
		c.Steps = []v1alpha1.CanaryStep{{Experiment: &v1alpha1.RolloutExperimentStep{
			Templates: []v1alpha1.RolloutExperimentTemplate{{Name: "a", SpecRef: v1alpha1.CanarySpecRef}},
			Analyses: []v1alpha1.RolloutExperimentStepAnalysisTemplateRef{
				{Name: "x", TemplateName: "check"}, {Name: "y", TemplateName: "all", ClusterScope: true}}}}}
	})
	endless := func() *v1alpha1.AnalysisTemplate {
		e := template("check")
		e.Spec.Metrics[0].Count, e.Spec.Metrics[0].Interval = nil, "1m"
		return e
	}
	const before, after = "spec.strategy.blueGreen.prePromotionAnalysis.templates: ", "spec.strategy.blueGreen.postPromotionAnalysis.templates: "
	const steps = "spec.strategy.canary.steps[0].experiment.analyses"
	for name, c := range map[string]struct {
		change  func(*v1alpha1.Rollout)
		objects []client.Object
		want    []string
	}{
		"blue-green with all it names": {blue(func(b *v1alpha1.BlueGreenStrategy) { b.PrePromotionAnalysis = named("check") }), []client.Object{template("check")}, nil},
		"blue-green without its Services": {blue(func(b *v1alpha1.BlueGreenStrategy) { b.ActiveService, b.PreviewService = "no", "none" }), nil, []string{
			`spec.strategy.blueGreen.activeService: Invalid value: "no": service "no" not found`,
			`spec.strategy.blueGreen.previewService: Invalid value: "none": service "none" not found`}},
		"blue-green without its templates": {blue(func(b *v1alpha1.BlueGreenStrategy) {
			b.PrePromotionAnalysis, b.PostPromotionAnalysis = named("check"), named("rate")
		}), nil, []string{before + `Invalid value: "check": AnalysisTemplate 'check' not found`, after + `Invalid value: "rate": AnalysisTemplate 'rate' not found`}},
		"a promotion that would wait for ever": {blue(func(b *v1alpha1.BlueGreenStrategy) { b.PostPromotionAnalysis = named("check") }), []client.Object{endless()}, []string{
			after + `Invalid value: "check": AnalysisTemplate check has metric check which runs indefinitely. Invalid value for count: <nil>`}},
		"ping-pong without its Services": {canary(func(c *v1alpha1.CanaryStrategy) {
			c.StableService, c.CanaryService, c.PingPong = "", "", &v1alpha1.PingPongSpec{PingService: "ping", PongService: "pong"}
		}), nil, []string{`spec.strategy.canary.pingPong.pingService: Invalid value: "ping": service "ping" not found`,
			`spec.strategy.canary.pingPong.pongService: Invalid value: "pong": service "pong" not found`}},
		"an experiment without its templates": {trial, nil, []string{
			steps + `[0].templateName: Invalid value: "check": AnalysisTemplate 'check' not found`,
			steps + `[1].templateName: Invalid value: "all": ClusterAnalysisTemplate 'all' not found`}},
		"an experiment may have an endless analysis": {trial, []client.Object{endless(), cluster("all")}, nil},
		"an experiment whose template names another": {trial, []client.Object{template("check", "inner"), cluster("all")}, []string{
			`spec.templates: Invalid value: "inner": AnalysisTemplate 'inner' not found`}},
		"a workload that does not exist": {func(ro *v1alpha1.Rollout) {
			ro.Spec.Template, ro.Spec.Selector, ro.Spec.WorkloadRef = corev1.PodTemplateSpec{}, nil, &v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
		}, nil, []string{`deployments.apps "web" not found`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t, c.change)
			for _, o := range c.objects {
				w.create(o)
			}
			got := w.observe().Snapshot.Invalid
			if begin := `The Rollout "web" is invalid: ` + strings.Join(c.want[:min(1, len(c.want))], ""); (got != "") != (len(c.want) > 0) || got != "" && !strings.HasPrefix(got, begin) {
				t.Errorf("got %s", got)
			}
			for _, text := range c.want {
				if strings.Count(got, text) != 1 {
					t.Errorf("%s is not said once in %s", text, got)
				}
			}
		})
	}
}

func cluster(name string) *v1alpha1.ClusterAnalysisTemplate {
	c := &v1alpha1.ClusterAnalysisTemplate{Spec: template(name).Spec}
	c.Name = name
	return c
}

// stored answers with what is stored, as an API server does that has let it in.
type stored struct {
	client.Reader
	spec func(o client.Object) string // of the objects that are stored otherwise
}

func (s stored) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if err := s.Reader.Get(ctx, key, o, opts...); err != nil {
		return err
	}
	patch := s.spec(o)
	if patch == "" {
		return nil
	}
	whole, err := json.Marshal(o)
	if err == nil {
		whole, err = jsonpatch.MergePatch(whole, []byte(`{"spec":`+patch+`}`))
	}
	if err != nil {
		return err
	}
	reflect.ValueOf(o).Elem().SetZero()
	return json.Unmarshal(whole, o)
}

// reading makes the controller read other specs of one kind than are there.
func (w *world) reading(kind, spec string) {
	of := func(o client.Object) string {
		if fmt.Sprintf("%T", o) != "*v1alpha1."+kind {
			return ""
		}
		return spec
	}
	w.rollouts.Reader, w.rollouts.Live = stored{w.client, of}, stored{w.client, of}
}

// Covers: edge 25.
func TestWhatCannotBeReadChangesNothing(t *testing.T) {
	const container = `{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"two","resources":{"limits":{"memory":"abc"}}}]}}`
	for name, c := range map[string]struct {
		spec, want string
		aborts     bool // where nothing that counts is missing, a person's abort works
	}{
		"a quantity":             {`{"template":` + container + `}`, `spec.template.spec.containers[0].resources.limits[memory]: Invalid value: "abc"`, true},
		"the strategy":           {`{"replicas":4,"selector":{"matchLabels":{"app":"web"}},"strategy":"canary"}`, `spec.strategy: Invalid value: "canary": must be an object`, false},
		"the router":             {`{"strategy":{"canary":{"trafficRouting":5}}}`, `spec.strategy.canary.trafficRouting: Invalid value: 5: must be an object`, false},
		"a Service's name":       {`{"strategy":{"canary":{"stableService":5}}}`, `spec.strategy.canary.stableService: Invalid value: 5: must be a string`, false},
		"the number of pods":     {`{"replicas":"4"}`, `spec.replicas: Invalid value: "4": must be a whole number of 32 bits`, false},
		"the selector":           {`{"selector":{"matchLabels":{"app":"web","tier":5}}}`, `spec.selector.matchLabels[tier]: Invalid value: 5: must be a string`, false},
		"the whole spec":         {`"web"`, `spec: Invalid value: "web": must be an object`, false},
		"fewer than no pods":     {`{"replicas":-1}`, `spec.replicas: Invalid value: -1: must be greater than or equal to 0`, false},
		"more pods than exist":   {`{"replicas":2147483647}`, `spec.replicas: Invalid value: 2147483647: must be less than or equal to 268435456`, false},
		"a number of wrong type": {`{"minReadySeconds":"5"}`, `spec.minReadySeconds: Invalid value: "5": must be a whole number of 32 bits`, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := shop(t)
			w.work(settled)
			w.edit(setImage("two"))
			w.work(settled)
			w.expect("at the pause", state{v1alpha1.RolloutPhasePaused, 25, 4, 1, "one", "two"})
			before := w.rollout().Spec
			w.writes = nil
			w.reading("Rollout", c.spec)
			w.say(func(ro *v1alpha1.Rollout) { ro.Status.Abort = true })
			w.work(3)
			if got := w.rollout().Status.Message; !strings.HasPrefix(got, `InvalidSpec: The Rollout "web" is invalid: `+c.want) {
				t.Errorf("message %q", got)
			}
			for _, write := range w.writes {
				if write != "status Rollout web" && !c.aborts || strings.HasSuffix(write, " Rollout web") && write != "status Rollout web" {
					t.Errorf("%s", write)
				}
			}
			if got := w.weight(); (got == 0) != c.aborts {
				t.Errorf("weight %d", got)
			}
			if diff := cmp.Diff(before, w.rollout().Spec); diff != "" {
				t.Errorf("the spec was written back:\n%s", diff)
			}
			for _, service := range []string{"web-stable", "web-canary"} {
				s := &Services{Clients: w.rollouts.Clients}
				if _, err := s.Reconcile(context.Background(), requestFor(service)); err != nil {
					t.Fatal(err)
				}
				svc := &corev1.Service{}
				w.get(service, svc)
				if svc.Spec.Selector[hashLabel] == "" && c.want[:13] != "spec.replicas" {
					t.Errorf("service %s was released", service)
				}
			}
			w.rollouts.Reader, w.rollouts.Live = w.client, w.client
			w.say(func(ro *v1alpha1.Rollout) { ro.Status.Abort = false })
			w.work(settled)
			if got := w.rollout().Status; got.Phase == v1alpha1.RolloutPhaseDegraded {
				t.Errorf("it does not go on once the spec is mended: %s", got.Message)
			}
		})
	}
}

// A run of a template that was read in part would measure something else.
//
// Covers: edge 25.
func TestATemplateThatCannotBeReadMakesTheRolloutInvalid(t *testing.T) {
	w := shop(t, func(ro *v1alpha1.Rollout) {
		ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{{Analysis: named("check")}}
	})
	w.create(template("check"))
	if got := w.observe().Snapshot.Invalid; got != "" {
		t.Fatal(got)
	}
	w.reading("AnalysisTemplate", `{"metrics":[{"name":"m","provider":{"job":{"spec":{"template":{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"x"}}}]}}}}}}]}`)
	const want = `The Rollout "web" is invalid: spec.strategy.canary.steps[0].analysis.templates: Invalid value: "check": AnalysisTemplate check: ` +
		`spec.metrics[0].provider.job.spec.template.spec.containers[0].resources.limits[cpu]: Invalid value: "x": quantities must match`
	if got := w.observe().Snapshot.Invalid; !strings.HasPrefix(got, want) || strings.Count(got, "quantities") != 1 {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// shared is a cache that gives out what it holds itself.
type shared struct {
	client.Reader
	held map[string]*v1alpha1.AnalysisTemplate
}

func (s shared) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if t, ok := o.(*v1alpha1.AnalysisTemplate); ok && s.held[key.Name] != nil {
		*t = *s.held[key.Name]
		return nil
	}
	return s.Reader.Get(ctx, key, o, opts...)
}

// The published controller writes placeholders for args into the templates of its cache.
//
// Covers: defect 21, analysis defect 13.
func TestValidationLeavesTheTemplatesOfTheCacheAlone(t *testing.T) {
	w := shop(t, func(ro *v1alpha1.Rollout) {
		a := named("check", "inner")
		a.Args = []v1alpha1.AnalysisRunArgument{{Name: "given", Value: "x"}}
		ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{{Analysis: a}}
	})
	held := map[string]*v1alpha1.AnalysisTemplate{"check": template("check", "inner"), "inner": template("inner")}
	held["check"].Spec.Args = []v1alpha1.Argument{{Name: "given"}, {Name: "secret", ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}}}
	held["inner"].Spec.Args = []v1alpha1.Argument{{Name: "given", Value: ptr("default")}}
	held["check"].Spec.Metrics[0].Provider.Prometheus.Query = "{{args.given}} {{args.secret}}"
	before := map[string]*v1alpha1.AnalysisTemplate{"check": held["check"].DeepCopy(), "inner": held["inner"].DeepCopy()}
	w.rollouts.Reader = shared{w.client, held}
	for range 3 {
		if got := w.observe().Snapshot.Invalid; got != "" {
			t.Fatal(got)
		}
	}
	if diff := cmp.Diff(before, held); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
}
