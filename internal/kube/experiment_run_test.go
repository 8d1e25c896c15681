package kube

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func TestRunsOfAnExperiment(t *testing.T) {
	secret := &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}
	foreign := &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "exp-m", UID: types.UID("foreign")}}
	tmpl := probe(v1alpha1.Argument{Name: "hash"}, v1alpha1.Argument{Name: "token", Value: ptr("default")}, v1alpha1.Argument{Name: "team"},
		v1alpha1.Argument{Name: "owner", Value: ptr("{{ .Rollout.metadata.name }}")})
	x := anExperiment(ownedByRollout, measured(
		v1alpha1.Argument{Name: "hash", Value: ptr("{{templates.a.podTemplateHash}}")},
		v1alpha1.Argument{Name: "token", ValueFrom: secret},
		v1alpha1.Argument{Name: "team", ValueFrom: &v1alpha1.ValueFrom{FieldRef: &v1alpha1.FieldRef{FieldPath: "metadata.name"}}},
	), func(x *v1alpha1.Experiment) {
		x.Labels[instanceLabel] = "one"
		x.Spec.DryRun = []v1alpha1.DryRun{{MetricName: "up"}}
		x.Spec.MeasurementRetention = []v1alpha1.MeasurementRetention{{MetricName: "up", Limit: 3}}
		x.Spec.AnalysisRunMetadata = v1alpha1.AnalysisRunMetadata{Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"n": "2"}}
	})
	l := newLab(t, webRollout(), foreign, tmpl, x)
	l.run(10)
	if got := l.experiment().Status.AnalysisRuns; len(got) != 1 || got[0].AnalysisRun != "exp-m.1" {
		t.Fatalf("status %+v", got)
	}
	run := &v1alpha1.AnalysisRun{}
	l.get("exp-m.1", run)
	// Covers: defect 28.
	want := []v1alpha1.Argument{
		{Name: "hash", Value: ptr(l.set("exp-a").Labels[hashLabel])}, {Name: "token", ValueFrom: secret},
		{Name: "team", Value: ptr("web")}, {Name: "owner", Value: ptr("web")},
	}
	if d := cmp.Diff(want, run.Spec.Args); d != "" {
		t.Error(d)
	}
	// Covers: edge 169.
	if d := cmp.Diff(x.Spec.DryRun, run.Spec.DryRun) + cmp.Diff(x.Spec.MeasurementRetention, run.Spec.MeasurementRetention); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{"l": "1", instanceLabel: "one"}, run.Labels) + cmp.Diff(map[string]string{"n": "2"}, run.Annotations); d != "" {
		t.Error(d)
	}
	if owner := metav1.GetControllerOf(run); owner == nil || owner.UID != "exp-uid" {
		t.Errorf("owner %+v", owner)
	}
}

// Covers: defect 28.
func TestTheOwningRolloutIsToldOfRuns(t *testing.T) {
	for phase, kind := range map[v1alpha1.AnalysisPhase]string{v1alpha1.AnalysisPhaseSuccessful: "Normal", v1alpha1.AnalysisPhaseFailed: "Warning"} {
		for _, owned := range []bool{true, false} {
			x := anExperiment(measured())
			if owned {
				ownedByRollout(x)
			}
			l := newLab(t, webRollout(), probe(), x)
			l.run(8)
			run := &v1alpha1.AnalysisRun{}
			l.get("exp-m", run)
			run.Status.Phase, run.Status.Message = phase, "so it is"
			if err := l.client.Update(context.Background(), run); err != nil {
				t.Fatal(err)
			}
			l.told()
			l.run(3)
			want := kind + " AnalysisRun" + string(phase) + " AnalysisRun 'm' transitioned from Pending -> " + string(phase) + ": so it is"
			times := 0
			for _, e := range l.told() {
				if e == want {
					times++
				}
			}
			if expected := map[bool]int{true: 2, false: 1}[owned]; times != expected {
				t.Errorf("%s, owned %v: told %d times", phase, owned, times)
			}
		}
	}
}

func TestAMissingAnalysisTemplate(t *testing.T) {
	for name, c := range map[string]struct {
		cluster, namespaced bool
		want                string
	}{
		"in the namespace":                     {want: `AnalysisTemplate verification failed for analysis 'm': analysistemplate.argoproj.io "probe" not found`},
		"in the cluster":                       {cluster: true, want: `ClusterAnalysisTemplate verification failed for analysis 'm': clusteranalysistemplate.argoproj.io "probe" not found`},
		"in a cluster that is not looked into": {cluster: true, namespaced: true, want: `ClusterAnalysisTemplate verification failed for analysis 'm': clusteranalysistemplate.argoproj.io "probe" not found`},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, anExperiment(measured(), func(x *v1alpha1.Experiment) { x.Spec.Analyses[0].ClusterScope = c.cluster }))
			l.experiments.Namespaced = c.namespaced
			l.run(3)
			l.phase(name, v1alpha1.AnalysisPhaseError, c.want)
		})
	}
	t.Run("that has come a moment ago", func(t *testing.T) {
		l := newLab(t, anExperiment(measured()), probe())
		l.experiments.Reader = blank{l.client}
		if _, err := l.loop.Reconcile(context.Background(), requestFor("exp")); err != nil {
			t.Fatal(err)
		}
		l.phase("while the cache does not show it", v1alpha1.AnalysisPhasePending, "")
	})
	t.Run("with args that nobody gives", func(t *testing.T) {
		l := newLab(t, anExperiment(measured()), probe(v1alpha1.Argument{Name: "host"}))
		l.world.refuse = func(string, client.Object) error { return nil } // a failure is meant
		l.run(8)
		l.phase("at the start of the run", v1alpha1.AnalysisPhaseError, "Failed to create AnalysisRun for analysis 'm': args.host was not resolved")
	})
}

