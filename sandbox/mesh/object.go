package mesh

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Routes are the objects that say where requests go.
type Routes struct {
	VirtualServices  []VirtualService
	DestinationRules []DestinationRule
	HTTPRoutes       []gatewayv1.HTTPRoute
	Ingresses        []*networkingv1.Ingress
	TrafficSplits    []TrafficSplit
	IngressRoutes    []IngressRoute
	TraefikServices  []TraefikService
}

// Objects are all that a Table is made from.
type Objects struct {
	Routes
	Services       []*corev1.Service
	EndpointSlices []*discoveryv1.EndpointSlice
	Pods           []*corev1.Pod
	// Unread names the objects that could not be decoded and are left out.
	Unread []string
}

// VirtualService is the part of Istio's object that the gateway follows.
type VirtualService struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Hosts []string    `json:"hosts"`
		HTTP  []istioHTTP `json:"http"`
	} `json:"spec"`
}

type istioHTTP struct {
	Name             string             `json:"name"`
	Match            []istioMatch       `json:"match"`
	Route            []istioDestination `json:"route"`
	Mirror           *istioTarget       `json:"mirror"`
	MirrorPercentage *istioPercent      `json:"mirrorPercentage"`
	MirrorPercent    *float64           `json:"mirrorPercent"`
	Mirrors          []struct {
		Destination istioTarget   `json:"destination"`
		Percentage  *istioPercent `json:"percentage"`
	} `json:"mirrors"`

	Redirect       json.RawMessage `json:"redirect"`
	Rewrite        json.RawMessage `json:"rewrite"`
	Fault          json.RawMessage `json:"fault"`
	Delegate       json.RawMessage `json:"delegate"`
	DirectResponse json.RawMessage `json:"directResponse"`
}

type istioPercent struct {
	Value float64 `json:"value"`
}

type istioDestination struct {
	Destination istioTarget `json:"destination"`
	Weight      int64       `json:"weight"`
}

type istioTarget struct {
	Host   string `json:"host"`
	Subset string `json:"subset"`
	Port   struct {
		Number int32 `json:"number"`
	} `json:"port"`
}

type istioMatch struct {
	URI             *istioString           `json:"uri"`
	Scheme          *istioString           `json:"scheme"`
	Method          *istioString           `json:"method"`
	Authority       *istioString           `json:"authority"`
	Headers         map[string]istioString `json:"headers"`
	WithoutHeaders  map[string]istioString `json:"withoutHeaders"`
	QueryParams     map[string]istioString `json:"queryParams"`
	IgnoreURICase   bool                   `json:"ignoreUriCase"`
	SourceLabels    map[string]string      `json:"sourceLabels"`
	SourceNamespace string                 `json:"sourceNamespace"`
}

type istioString struct {
	Exact  *string `json:"exact"`
	Prefix *string `json:"prefix"`
	Regex  *string `json:"regex"`
}

// DestinationRule is the part of Istio's object that the gateway follows.
type DestinationRule struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Host    string `json:"host"`
		Subsets []struct {
			Name   string            `json:"name"`
			Labels map[string]string `json:"labels"`
		} `json:"subsets"`
	} `json:"spec"`
}

// TrafficSplit is the part of SMI's object that the gateway follows. A weight is
// a quantity in v1alpha1 and a whole number later; a Quantity reads both.
type TrafficSplit struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Service  string          `json:"service"`
		Matches  json.RawMessage `json:"matches"`
		Backends []struct {
			Service string            `json:"service"`
			Weight  resource.Quantity `json:"weight"`
		} `json:"backends"`
	} `json:"spec"`
}

// IngressRoute is the part of Traefik's object that the gateway follows.
type IngressRoute struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Routes     []traefikRoute  `json:"routes"`
		ParentRefs json.RawMessage `json:"parentRefs"`
	} `json:"spec"`
}

type traefikRoute struct {
	Kind        string          `json:"kind"`
	Match       string          `json:"match"`
	Priority    int64           `json:"priority"`
	Services    []traefikRef    `json:"services"`
	Middlewares json.RawMessage `json:"middlewares"`
}

// traefikRef names a Service or a TraefikService.
type traefikRef struct {
	Kind        string             `json:"kind"`
	Namespace   string             `json:"namespace"`
	Name        string             `json:"name"`
	Port        intstr.IntOrString `json:"port"`
	Weight      *int64             `json:"weight"`
	Middlewares json.RawMessage    `json:"middlewares"`
}

// TraefikService is the part of Traefik's object that the gateway follows.
type TraefikService struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Weighted *struct {
			Services []traefikRef `json:"services"`
		} `json:"weighted"`
		Mirroring *struct {
			traefikRef
			Mirrors []struct {
				traefikRef
				Percent float64 `json:"percent"`
			} `json:"mirrors"`
		} `json:"mirroring"`
	} `json:"spec"`
}

// present tells a field that is set from one that is left out, null, or an empty list.
func present(raw json.RawMessage) bool {
	return len(raw) > 0 && string(raw) != "null" && string(raw) != "[]"
}

// decode reads one of the types above, or a HTTPRoute, from what the API
// server stores. Whole numbers written as floats are accepted.
func decode[T any](u *unstructured.Unstructured) (T, error) {
	var out T
	raw, err := u.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		return out, fmt.Errorf("decode %s %s/%s: %w", u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
	return out, nil
}
