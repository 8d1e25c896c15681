package kube

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// +kubebuilder:rbac:groups=elbv2.k8s.aws,resources=targetgroupbindings,verbs=list
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list

// TargetGroups says whether the target groups of load balancers serve what they should.
type TargetGroups interface {
	// Targets says what is known now, and sees to it that more becomes known; it never blocks.
	// An empty list ends the questions about the Rollout.
	Targets(rollout loop.Key, list []traffic.TargetGroup) traffic.Proof
	// Interval is when to look again for other endpoints.
	Interval() time.Duration
	// Forget is for a Rollout that is gone.
	Forget(rollout loop.Key)
}

// DefaultBinding is the published version of TargetGroupBinding.
var DefaultBinding = schema.GroupVersionKind{Group: "elbv2.k8s.aws", Version: "v1beta1", Kind: "TargetGroupBinding"}

// observeTargets asks, while it matters, whether the load balancers that send to pods know
// all endpoints of the Service that was just pointed elsewhere. All is read from the API
// server: it matters for moments only.
func (r *Rollouts) observeTargets(ctx context.Context, s *Seen) {
	if r.TargetGroups == nil {
		return
	}
	key := client.ObjectKeyFromObject(s.Rollout)
	service, hash, due := rollout.TargetsDue(s.Snapshot)
	if !due {
		r.TargetGroups.Targets(key, nil)
		r.relay(s.Rollout, byTargets, nil)
		return
	}
	list, why := r.targetGroups(ctx, s, service, hash)
	if len(list) == 0 && why == "" {
		return // no load balancer sends to its pods
	}
	s.Snapshot.Targets = &rollout.Targets{Why: why}
	s.again(s.Snapshot.Now.Add(r.TargetGroups.Interval()))
	if why != "" {
		return
	}
	proof := r.TargetGroups.Targets(key, list)
	s.Snapshot.Targets.Served = proof.Holds
	s.Snapshot.Targets.Why = fmt.Sprintf("the load balancers are not known to serve every endpoint of service %s yet", service)
	for _, n := range proof.Notes {
		if n.Warning {
			s.Snapshot.Targets.Why = n.Message
		}
	}
	r.relay(s.Rollout, byTargets, proof.Notes)
}

// targetGroups are those that follow a Service and send to its pods, with the endpoints that
// they should have. The sentence says why that cannot be told yet.
func (r *Rollouts) targetGroups(ctx context.Context, s *Seen, service, hash string) (list []traffic.TargetGroup, why string) {
	kind := r.Binding
	if kind.Empty() {
		kind = DefaultBinding
	}
	bindings := &unstructured.UnstructuredList{}
	bindings.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	err := r.Live.List(ctx, bindings, client.InNamespace(s.Rollout.Namespace))
	switch {
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
		return nil, "" // the cluster has no such load balancers
	case err != nil:
		return nil, fmt.Sprintf("list %s in %s: %v", kind.Kind, s.Rollout.Namespace, err)
	}
	var found *discoveryv1.EndpointSliceList
	for i := range bindings.Items {
		b := bindingOf(&bindings.Items[i])
		if b.service != service || b.kind != "ip" {
			continue
		}
		if b.arn == "" {
			return nil, fmt.Sprintf("TargetGroupBinding %s has no target group yet", bindings.Items[i].GetName())
		}
		if found == nil {
			found = &discoveryv1.EndpointSliceList{}
			if err := r.Live.List(ctx, found, client.InNamespace(s.Rollout.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: service}); err != nil {
				return nil, fmt.Sprintf("list the endpoints of service %s: %v", service, err)
			}
		}
		endpoints, why := endpointsOf(found.Items, b, s.services[service], s.Sets[hash].GetName())
		if why != "" {
			return nil, why
		}
		list = append(list, traffic.TargetGroup{ARN: b.arn, Service: service, Endpoints: endpoints})
	}
	return list, ""
}

// binding is what counts of a TargetGroupBinding.
type binding struct {
	arn, kind, service, port string
	family                   discoveryv1.AddressType
}

func bindingOf(u *unstructured.Unstructured) (b binding) {
	text := func(fields ...string) string {
		v, _, _ := unstructured.NestedFieldNoCopy(u.Object, append([]string{"spec"}, fields...)...)
		if v == nil {
			return ""
		}
		return fmt.Sprint(v)
	}
	b = binding{arn: text("targetGroupARN"), kind: text("targetType"), service: text("serviceRef", "name"), port: text("serviceRef", "port"), family: discoveryv1.AddressTypeIPv4}
	if strings.EqualFold(text("ipAddressType"), "ipv6") {
		b.family = discoveryv1.AddressTypeIPv6
	}
	return b
}

// endpointsOf are the ready endpoints of a Service behind one of its ports. While some of
// them are another revision's, or there are none, nothing can be told: the endpoints follow
// the Service late too.
func endpointsOf(list []discoveryv1.EndpointSlice, b binding, svc *corev1.Service, set string) (all []string, why string) {
	if svc == nil {
		return nil, fmt.Sprintf("service %s does not exist", b.service)
	}
	name, found := portName(svc, b.port)
	if !found {
		return nil, fmt.Sprintf("service %s has no port %s", b.service, b.port)
	}
	for _, slice := range list {
		if slice.AddressType != b.family {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			if p := e.TargetRef; set != "" && p != nil && p.Kind == "Pod" && !strings.HasPrefix(p.Name, set+"-") {
				return nil, fmt.Sprintf("service %s still leads to pod %s of another revision", b.service, p.Name)
			}
			for _, p := range slice.Ports {
				if p.Port == nil || p.Name != nil && *p.Name != name || p.Name == nil && name != "" {
					continue
				}
				for _, address := range e.Addresses {
					all = append(all, net.JoinHostPort(address, strconv.Itoa(int(*p.Port))))
				}
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Sprintf("service %s has no ready endpoint yet", b.service)
	}
	slices.Sort(all)
	return all, ""
}

// portName is the name of a Service's port, which may be "", by its number or name.
func portName(svc *corev1.Service, port string) (name string, found bool) {
	for _, p := range svc.Spec.Ports {
		if p.Name == port && port != "" || strconv.Itoa(int(p.Port)) == port {
			return p.Name, true
		}
	}
	return "", false
}
