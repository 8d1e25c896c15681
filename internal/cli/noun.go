package cli

import (
	"cmp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// noun is a kind of object that the plugin speaks of.
type noun struct {
	word  string // as printed
	empty func() client.Object
	list  func() client.ObjectList
}

var (
	aRollout      = noun{"rollout", func() client.Object { return &v1alpha1.Rollout{} }, func() client.ObjectList { return &v1alpha1.RolloutList{} }}
	anExperiment  = noun{"experiment", func() client.Object { return &v1alpha1.Experiment{} }, func() client.ObjectList { return &v1alpha1.ExperimentList{} }}
	anAnalysisRun = noun{"analysisRun", func() client.Object { return &v1alpha1.AnalysisRun{} }, func() client.ObjectList { return &v1alpha1.AnalysisRunList{} }}
	aReplicaSet   = noun{"replicaSet", func() client.Object { return &appsv1.ReplicaSet{} }, func() client.ObjectList { return &appsv1.ReplicaSetList{} }}
	aDeployment   = noun{"deployment", func() client.Object { return &appsv1.Deployment{} }, func() client.ObjectList { return &appsv1.DeploymentList{} }}
	aPod          = noun{"pod", func() client.Object { return &corev1.Pod{} }, func() client.ObjectList { return &corev1.PodList{} }}
)

// singular and plural are as in the paths of the API server.
func (n noun) singular() string { return strings.ToLower(n.word) }
func (n noun) plural() string   { return n.singular() + "s" }

// kind is as in manifests, use as in a command's usage.
func (n noun) kind() string { return strings.ToUpper(n.word[:1]) + n.word[1:] }
func (n noun) use() string  { return n.singular() + " " + strings.ToUpper(n.word) + "_NAME" }

// missing is the error of an object that is not there, named as published: by its kind in singular.
func (n noun) missing(name string) error {
	group := v1alpha1.GroupVersion.Group
	if n.word == aDeployment.word {
		group = appsv1.GroupName
	}
	return apierrors.NewNotFound(schema.GroupResource{Group: group, Resource: n.singular()}, name)
}

// byName orders by namespace, then by name.
func byName(a, b client.Object) int {
	return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
}

// nounOf is the noun of a kind, in singular or plural.
func nounOf(kind string) (noun, bool) {
	for _, n := range []noun{aRollout, anExperiment, anAnalysisRun, aDeployment} {
		if kind == n.singular() || kind == n.plural() {
			return n, true
		}
	}
	return noun{}, false
}
