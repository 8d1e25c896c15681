package kube

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// trialStep is an experiment step with everything in it.
func trialStep() *v1alpha1.RolloutExperimentStep {
	stable, latest := v1alpha1.Stable, v1alpha1.Latest
	return &v1alpha1.RolloutExperimentStep{
		Duration: "5m", ScaleDownDelaySeconds: ptr(int32(7)), DryRun: []v1alpha1.DryRun{{MetricName: "up"}},
		AnalysisRunMetadata: v1alpha1.AnalysisRunMetadata{Labels: map[string]string{"l": "1"}},
		Templates: []v1alpha1.RolloutExperimentTemplate{
			{Name: "baseline", SpecRef: v1alpha1.StableSpecRef},
			{Name: "canary", SpecRef: v1alpha1.CanarySpecRef, Replicas: ptr(int32(3)), Weight: ptr(int32(5)),
				Metadata: v1alpha1.PodTemplateMetadata{Labels: map[string]string{"role": "trial"}, Annotations: map[string]string{"note": "x"}}},
			{Name: "named", SpecRef: v1alpha1.CanarySpecRef, Service: &v1alpha1.TemplateService{Name: "try-me"},
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}}},
		},
		Analyses: []v1alpha1.RolloutExperimentStepAnalysisTemplateRef{{Name: "compare", TemplateName: "probe", ClusterScope: true, RequiredForCompletion: true,
			Args: []v1alpha1.AnalysisRunArgument{
				{Name: "plain", Value: "{{templates.canary.podTemplateHash}}"},
				{Name: "stable", ValueFrom: &v1alpha1.ArgumentValueFrom{PodTemplateHashValue: &stable}},
				{Name: "latest", ValueFrom: &v1alpha1.ArgumentValueFrom{PodTemplateHashValue: &latest}},
				{Name: "team", ValueFrom: &v1alpha1.ArgumentValueFrom{FieldRef: &v1alpha1.FieldRef{FieldPath: "metadata.labels['team']"}}},
			}}},
	}
}

func withTrial(step *v1alpha1.RolloutExperimentStep) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		ro.Labels = map[string]string{"team": "blue", instanceLabel: "one"}
		ro.Spec.ProgressDeadlineSeconds = ptr(int32(99))
		ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{{SetWeight: ptr(int32(5))}, {Experiment: step}}
	}
}

// twoRevisions are a stable one and a canary, of images one and two.
func twoRevisions(t *testing.T) []client.Object {
	var list []client.Object
	for hash, image := range map[string]string{"stablehash": "one", "canaryhash": "two"} {
		rs := owned(t, hash)
		rs.UID, rs.Spec.MinReadySeconds, rs.Spec.Template.Spec.Containers[0].Image = types.UID("set-"+hash), 4, image
		list = append(list, rs)
	}
	return list
}

func trialWorld(t *testing.T, step *v1alpha1.RolloutExperimentStep) *world {
	w := shop(t, withTrial(step))
	for _, o := range twoRevisions(t) {
		w.create(o)
	}
	w.writes = nil
	return w
}

var startTrial = rollout.StartExperiment{Name: "web-canaryhash-2-1", Step: 1, Hash: "canaryhash", Number: 2, Stable: "stablehash"}

