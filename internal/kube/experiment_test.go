package kube

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/experiment"
	"github.com/penstock-io/penstock/internal/loop"
)

// lab is a world with the controller of Experiments, which reads through live and cache.
type lab struct {
	*world
	experiments *Experiments
	loop        *loop.Controller[ExperimentSeen, experiment.Plan]
}

func newLab(t testing.TB, objects ...client.Object) *lab {
	t.Helper()
	w := newWorld(t)
	for _, o := range objects {
		w.create(o)
	}
	w.writes = nil
	return labIn(w)
}

func labIn(w *world) *lab {
	rec := &loop.Record{Cache: w.client, Live: w.client, Now: w.clock}
	clients := Clients{Reader: w.client, Live: w.client, Writer: rec.Client(w.client), Plain: w.client}
	l := &lab{world: w, experiments: NewExperiments(clients)}
	l.experiments.Events = w.events
	l.loop = &loop.Controller[ExperimentSeen, experiment.Plan]{Name: "experiment", Observe: l.experiments.Observe, Decide: l.experiments.Decide,
		Apply: l.experiments.Apply, Explain: l.experiments.Explain, Writer: clients.Writer, Record: rec, Events: w.events, Now: w.clock}
	return l
}

// run makes passes a second apart, with pods coming up between them. Refusals are
// expected; what else goes wrong is not.
func (l *lab) run(passes int) {
	l.t.Helper()
	for range passes {
		if _, err := l.loop.Reconcile(context.Background(), requestFor("exp")); err != nil && l.refuse == nil {
			l.t.Fatal(err)
		}
		l.pods()
		l.now = l.now.Add(time.Second)
	}
}

func (l *lab) experiment() *v1alpha1.Experiment {
	l.t.Helper()
	x := &v1alpha1.Experiment{}
	l.get("exp", x)
	return x
}

func (l *lab) change(change func(*v1alpha1.Experiment)) {
	l.t.Helper()
	x := l.experiment()
	change(x)
	if err := l.client.Update(context.Background(), x); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) set(name string) *appsv1.ReplicaSet {
	l.t.Helper()
	rs := &appsv1.ReplicaSet{}
	l.get(name, rs)
	return rs
}

func (l *lab) phase(when string, want v1alpha1.AnalysisPhase, message string) {
	l.t.Helper()
	if st := l.experiment().Status; st.Phase != want || st.Message != message {
		l.t.Fatalf("%s: %s %q, want %s %q; %+v", when, st.Phase, st.Message, want, message, st)
	}
}

func (l *lab) missing(o client.Object, name string) bool {
	return apierrors.IsNotFound(l.client.Get(context.Background(), loop.Key{Namespace: "shop", Name: name}, o))
}

// anExperiment has one template whose pods carry the hash of a Rollout's revision.
func anExperiment(change ...func(*v1alpha1.Experiment)) *v1alpha1.Experiment {
	labels := map[string]string{"app": "web", hashLabel: "rollouthash"}
	x := &v1alpha1.Experiment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "exp", UID: "exp-uid", Labels: map[string]string{"team": "blue"}},
		Spec: v1alpha1.ExperimentSpec{Templates: []v1alpha1.TemplateSpec{{
			Name: "a", Replicas: ptr(int32(2)), MinReadySeconds: 3, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web", hashLabel: "rollouthash"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "web", Image: "one", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}}}}}},
		}}},
	}
	for _, c := range change {
		c(x)
	}
	return x
}

func withServiceNamed(name string) func(*v1alpha1.Experiment) {
	return func(x *v1alpha1.Experiment) {
		x.Spec.Templates[0].Service = &v1alpha1.TemplateService{Name: name}
	}
}

func measured(args ...v1alpha1.Argument) func(*v1alpha1.Experiment) {
	return func(x *v1alpha1.Experiment) {
		x.Spec.Analyses = []v1alpha1.ExperimentAnalysisTemplateRef{{Name: "m", TemplateName: "probe", Args: args}}
	}
}

