package kube

import (
	"context"
	"errors"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// byRef takes template and selector from the Deployment web.
func byRef(scaleDown string) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		ro.Spec.Template, ro.Spec.Selector = corev1.PodTemplateSpec{}, nil
		ro.Spec.WorkloadRef = &v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", ScaleDown: scaleDown}
	}
}

// refTo makes it another workload.
func refTo(apiVersion, kind, name string) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		byRef("")(ro)
		ro.Spec.WorkloadRef.APIVersion, ro.Spec.WorkloadRef.Kind, ro.Spec.WorkloadRef.Name = apiVersion, kind, name
	}
}

// deployment has four pods of the template of webRollout, with the defaults of an API server.
func deployment(change ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "deployment-uid", Generation: 1},
		Spec:       appsv1.DeploymentSpec{Replicas: ptr(int32(4)), Selector: webRollout().Spec.Selector, Template: webRollout().Spec.Template},
		Status:     appsv1.DeploymentStatus{AvailableReplicas: 4, ObservedGeneration: 1},
	}
	d.Spec.Template.Spec.Containers[0].ImagePullPolicy, d.Spec.Template.Spec.RestartPolicy = corev1.PullIfNotPresent, corev1.RestartPolicyAlways
	for _, c := range change {
		c(d)
	}
	return d
}

func podTemplate() *corev1.PodTemplate {
	p := &corev1.PodTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "pods"}, Template: webRollout().Spec.Template}
	p.Template.Spec.Containers[0].Image = "from the pod template"
	return p
}

// change edits the Deployment as a user does.
func (w *world) change(edit func(*appsv1.Deployment)) {
	w.t.Helper()
	d := &appsv1.Deployment{}
	w.get("web", d)
	edit(d)
	d.Generation++
	if err := w.client.Update(context.Background(), d); err != nil {
		w.t.Fatal(err)
	}
}

// request changes the status as published clients do.
func (w *world) request(change func(*v1alpha1.RolloutStatus)) {
	w.t.Helper()
	ro := w.rollout()
	change(&ro.Status)
	if err := w.client.Status().Update(context.Background(), ro); err != nil {
		w.t.Fatal(err)
	}
}

// deployed is the size of the Deployment.
func (w *world) deployed() int32 {
	w.t.Helper()
	d := &appsv1.Deployment{}
	w.get("web", d)
	return *d.Spec.Replicas
}

func image(name string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = name }
}

func scaled(n int32) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Replicas = &n }
}

// speechless is a cache that gives no Deployment.
type speechless struct{ client.Reader }

func (u speechless) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if _, is := o.(*appsv1.Deployment); is {
		return errors.New("no answer")
	}
	return u.Reader.Get(ctx, key, o, opts...)
}

// listener hears every patch.
type listener struct {
	client.WithWatch
	note func(client.Object, []byte)
}

func (l *listener) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	data, err := p.Data(o)
	if err != nil {
		return err
	}
	l.note(o, data)
	return l.WithWatch.Patch(ctx, o, p, opts...)
}

func (l *listener) Status() client.SubResourceWriter { return l.SubResource("status") }

func (l *listener) SubResource(sub string) client.SubResourceClient {
	return subListener{l.WithWatch.SubResource(sub), l.note}
}

type subListener struct {
	client.SubResourceClient
	note func(client.Object, []byte)
}

func (l subListener) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
	data, err := p.Data(o)
	if err != nil {
		return err
	}
	l.note(o, data)
	return l.SubResourceClient.Patch(ctx, o, p, opts...)
}