// blank shows no analysis templates.
type blank struct{ client.Reader }

func (b blank) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if _, is := o.(*v1alpha1.AnalysisTemplate); is {
		return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	}
	return b.Reader.Get(ctx, key, o, opts...)
}

func TestPortsOfAnExperimentsService(t *testing.T) {
	port := func(name string, n int32, p corev1.Protocol) corev1.ContainerPort {
		return corev1.ContainerPort{Name: name, ContainerPort: n, Protocol: p}
	}
	for name, c := range map[string]struct {
		ports []corev1.ContainerPort
		want  []string
	}{
		"none":                       {nil, nil},
		"one needs no name":          {[]corev1.ContainerPort{port("", 80, "")}, []string{"/TCP/80"}},
		"several need names":         {[]corev1.ContainerPort{port("", 80, "TCP"), port("dns", 53, "UDP"), port("", 53, "TCP")}, []string{"tcp-80/TCP/80", "dns/UDP/53", "tcp-53/TCP/53"}},
		"each port once":             {[]corev1.ContainerPort{port("a", 80, "TCP"), port("b", 80, "TCP")}, []string{"a/TCP/80"}},
		"each name once":             {[]corev1.ContainerPort{port("a", 80, "TCP"), port("a", 81, "SCTP")}, []string{"a/TCP/80", "sctp-81/SCTP/81"}},
		"protocols are told apart":   {[]corev1.ContainerPort{port("a", 80, "TCP"), port("b", 80, "UDP")}, []string{"a/TCP/80", "b/UDP/80"}},
		"the last of three has none": {[]corev1.ContainerPort{port("a", 1, "TCP"), port("b", 2, "TCP"), port("", 3, "TCP")}, []string{"a/TCP/1", "b/TCP/2", "tcp-3/TCP/3"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range portsOf(&corev1.PodSpec{Containers: []corev1.Container{{}, {Ports: c.ports}}}) {
				got = append(got, p.Name+"/"+string(p.Protocol)+"/"+p.TargetPort.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// The route that leads to an experiment is a copy of the canary's, port included.
func TestAnExperimentsServiceHasThePortsOfTheCanaryService(t *testing.T) {
	own := []corev1.ServicePort{{Name: "http", Protocol: "TCP", Port: 8080, TargetPort: intstr.FromInt32(8080)}}
	for name, c := range map[string]struct {
		own, theirs []corev1.ServicePort
		want        []string
	}{
		"none":                {own, nil, []string{"http 8080/TCP→8080"}},
		"the same":            {own, []corev1.ServicePort{{Port: 8080, Protocol: "TCP", TargetPort: intstr.FromString("http")}}, []string{"http 8080/TCP→8080"}},
		"another":             {own, []corev1.ServicePort{{Name: "web", Port: 80, Protocol: "TCP", TargetPort: intstr.FromString("http"), NodePort: 30080}}, []string{"http 8080/TCP→8080", "web 80/TCP→http"}},
		"of the same name":    {own, []corev1.ServicePort{{Name: "http", Port: 80, Protocol: "TCP", TargetPort: intstr.FromInt32(8080)}}, []string{"http 8080/TCP→8080", "http-80 80/TCP→8080"}},
		"without a name":      {own, []corev1.ServicePort{{Port: 80, Protocol: "TCP", TargetPort: intstr.FromInt32(8080)}}, []string{"http 8080/TCP→8080", "tcp-80 80/TCP→8080"}},
		"of another protocol": {own, []corev1.ServicePort{{Port: 8080, Protocol: "UDP", TargetPort: intstr.FromInt32(8080)}}, []string{"http 8080/TCP→8080", "udp-8080 8080/UDP→8080"}},
		"neither has a name":  {[]corev1.ServicePort{{Port: 8080, Protocol: "TCP", TargetPort: intstr.FromInt32(8080)}}, []corev1.ServicePort{{Port: 80, Protocol: "TCP", TargetPort: intstr.FromInt32(8080)}}, []string{"tcp-8080 8080/TCP→8080", "tcp-80 80/TCP→8080"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range withNames(append(slices.Clone(c.own), besides(c.own, c.theirs)...)) {
				got = append(got, fmt.Sprintf("%s %d/%s→%s", p.Name, p.Port, p.Protocol, p.TargetPort.String()))
				if p.NodePort != 0 {
					t.Errorf("%s asks for the node port of another Service", p.Name)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
