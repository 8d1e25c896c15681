package kube

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// defaulted fills in what an API server would.
func defaulted(t *corev1.PodTemplateSpec) {
	t.Spec.RestartPolicy, t.Spec.DNSPolicy, t.Spec.SchedulerName = corev1.RestartPolicyAlways, corev1.DNSClusterFirst, "default-scheduler"
	t.Spec.TerminationGracePeriodSeconds, t.Spec.SecurityContext = ptr(int64(30)), &corev1.PodSecurityContext{}
	c := &t.Spec.Containers[0]
	c.ImagePullPolicy, c.TerminationMessagePath = corev1.PullAlways, "/dev/termination-log"
	for i := range c.Ports {
		c.Ports[i].Protocol = corev1.ProtocolTCP
	}
	if c.ReadinessProbe != nil {
		c.ReadinessProbe.PeriodSeconds, c.ReadinessProbe.FailureThreshold = 10, 3
	}
}

// Covers: edge 2, edge 4.
func TestSameTemplate(t *testing.T) {
	base := func(ro *v1alpha1.Rollout) {
		c := &ro.Spec.Template.Spec.Containers[0]
		c.Ports = []corev1.ContainerPort{{ContainerPort: 80}}
		c.ReadinessProbe = &corev1.Probe{TimeoutSeconds: 1}
		c.Env = []corev1.EnvVar{{Name: "A", Value: "1"}}
		c.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1000m")}
	}
	for name, c := range map[string]struct {
		live func(*corev1.PodTemplateSpec)
		want func(*corev1.PodTemplateSpec)
		same bool
	}{
		"nothing but defaults differs":           {same: true},
		"another image":                          {want: func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Image = "two" }},
		"a field that defaults to another value": {want: func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].ImagePullPolicy = corev1.PullNever }},
		"the same quantity in other words": {want: func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("1")
		}, same: true},
		"a container more": {want: func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b"})
		}},
		"a container less": {live: func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b"})
		}},
		"a volume less":                    {live: func(p *corev1.PodTemplateSpec) { p.Spec.Volumes = []corev1.Volume{{Name: "v"}} }},
		"the last variable taken away":     {want: func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Env = nil }},
		"a label more":                     {want: func(p *corev1.PodTemplateSpec) { p.Labels = with(p.Labels, "x", "y") }},
		"a label less":                     {live: func(p *corev1.PodTemplateSpec) { p.Labels = with(p.Labels, "x", "y") }},
		"an annotation with another value": {want: func(p *corev1.PodTemplateSpec) { p.Annotations = map[string]string{"a": "2"} }, live: func(p *corev1.PodTemplateSpec) { p.Annotations = map[string]string{"a": "1"} }},
		"a node selector less":             {live: func(p *corev1.PodTemplateSpec) { p.Spec.NodeSelector = map[string]string{"a": "b"} }},
		"a limit less": {live: func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("1")}
		}},
		"an affinity of the user's own less": {live: func(p *corev1.PodTemplateSpec) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}
		}},
		"the deprecated name of the service account":  {live: func(p *corev1.PodTemplateSpec) { p.Spec.DeprecatedServiceAccount = "x" }, same: true},                                                                // Covers: edge 3.
		"a user's affinity term without any selector": {want: func(p *corev1.PodTemplateSpec) { p.Spec.Affinity = bareTerm() }, live: func(p *corev1.PodTemplateSpec) { p.Spec.Affinity = bareTerm() }, same: true}, // Covers: defect 35.
		"another probe": {want: func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].ReadinessProbe.TimeoutSeconds = 5 }},
		"a switch that is turned off by being left out": {live: func(p *corev1.PodTemplateSpec) { p.Spec.Tolerations = []corev1.Toleration{{Key: "a"}} }},
	} {
		t.Run(name, func(t *testing.T) {
			ro := webRollout(base)
			ro.Status.StableRS = "other"
			ro.Spec.Strategy.Canary.AntiAffinity = &v1alpha1.AntiAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &v1alpha1.RequiredDuringSchedulingIgnoredDuringExecution{}}
			rs, err := newSet(ro, rollout.EnsureRevision{Hash: "abc", Number: 1,
				Metadata: v1alpha1.PodTemplateMetadata{Labels: map[string]string{"role": "canary"}}})
			if err != nil {
				t.Fatal(err)
			}
			defaulted(&rs.Spec.Template)
			if c.live != nil {
				c.live(&rs.Spec.Template)
			}
			want := ro.Spec.Template.DeepCopy()
			if c.want != nil {
				c.want(want)
			}
			before := rs.DeepCopy()
			if got := sameTemplate(rs, want); got != c.same {
				t.Errorf("same is %v", got)
			}
			if !equalSets(before, rs) {
				t.Error("the comparison changed its argument")
			}
		})
	}
}

func equalSets(a, b *appsv1.ReplicaSet) bool { return equality.Semantic.DeepEqual(a, b) }

func bareTerm() *corev1.Affinity {
	return &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "zone"}}}}
}
