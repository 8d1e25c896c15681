package kube

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func forbidden(kind, name string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: kind}, name, errors.New("exceeded quota"))
}

func TestRefusalsOfTheAPIServer(t *testing.T) {
	for name, c := range map[string]struct {
		verb, kind string
		want       string
		passing    bool
	}{
		"a ReplicaSet that may not be":  {verb: "create", kind: "ReplicaSet", want: `Failed to create ReplicaSet for template 'a': replicasets "x" is forbidden: exceeded quota`},
		"a Service that may not be":     {verb: "create", kind: "Service", want: `Failed to create Service exp-svc for template 'a': replicasets "x" is forbidden: exceeded quota`},
		"pods that may not be":          {verb: "patch", kind: "ReplicaSet", want: `Unable to scale ReplicaSet for template 'a' to desired replica count '2': replicasets "x" is forbidden: exceeded quota`},
		"a run that may not be":         {verb: "create", kind: "AnalysisRun", want: `Failed to create AnalysisRun for analysis 'm': replicasets "x" is forbidden: exceeded quota`},
		"an API server that is not up":  {verb: "create", kind: "ReplicaSet", passing: true},
		"a write that came in between":  {verb: "patch", kind: "ReplicaSet", passing: true},
		"a Service, with a slow server": {verb: "create", kind: "Service", passing: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, anExperiment(withServiceNamed("exp-svc"), measured()), probe())
			failures := 0
			l.world.refuse = func(verb string, o client.Object) error {
				if verb != c.verb || kindOf(o) != c.kind || c.passing && failures > 2 {
					return nil
				}
				failures++
				if !c.passing {
					return forbidden("replicasets", "x")
				}
				if verb == "patch" {
					return apierrors.NewConflict(schema.GroupResource{}, o.GetName(), errors.New("newer"))
				}
				return apierrors.NewServiceUnavailable("later")
			}
			l.run(10)
			if c.passing {
				l.phase(name, v1alpha1.AnalysisPhaseRunning, "")
				return
			}
			l.phase(name, v1alpha1.AnalysisPhaseError, c.want)
			if failures != 1 {
				t.Errorf("it tried %d times", failures)
			}
			l.world.refuse = nil
			l.change(func(x *v1alpha1.Experiment) { x.Status = v1alpha1.ExperimentStatus{} })
			l.run(10)
			l.phase("after a retry", v1alpha1.AnalysisPhaseRunning, "")
		})
	}
}

func TestAForeignServiceIsLeftAlone(t *testing.T) {
	l := newLab(t, service("exp-svc"), anExperiment(withServiceNamed("exp-svc"), func(x *v1alpha1.Experiment) { x.Spec.ScaleDownDelaySeconds = ptr(int32(0)) }))
	l.run(8)
	l.phase("with a name that is taken", v1alpha1.AnalysisPhaseError,
		"Failed to create Service exp-svc for template 'a': service exp-svc already exists and is not owned by experiment template a")
	svc := &corev1.Service{}
	if l.get("exp-svc", svc); svc.Spec.Selector[hashLabel] != "" || controllerOf(svc) != "" {
		t.Errorf("%+v", svc)
	}
}
