package convert

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// The strategies that can be asked for.
const (
	Canary    = "canary"
	BlueGreen = "bluegreen"
)

// keptRevisions is the least history that a way back needs.
const keptRevisions = 3

// Input is a Deployment with what may lead to its pods, and what is wanted.
type Input struct {
	Deployment *appsv1.Deployment
	// Services and Routes (Ingress, HTTPRoute, VirtualService) are those of the namespace;
	// those that do not lead to the pods are left alone.
	Services []*corev1.Service
	Routes   []*unstructured.Unstructured
	// Strategy is Canary or BlueGreen; "" means Canary.
	Strategy string
	// Reference lets the Rollout refer to the Deployment (workloadRef) instead of having a
	// template of its own.
	Reference bool
	// Template is an AnalysisTemplate to judge with; nil for none.
	Template *v1alpha1.AnalysisTemplate
}

// Output are the objects to create or change, the Rollout last, and what a person should
// know about them, in sentences.
type Output struct {
	Objects []runtime.Object
	Notes   []string
}

// making is one conversion under way.
type making struct {
	Input
	out     Output
	rollout *v1alpha1.Rollout
}

func (m *making) note(format string, args ...any) {
	m.out.Notes = append(m.out.Notes, fmt.Sprintf(format, args...))
}

// Deployment makes a Rollout that does what the Deployment does. The error says what is
// missing for the strategy. The input is not changed.
func Deployment(in Input) (Output, error) {
	m := &making{Input: in, rollout: skeleton(in.Deployment)}
	m.workload()
	var err error
	switch cmp.Or(in.Strategy, Canary) {
	case Canary:
		m.canary()
	case BlueGreen:
		err = m.blueGreen()
	default:
		err = fmt.Errorf("unknown strategy %q; there are %s and %s", in.Strategy, Canary, BlueGreen)
	}
	m.out.Objects = append(m.out.Objects, m.rollout)
	return m.out, err
}

// skeleton is what both strategies share.
func skeleton(d *appsv1.Deployment) *v1alpha1.Rollout {
	r := &v1alpha1.Rollout{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Rollout"},
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name, Labels: maps.Clone(d.Labels), Annotations: people(d.Annotations)}}
	r.Spec.Replicas, r.Spec.MinReadySeconds, r.Spec.Paused = d.Spec.Replicas, d.Spec.MinReadySeconds, d.Spec.Paused
	r.Spec.ProgressDeadlineSeconds = d.Spec.ProgressDeadlineSeconds
	return r
}

// people are the annotations that somebody wrote by hand.
func people(annotations map[string]string) map[string]string {
	kept := map[string]string{}
	for k, v := range annotations {
		if k != corev1.LastAppliedConfigAnnotation && !strings.HasPrefix(k, "deployment.kubernetes.io/") && k != "kubectl.kubernetes.io/restartedAt" {
			kept[k] = v
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// workload gives the Rollout its pods: a template, or a reference to one.
func (m *making) workload() {
	d := m.Input.Deployment
	if limit := d.Spec.RevisionHistoryLimit; limit != nil && *limit >= keptRevisions {
		m.rollout.Spec.RevisionHistoryLimit = limit
	} else if limit != nil {
		m.note("revisionHistoryLimit %d is left out, for 10: a way back needs a version that worked, and a few failed releases would push it out.", *limit)
	}
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		m.note("the Deployment replaces all pods at once (Recreate); the Rollout runs two versions side by side: make sure that they can, for example that they do not share a volume or a schema.")
	}
	if m.Reference {
		m.rollout.Spec.WorkloadRef = &v1alpha1.ObjectRef{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Name: d.Name, ScaleDown: v1alpha1.ScaleDownProgressively}
		m.note("the Deployment keeps the template and loses its pods one for one to the Rollout; leave spec.replicas out of its manifest.")
	} else {
		m.rollout.Spec.Selector, m.rollout.Spec.Template = d.Spec.Selector.DeepCopy(), *d.Spec.Template.DeepCopy()
		m.rollout.Spec.Template.Annotations = people(m.rollout.Spec.Template.Annotations)
		m.note("delete the Deployment only when the Rollout is Healthy: `kubectl penstock adopt deployment %s` changes live ones over without a lost request.", d.Name)
	}
	m.note("an autoscaler of the Deployment must point at the Rollout: apiVersion %s, kind Rollout, name %s.", v1alpha1.GroupVersion, d.Name)
}

// service is the one that leads to the pods: one that a route names, if there is any.
func (m *making) service() *corev1.Service {
	var all []*corev1.Service
	for _, s := range m.Services {
		if s.Namespace == m.Input.Deployment.Namespace && len(s.Spec.Selector) > 0 && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(m.Input.Deployment.Spec.Template.Labels)) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *corev1.Service) int { return cmp.Compare(a.Name, b.Name) })
	if len(all) == 0 {
		return nil
	}
	chosen := all[0]
	if i := slices.IndexFunc(all, func(s *corev1.Service) bool { return m.route(s.Name) != nil }); i >= 0 {
		chosen = all[i]
	}
	if len(all) > 1 {
		m.note("%d Services lead to the pods; Service %s is the one that the Rollout uses.", len(all), chosen.Name)
	}
	return chosen
}