// Covers: edge 169.
func TestTheExperimentOfAStep(t *testing.T) {
	w := trialWorld(t, trialStep())
	w.must(startTrial)
	got := &v1alpha1.Experiment{}
	w.get("web-canaryhash-2-1", got)
	labels := map[string]string{"team": "blue", instanceLabel: "one", hashLabel: "canaryhash"}
	if d := cmp.Diff(labels, got.Labels) + cmp.Diff(map[string]string{revisionKey: "2"}, got.Annotations); d != "" {
		t.Error(d)
	}
	if owner := metav1.GetControllerOf(got); owner == nil || owner.Kind != "Rollout" || owner.UID != "web-uid" {
		t.Errorf("owner %+v", owner)
	}
	pods := func(hash, image string, labels, annotations map[string]string) corev1.PodTemplateSpec {
		return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: with(labels, hashLabel, hash), Annotations: annotations},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: image}}}}
	}
	selector := func(labels map[string]string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: labels}
	}
	app := map[string]string{"app": "web"}
	want := v1alpha1.ExperimentSpec{
		Duration: "5m", ProgressDeadlineSeconds: ptr(int32(99)), ScaleDownDelaySeconds: ptr(int32(7)),
		DryRun: []v1alpha1.DryRun{{MetricName: "up"}}, AnalysisRunMetadata: v1alpha1.AnalysisRunMetadata{Labels: map[string]string{"l": "1"}},
		Templates: []v1alpha1.TemplateSpec{
			{Name: "baseline", MinReadySeconds: 4, Selector: selector(with(app, hashLabel, "stablehash")), Template: pods("stablehash", "one", app, nil)},
			{Name: "canary", Replicas: ptr(int32(3)), MinReadySeconds: 4, Selector: selector(map[string]string{"app": "web", hashLabel: "canaryhash", "role": "trial"}),
				Template: pods("canaryhash", "two", map[string]string{"app": "web", "role": "trial"}, map[string]string{"note": "x"}), Service: &v1alpha1.TemplateService{}},
			{Name: "named", MinReadySeconds: 4, Selector: selector(map[string]string{"app": "other"}), Template: pods("canaryhash", "two", app, nil),
				Service: &v1alpha1.TemplateService{Name: "try-me"}},
		},
		Analyses: []v1alpha1.ExperimentAnalysisTemplateRef{{Name: "compare", TemplateName: "probe", ClusterScope: true, RequiredForCompletion: true, Args: []v1alpha1.Argument{
			{Name: "plain", Value: ptr("{{templates.canary.podTemplateHash}}")}, {Name: "stable", Value: ptr("stablehash")},
			{Name: "latest", Value: ptr("canaryhash")}, {Name: "team", Value: ptr("blue")}}}},
	}
	if d := cmp.Diff(want, got.Spec); d != "" {
		t.Error(d)
	}
	events := strings.Join(w.told(), "\n")
	if !strings.Contains(events, "Normal ExperimentCreated Created Experiment 'web-canaryhash-2-1'") {
		t.Errorf("events %s", events)
	}
}

func TestAnExperimentThatCannotBeMade(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.RolloutExperimentStep)
		action func(*rollout.StartExperiment)
		want   string
	}{
		"a bad specRef": {change: func(s *v1alpha1.RolloutExperimentStep) { s.Templates[0].SpecRef = "preview" },
			want: "Invalid template step SpecRef: must be canary or stable"},
		"no stable revision":   {action: func(a *rollout.StartExperiment) { a.Stable = "gone" }, want: `no replicaset has hash "gone"`},
		"a step of other kind": {action: func(a *rollout.StartExperiment) { a.Step = 0 }, want: "step 1 is no experiment"},
		"a step that is not":   {action: func(a *rollout.StartExperiment) { a.Step = 9 }, want: "step 10 is no experiment"},
		"an arg from nowhere": {change: func(s *v1alpha1.RolloutExperimentStep) {
			s.Analyses[0].Args[3].ValueFrom.FieldRef.FieldPath = "status.odd"
		}, want: "analysis compare: invalid path status.odd in rollout"},
	} {
		t.Run(name, func(t *testing.T) {
			step, action := trialStep(), startTrial
			if c.change != nil {
				c.change(step)
			}
			if c.action != nil {
				c.action(&action)
			}
			w := trialWorld(t, step)
			err := w.rollouts.Apply(context.Background(), w.observe(), rollout.Plan{Actions: []rollout.Action{action}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if len(w.writes) > 0 {
				t.Errorf("it wrote %v", w.writes)
			}
		})
	}
}

// Covers: edge 170.
func TestAnExperimentOfTheNameIsTheSameOnlyIfItIsOurs(t *testing.T) {
	w := trialWorld(t, trialStep())
	w.must(startTrial)
	w.must(startTrial)
	list := &v1alpha1.ExperimentList{}
	if err := w.client.List(context.Background(), list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%v: %d experiments", err, len(list.Items))
	}
	w = trialWorld(t, trialStep())
	w.create(&v1alpha1.Experiment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: startTrial.Name}})
	err := w.rollouts.Apply(context.Background(), w.observe(), rollout.Plan{Actions: []rollout.Action{startTrial}})
	if err == nil || !strings.Contains(err.Error(), "already exists, and is not ours") {
		t.Errorf("got %v", err)
	}
}