func lasting(d string) func(*v1alpha1.Experiment) {
	return func(x *v1alpha1.Experiment) { x.Spec.Duration = v1alpha1.DurationString(d) }
}

func probe(args ...v1alpha1.Argument) *v1alpha1.AnalysisTemplate {
	return &v1alpha1.AnalysisTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "probe"},
		Spec: v1alpha1.AnalysisTemplateSpec{Args: args, Metrics: []v1alpha1.Metric{{Name: "up", Provider: v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{URL: "http://x"}}}}}}
}

func ownedByRollout(x *v1alpha1.Experiment) {
	x.OwnerReferences = []metav1.OwnerReference{ownerOf(webRollout())}
}

// lists makes the Rollout name destinations beside stable and canary.
func listing(to ...v1alpha1.WeightDestination) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		ro.Status.Canary.Weights = &v1alpha1.TrafficWeights{Additional: to}
	}
}

// Covers: edge 168.
func TestAnExperimentFromItsStartToItsEnd(t *testing.T) {
	l := newLab(t, anExperiment(withServiceNamed("exp-svc"), measured(), lasting("1m")), probe())
	l.run(6)
	l.phase("with pods", v1alpha1.AnalysisPhaseRunning, "")
	rs := l.set("exp-a")
	hash := rs.Labels[hashLabel]
	labels := map[string]string{"app": "web", hashLabel: hash}
	if x := l.experiment(); hash == "rollouthash" || hash != experiment.Hash(&x.Spec.Templates[0].Template, nil) {
		t.Errorf("hash %q", hash)
	}
	for name, got := range map[string]map[string]string{"labels": rs.Labels, "selector": rs.Spec.Selector.MatchLabels, "pods": rs.Spec.Template.Labels} {
		if d := cmp.Diff(labels, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	marks := map[string]string{experimentKey: "exp", templateKeyOf: "a"}
	if d := cmp.Diff(marks, rs.Annotations); d != "" || rs.Spec.MinReadySeconds != 3 || *rs.Spec.Replicas != 2 {
		t.Errorf("%s, %+v", d, rs.Spec)
	}
	owner := metav1.GetControllerOf(rs)
	if owner == nil || owner.Kind != "Experiment" || owner.UID != "exp-uid" || owner.APIVersion != "argoproj.io/v1alpha1" {
		t.Errorf("owner %+v", owner)
	}
	svc := &corev1.Service{}
	l.get("exp-svc", svc)
	if d := cmp.Diff(labels, svc.Spec.Selector) + cmp.Diff(marks, svc.Annotations) +
		cmp.Diff([]corev1.ServicePort{{Name: "http", Protocol: "TCP", Port: 8080, TargetPort: intstr.FromInt32(8080)}}, svc.Spec.Ports); d != "" {
		t.Error(d)
	}
	run := &v1alpha1.AnalysisRun{}
	l.get("exp-m", run)
	if controllerOf(run) != "exp-uid" || len(run.Labels) != 0 || len(run.Annotations) != 0 {
		t.Errorf("run %+v", run.ObjectMeta)
	}
	l.writes = nil
	l.run(2)
	if len(l.writes) > 0 {
		t.Errorf("at rest it writes %v", l.writes)
	}
	l.now = l.now.Add(time.Minute)
	l.run(2)
	l.phase("after its duration", v1alpha1.AnalysisPhaseSuccessful, "")
	if l.get("exp-m", run); !run.Spec.Terminate || l.set("exp-a").Annotations[deadlineKey] == "" {
		t.Errorf("run %+v, set %+v", run.Spec, l.set("exp-a").Annotations)
	}
	l.now = l.now.Add(31 * time.Second)
	l.run(3)
	if rs := l.set("exp-a"); *rs.Spec.Replicas != 0 || rs.Annotations[deadlineKey] != "" || !l.missing(svc, "exp-svc") {
		t.Errorf("what is left: %+v %v", rs.Spec, rs.Annotations)
	}
	events := strings.Join(l.told(), "\n")
	for _, want := range []string{
		"Normal ScalingReplicaSet Scaled up ReplicaSet exp-a from 0 to 2", "Normal ScalingReplicaSet Scaled down ReplicaSet exp-a from 2 to 0",
		"Normal TemplateRunning Template 'a' transitioned from Progressing -> Running", "Normal ExperimentRunning Experiment transitioned from Pending -> Running",
		"Normal AnalysisRunPending AnalysisRun 'm' transitioned from  -> Pending", "Normal AnalysisRunTerminating Terminating m (exp-m)",
		"Normal ExperimentSuccessful Experiment transitioned from Running -> Successful",
	} {
		if strings.Count(events, want) != 1 {
			t.Errorf("%q is told %d times in\n%s", want, strings.Count(events, want), events)
		}
	}
}

// Covers: defect 28, outage 71.
func TestAReplicaSetOfAnExperimentBeforeIsNotUsed(t *testing.T) {
	former := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "exp-a", UID: "old-set", Labels: map[string]string{hashLabel: "old"},
		Annotations:     map[string]string{experimentKey: "exp", templateKeyOf: "a"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "argoproj.io/v1alpha1", Kind: "Experiment", Name: "exp", UID: "former", Controller: ptr(true)}}},
		Spec: appsv1.ReplicaSetSpec{Replicas: ptr(int32(0)), Template: anExperiment().Spec.Templates[0].Template}}
	l := newLab(t, former, anExperiment())
	l.run(8)
	l.phase("beside the former one", v1alpha1.AnalysisPhaseRunning, "")
	if *l.set("exp-a").Spec.Replicas != 0 {
		t.Error("the former one got pods")
	}
	x := l.experiment()
	st := x.Status.TemplateStatuses[0]
	hash := experiment.Hash(&x.Spec.Templates[0].Template, ptr(int32(1)))
	if st.CollisionCount == nil || *st.CollisionCount != 1 || *l.set("exp-a-" + hash).Spec.Replicas != 2 {
		t.Errorf("status %+v", st)
	}
}

