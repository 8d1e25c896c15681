package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// ports are those of an experiment's Service: the containers', and where a Rollout runs the
// experiment those of its canary Service too. Routes lead to a port of the canary Service,
// and what a router copies from there has to lead somewhere.
func (e *Experiments) ports(ctx context.Context, x *v1alpha1.Experiment, pod *corev1.PodSpec) ([]corev1.ServicePort, error) {
	own := portsOf(pod)
	ro := rolloutOf(x)
	if ro == nil {
		return own, nil
	}
	if err := e.Reader.Get(ctx, client.ObjectKeyFromObject(ro), ro); err != nil {
		return own, client.IgnoreNotFound(err)
	}
	_, canary := rollout.Roles(&ro.Spec, &ro.Status)
	if canary == "" {
		return own, nil
	}
	svc := &corev1.Service{}
	if err := e.Reader.Get(ctx, client.ObjectKey{Namespace: x.Namespace, Name: canary}, svc); err != nil {
		if apierrors.IsNotFound(err) {
			return own, nil
		}
		return nil, fmt.Errorf("get service %s/%s: %w", x.Namespace, canary, err)
	}
	return withNames(append(own, besides(own, svc.Spec.Ports)...)), nil
}

// besides are those ports of another Service that ours do not have. One whose name is taken
// gets its number behind it: what comes first tells a mesh the protocol.
func besides(ours, theirs []corev1.ServicePort) (more []corev1.ServicePort) {
	for _, p := range theirs {
		if slices.ContainsFunc(ours, func(o corev1.ServicePort) bool { return o.Port == p.Port && o.Protocol == p.Protocol }) {
			continue
		}
		if slices.ContainsFunc(ours, func(o corev1.ServicePort) bool { return o.Name == p.Name }) && p.Name != "" {
			p.Name = fmt.Sprintf("%s-%d", p.Name, p.Port)
		}
		p.NodePort = 0
		more = append(more, p)
	}
	return more
}

// portsOf opens every container port once.
func portsOf(pod *corev1.PodSpec) (ports []corev1.ServicePort) {
	type open struct {
		port     int32
		protocol corev1.Protocol
	}
	seen, names := map[open]bool{}, map[string]bool{}
	for _, c := range pod.Containers {
		for _, p := range c.Ports {
			if p.Protocol == "" {
				p.Protocol = corev1.ProtocolTCP
			}
			o := open{p.ContainerPort, p.Protocol}
			if seen[o] {
				continue
			}
			seen[o] = true
			if names[p.Name] {
				p.Name = ""
			}
			names[p.Name] = p.Name != ""
			ports = append(ports, corev1.ServicePort{Name: p.Name, Protocol: p.Protocol, Port: p.ContainerPort, TargetPort: intstr.FromInt32(p.ContainerPort)})
		}
	}
	return withNames(ports)
}

// withNames gives names to several ports, which they need, and the API server makes up none.
func withNames(ports []corev1.ServicePort) []corev1.ServicePort {
	for i := range ports {
		if p := &ports[i]; p.Name == "" && len(ports) > 1 {
			p.Name = fmt.Sprintf("%s-%d", strings.ToLower(string(p.Protocol)), p.Port)
		}
	}
	return ports
}
