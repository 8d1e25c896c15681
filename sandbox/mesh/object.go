package mesh

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Routes are the objects that say where requests go.
type Routes struct {
	VirtualServices  []VirtualService
	DestinationRules []DestinationRule
	HTTPRoutes       []gatewayv1.HTTPRoute
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