// Covers: outage 71.
func TestAnEditedTemplateGetsItsOwnReplicaSet(t *testing.T) {
	l := newLab(t, anExperiment(withServiceNamed("")))
	l.run(6)
	l.change(func(x *v1alpha1.Experiment) { x.Spec.Templates[0].Template.Spec.Containers[0].Image = "two" })
	l.run(10)
	x := l.experiment()
	fresh := l.set("exp-a-" + experiment.Hash(&x.Spec.Templates[0].Template, ptr(int32(1))))
	svc := &corev1.Service{}
	l.get("exp-a", svc)
	if d := cmp.Diff(fresh.Spec.Template.Labels, svc.Spec.Selector); d != "" || fresh.Spec.Template.Spec.Containers[0].Image != "two" {
		t.Errorf("service %s, image %v", d, fresh.Spec.Template.Spec.Containers)
	}
	l.now = l.now.Add(time.Minute)
	l.run(3)
	if *l.set("exp-a").Spec.Replicas != 0 || *fresh.Spec.Replicas != 2 {
		t.Error("the old pods stay")
	}
}

func TestTheTakeOverOfARunningExperiment(t *testing.T) {
	l := newLab(t, anExperiment(withServiceNamed("")))
	l.run(6)
	rs := l.set("exp-a")
	rs.Labels[hashLabel] = "fromanotherlibrary"
	if err := l.client.Update(context.Background(), rs); err != nil {
		t.Fatal(err)
	}
	svc := &corev1.Service{}
	l.get("exp-a", svc)
	svc.Spec.Selector[hashLabel] = "fromanotherlibrary"
	if err := l.client.Update(context.Background(), svc); err != nil {
		t.Fatal(err)
	}
	l.change(func(x *v1alpha1.Experiment) { x.Status.TemplateStatuses[0].PodTemplateHash = "fromanotherlibrary" })
	l.writes = nil
	l.run(3)
	if len(l.writes) > 0 {
		t.Errorf("a hash of another library makes it write %v", l.writes)
	}
}