func TestStopAndDeleteAnExperiment(t *testing.T) {
	w := trialWorld(t, trialStep())
	w.must(startTrial)
	w.must(rollout.StopExperiment{Name: startTrial.Name})
	x := &v1alpha1.Experiment{}
	if w.get(startTrial.Name, x); !x.Spec.Terminate || len(x.Spec.Templates) != 3 {
		t.Errorf("after the stop: %+v", x.Spec)
	}
	w.must(rollout.DeleteExperiment{Name: startTrial.Name})
	if len(w.observe().Experiments) > 0 {
		t.Error("after the deletion it is there")
	}
	for _, a := range []rollout.Action{rollout.StopExperiment{Name: "none"}, rollout.DeleteExperiment{Name: "none"}} {
		if err := w.rollouts.Apply(context.Background(), w.observe(), rollout.Plan{Actions: []rollout.Action{a}}); err == nil {
			t.Errorf("%s of what is not there went well", a)
		}
	}
}

// running is an Experiment of the Rollout that has a template up, with its Service.
func running(change ...func(*v1alpha1.Experiment)) *v1alpha1.Experiment {
	return anExperiment(append([]func(*v1alpha1.Experiment){ownedByRollout, func(x *v1alpha1.Experiment) {
		x.Labels[hashLabel], x.Annotations = "canaryhash", map[string]string{revisionKey: "2"}
		x.Status = v1alpha1.ExperimentStatus{Phase: v1alpha1.AnalysisPhaseRunning, TemplateStatuses: []v1alpha1.TemplateStatus{
			{Name: "a", Status: v1alpha1.TemplateStatusRunning, AvailableReplicas: 2, ServiceName: "exp-a", PodTemplateHash: "trialhash"}}}
	}}, change...)...)
}

