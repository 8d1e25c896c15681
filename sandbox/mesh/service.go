package mesh

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// labelHash is the label by which pods of one revision are told apart.
const labelHash = "rollouts-pod-template-hash"

// endpoint is one ready pod behind one port.
type endpoint struct {
	ip     string
	port   int32
	pod    string
	labels map[string]string
}

func (e endpoint) hash() string {
	return cmp.Or(e.labels[labelHash], e.labels["pod-template-hash"])
}

// version is the pod's label, or else what the answer said.
func (e endpoint) version(answered string) string { return cmp.Or(e.labels["version"], answered) }

// service is a Service with its ready endpoints, per name of a port.
type service struct {
	*corev1.Service
	ready map[string][]endpoint
}

// port finds the port with a number, or the first one for number 0.
func (s *service) port(number int32) (port corev1.ServicePort, found bool) {
	for _, p := range s.Spec.Ports {
		if number == 0 || p.Port == number {
			return p, true
		}
	}
	return corev1.ServicePort{}, false
}

// portNumber is the number of a port that is named, or the number itself; -1,
// which no port has, when it names none.
func (r *registry) portNumber(of types.NamespacedName, port intstr.IntOrString) int32 {
	if port.Type == intstr.Int && port.IntVal > 0 {
		return port.IntVal
	}
	if s := r.services[of]; s != nil && port.Type == intstr.String {
		for _, p := range s.Spec.Ports {
			if p.Name == port.StrVal {
				return p.Port
			}
		}
	}
	return -1
}

// registry finds services and the subsets that DestinationRules define.
type registry struct {
	services map[types.NamespacedName]*service
	rules    []DestinationRule
}

func newRegistry(o Objects) *registry {
	r := &registry{services: map[types.NamespacedName]*service{}, rules: slices.Clone(o.DestinationRules)}
	slices.SortFunc(r.rules, func(a, b DestinationRule) int { return byAge(&a.ObjectMeta, &b.ObjectMeta) })
	for _, s := range o.Services {
		if s.Spec.Type != corev1.ServiceTypeExternalName {
			r.services[types.NamespacedName{Namespace: s.Namespace, Name: s.Name}] = &service{Service: s, ready: map[string][]endpoint{}}
		}
	}
	pods := make(map[types.NamespacedName]*corev1.Pod, len(o.Pods))
	for _, p := range o.Pods {
		pods[types.NamespacedName{Namespace: p.Namespace, Name: p.Name}] = p
	}
	for _, slice := range o.EndpointSlices {
		key := types.NamespacedName{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}
		if s := r.services[key]; s != nil && slice.AddressType != discoveryv1.AddressTypeFQDN {
			s.addReady(slice, pods)
		}
	}
	for _, s := range r.services {
		for name, endpoints := range s.ready {
			s.ready[name] = ordered(endpoints)
		}
	}
	return r
}

// addReady adds the ready endpoints of a slice; unknown counts as ready, as the
// API's documentation asks of consumers.
func (s *service) addReady(slice *discoveryv1.EndpointSlice, pods map[types.NamespacedName]*corev1.Pod) {
	for _, e := range slice.Endpoints {
		if len(e.Addresses) == 0 || e.Conditions.Ready != nil && !*e.Conditions.Ready {
			continue
		}
		found := endpoint{ip: e.Addresses[0]}
		if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
			found.pod = e.TargetRef.Name
			if p := pods[types.NamespacedName{Namespace: slice.Namespace, Name: found.pod}]; p != nil {
				found.labels = p.Labels
			}
		}
		for _, p := range slice.Ports {
			if p.Port == nil {
				continue
			}
			name := ""
			if p.Name != nil {
				name = *p.Name
			}
			found.port = *p.Port
			s.ready[name] = append(s.ready[name], found)
		}
	}
}

// ordered sorts and drops doubles: a pod may stand in two slices for a moment.
func ordered(endpoints []endpoint) []endpoint {
	slices.SortFunc(endpoints, func(a, b endpoint) int {
		return cmp.Or(cmp.Compare(a.pod, b.pod), cmp.Compare(a.ip, b.ip), cmp.Compare(a.port, b.port))
	})
	return slices.CompactFunc(endpoints, func(a, b endpoint) bool { return a.ip == b.ip && a.port == b.port })
}

// subset finds the labels of a subset of a service. A rule in the namespace of
// the asking route goes before one in the namespace of the service, as in Istio.
func (r *registry) subset(from string, of types.NamespacedName, name string) (labels map[string]string, rule *DestinationRule) {
	for _, namespace := range []string{from, of.Namespace} {
		for i := range r.rules {
			rule := &r.rules[i]
			if rule.Namespace != namespace || resolve(rule.Spec.Host, rule.Namespace) != of {
				continue
			}
			for _, s := range rule.Spec.Subsets {
				if s.Name == name {
					return s.Labels, rule
				}
			}
		}
	}
	return nil, nil
}

func hasLabels(have, want map[string]string) bool {
	for k, v := range want {
		if got, present := have[k]; !present || got != v {
			return false
		}
	}
	return true
}

// resolve reads a host as a Service: name, name.namespace, name.namespace.svc….
func resolve(host, namespace string) types.NamespacedName {
	labels := strings.Split(host, ".")
	if len(labels) > 1 {
		namespace = labels[1]
	}
	return types.NamespacedName{Namespace: namespace, Name: labels[0]}
}

// aliases are the hosts under which a Service is asked for; the first is its
// bare name, which another namespace may also claim.
func aliases(s types.NamespacedName) []string {
	full := s.Name + "." + s.Namespace
	return []string{s.Name, full, full + ".svc", full + ".svc.cluster.local"}
}

func sortedKeys[V any](m map[types.NamespacedName]V) []types.NamespacedName {
	return slices.SortedFunc(maps.Keys(m), func(a, b types.NamespacedName) int { return cmp.Compare(a.String(), b.String()) })
}