// beside is a copy of a Service under another name, for the new version.
func beside(s *corev1.Service, name string) *corev1.Service {
	c := &corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name, Labels: maps.Clone(s.Labels)},
		Spec:       corev1.ServiceSpec{Selector: maps.Clone(s.Spec.Selector)}}
	for _, p := range s.Spec.Ports {
		if p.NodePort = 0; p.TargetPort == (intstr.IntOrString{}) {
			p.TargetPort = intstr.FromInt32(p.Port) // as the API server would
		}
		c.Spec.Ports = append(c.Spec.Ports, p)
	}
	return c
}

func (m *making) canary() {
	c := &v1alpha1.CanaryStrategy{}
	m.rollout.Spec.Strategy.Canary = c
	m.surge(c)
	var weights []int32
	if s := m.service(); s != nil && m.routed(c, s) {
		weights = []int32{5, 20, 50}
	} else {
		weights = m.byPods()
	}
	for _, w := range weights {
		c.Steps = append(c.Steps, v1alpha1.CanaryStep{SetWeight: new(w)}, v1alpha1.CanaryStep{Pause: &v1alpha1.RolloutPause{Duration: new(intstr.FromString("5m"))}})
	}
	if m.Template == nil {
		m.note("nothing judges the new version but people: name a Prometheus (--prometheus), or write an AnalysisTemplate and name it in spec.strategy.canary.analysis.")
		return
	}
	m.out.Objects = append(m.out.Objects, m.Template)
	c.Analysis = &v1alpha1.RolloutAnalysisBackground{RolloutAnalysis: v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: m.Template.Name}}}, StartingStep: new(int32(1))}
}

// surge carries over how many pods may be missing or too many.
func (m *making) surge(c *v1alpha1.CanaryStrategy) {
	u := m.Input.Deployment.Spec.Strategy.RollingUpdate
	if u == nil || m.Input.Deployment.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return
	}
	c.MaxSurge, c.MaxUnavailable = u.MaxSurge, u.MaxUnavailable
}

// byPods are the weights that a number of pods can show without a router.
func (m *making) byPods() []int32 {
	n := int32(1)
	if r := m.Input.Deployment.Spec.Replicas; r != nil {
		n = *r
	}
	m.note("no router was found: the share of pods is the share of requests. A route (HTTPRoute, VirtualService, Ingress of nginx) that leads to the Service would give exact shares.")
	if n < 2 {
		m.note("with %d pod the new version gets half of the requests at once: raise spec.replicas, or use a router.", n)
		return []int32{50}
	}
	first := max(10, (100+n-1)/n)
	if first >= 50 {
		return []int32{50}
	}
	return []int32{first, 50}
}

func (m *making) blueGreen() error {
	s := m.service()
	if s == nil {
		return fmt.Errorf("blue-green switches a Service, and none of those given selects the pods of Deployment %s: give it too", m.Input.Deployment.Name)
	}
	preview := beside(s, s.Name+"-preview")
	m.out.Objects = append(m.out.Objects, preview)
	b := &v1alpha1.BlueGreenStrategy{ActiveService: s.Name, PreviewService: preview.Name, AutoPromotionSeconds: 300}
	m.rollout.Spec.Strategy.BlueGreen = b
	m.note("Service %s serves users; the new version can be tried at Service %s for 5 min before it takes over.", s.Name, preview.Name)
	if m.Template != nil {
		m.out.Objects = append(m.out.Objects, m.Template)
		b.PostPromotionAnalysis = &v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: m.Template.Name}}}
	}
	return nil
}