func TestFactsOfAnExperiment(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.Experiment)
		want   func(*rollout.Experiment)
	}{
		"running": {func(*v1alpha1.Experiment) {}, func(*rollout.Experiment) {}},
		"a verdict": {func(x *v1alpha1.Experiment) { x.Status.Phase, x.Status.Message = v1alpha1.AnalysisPhaseFailed, "why" },
			func(f *rollout.Experiment) { f.Phase, f.Message = v1alpha1.AnalysisPhaseFailed, "why" }},
		"told to end": {func(x *v1alpha1.Experiment) { x.Spec.Terminate = true }, func(f *rollout.Experiment) { f.Terminating = true }},
		"no labels":   {func(x *v1alpha1.Experiment) { x.Labels, x.Annotations = nil, nil }, func(f *rollout.Experiment) { f.Hash, f.Number = "", 0 }},
		"not begun":   {func(x *v1alpha1.Experiment) { x.Status = v1alpha1.ExperimentStatus{} }, func(f *rollout.Experiment) { f.Phase, f.Templates = "", nil }},
		"a template up to its end": {func(x *v1alpha1.Experiment) { x.Status.TemplateStatuses[0].Status = v1alpha1.TemplateStatusSuccessful },
			func(f *rollout.Experiment) { f.Templates[0].Available = 0 }},
		"a template that failed": {func(x *v1alpha1.Experiment) { x.Status.TemplateStatuses[0].Status = v1alpha1.TemplateStatusFailed },
			func(f *rollout.Experiment) { f.Templates[0].Available = 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			x := running(c.change)
			want := rollout.Experiment{Name: "exp", Hash: "canaryhash", Number: 2, Phase: v1alpha1.AnalysisPhaseRunning,
				Templates: []rollout.ExperimentTemplate{{Name: "a", Service: "exp-a", Hash: "trialhash", Available: 2}}}
			c.want(&want)
			if d := cmp.Diff(want, experimentFacts(x)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestOnlyOwnExperimentsAreSeen(t *testing.T) {
	w := shop(t)
	w.create(running())
	w.create(anExperiment(func(x *v1alpha1.Experiment) { x.Name = "alone" }))
	s := w.observe()
	if len(s.Snapshot.Experiments) != 1 || s.Experiments["exp"] == nil {
		t.Errorf("%+v", s.Snapshot.Experiments)
	}
}

// truth counts how often the API server is asked for an Experiment.
type truth struct {
	client.WithWatch
	asked int
}

func (b *truth) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if _, is := o.(*v1alpha1.Experiment); is {
		b.asked++
	}
	return b.WithWatch.Get(ctx, key, o, opts...)
}

// Pods get traffic only if their Experiment is on after the status has listed them.
func TestAnExperimentIsReadLiveBeforeTrafficGoesToIt(t *testing.T) {
	w := shop(t, func(ro *v1alpha1.Rollout) { ro.Status = v1alpha1.RolloutStatus{} })
	w.create(running(func(x *v1alpha1.Experiment) { x.Spec.Terminate = true })) // the truth
	live := &truth{WithWatch: w.client}
	w.rollouts.Live, w.rollouts.Reader = live, asItWas{w.client, running()}
	for name, c := range map[string]struct {
		to   []v1alpha1.WeightDestination
		asks bool
	}{
		"not listed":           {},
		"listed by hash":       {[]v1alpha1.WeightDestination{{Weight: 5, PodTemplateHash: "trialhash"}}, true},
		"listed by service":    {[]v1alpha1.WeightDestination{{Weight: 5, ServiceName: "exp-a"}}, true},
		"another one's listed": {[]v1alpha1.WeightDestination{{Weight: 5, ServiceName: "other", PodTemplateHash: "other"}}, false},
	} {
		w.say(listing(c.to...))
		live.asked = 0
		s := w.observe()
		if got := s.Snapshot.Experiments[0].Terminating; got != c.asks || (live.asked > 0) != c.asks {
			t.Errorf("%s: terminating %v, asked %d times", name, got, live.asked)
		}
	}
	x := running()
	s := &Seen{Rollout: w.rollout()}
	listing(v1alpha1.WeightDestination{Weight: 5, PodTemplateHash: "trialhash", ServiceName: "exp-a"})(s.Rollout)
	if !s.aboutToRoute(x) {
		t.Error("no route leads to it yet")
	}
	s.Snapshot.Traffic.Written = traffic.Split{Total: 100, Destinations: []traffic.Destination{{Role: traffic.Extra, Service: "exp-a", Hash: "trialhash", Weight: 5}}}
	if s.aboutToRoute(x) {
		t.Error("traffic goes to it already")
	}
	s.Snapshot.Traffic.Written.Destinations[0].Weight = 0
	if !s.aboutToRoute(x) {
		t.Error("a weight of 0 is no traffic")
	}
}

// asItWas lists one Experiment as it was.
type asItWas struct {
	client.Reader
	x *v1alpha1.Experiment
}

func (f asItWas) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if to, is := list.(*v1alpha1.ExperimentList); is {
		to.Items = []v1alpha1.Experiment{*f.x.DeepCopy()}
		return nil
	}
	return f.Reader.List(ctx, list, opts...)
}

func TestAnExperimentThatCannotBeReadHoldsTraffic(t *testing.T) {
	w := shop(t, listing(v1alpha1.WeightDestination{Weight: 5, PodTemplateHash: "trialhash"}))
	w.create(running())
	w.rollouts.Live = failing{w.client}
	s := Seen{Rollout: w.rollout(), Sets: map[string]*appsv1.ReplicaSet{}}
	if err := w.rollouts.observeExperiments(context.Background(), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Snapshot.Trouble) != 1 || len(s.Snapshot.Experiments) != 1 {
		t.Errorf("trouble %+v, experiments %+v", s.Snapshot.Trouble, s.Snapshot.Experiments)
	}
}
