package istio

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// virtualHost finds where requests for a host of port 80 go.
func (w world) virtualHost(host string) (*routev3.VirtualHost, error) {
	for _, v := range w.routes["80"].GetVirtualHosts() {
		if slices.Contains(v.Domains, host) {
			return v, nil
		}
	}
	return nil, fmt.Errorf("no virtual host for %s among %v", host, w.hosts())
}

// part is how much of a route's requests a cluster gets.
type part struct {
	cluster string
	weight  uint32
}

func partsOf(r *routev3.RouteAction) (all []part) {
	if name := r.GetCluster(); name != "" {
		return []part{{name, 100}}
	}
	for _, c := range r.GetWeightedClusters().GetClusters() {
		all = append(all, part{c.Name, c.GetWeight().GetValue()})
	}
	return all
}

// lines tell what the proxies do with requests to a host, first match first:
//
//	x-tester=yes → outbound|80|canary|web 100
//	:method=GET path=/api* → outbound|80|stable|web 90 outbound|80|canary|web 10 mirror outbound|80|canary|web 25%
//	any → outbound|80|stable|web 90 outbound|80|canary|web 10
//
// Names are cut by the given domain.
func lines(v *routev3.VirtualHost, domain string) (all []string) {
	for _, r := range v.Routes {
		words := append(conditions(r.Match), "→")
		switch {
		case r.GetRoute() == nil:
			words = append(words, fmt.Sprintf("%T", r.Action))
		case len(partsOf(r.GetRoute())) == 0:
			words = append(words, "nowhere")
		}
		for _, s := range partsOf(r.GetRoute()) {
			words = append(words, s.cluster, fmt.Sprint(s.weight))
		}
		for _, m := range r.GetRoute().GetRequestMirrorPolicies() {
			words = append(words, "mirror", m.Cluster, percent(m.RuntimeFraction))
		}
		all = append(all, strings.ReplaceAll(strings.Join(words, " "), domain, ""))
	}
	return all
}

func conditions(m *routev3.RouteMatch) (all []string) {
	for _, h := range m.GetHeaders() {
		c := h.Name + text(h.GetStringMatch())
		if h.InvertMatch {
			c = "not " + c
		}
		all = append(all, c)
	}
	for _, q := range m.GetQueryParameters() {
		all = append(all, "query "+q.Name)
	}
	slices.Sort(all)
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		if p.Prefix != "/" {
			all = append(all, "path="+p.Prefix+"*")
		}
	case *routev3.RouteMatch_Path:
		all = append(all, "path="+p.Path)
	case *routev3.RouteMatch_SafeRegex:
		all = append(all, "path~"+p.SafeRegex.Regex)
	default:
		all = append(all, fmt.Sprintf("path %v", p))
	}
	if len(all) == 0 {
		return []string{"any"}
	}
	return all
}

func text(m *matcherv3.StringMatcher) string {
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return "=" + p.Exact
	case *matcherv3.StringMatcher_Prefix:
		return "=" + p.Prefix + "*"
	case *matcherv3.StringMatcher_SafeRegex:
		return "~" + p.SafeRegex.Regex
	}
	return fmt.Sprintf(" %v", m)
}

// whole is how many make 100 %.
var whole = map[typev3.FractionalPercent_DenominatorType]float64{
	typev3.FractionalPercent_HUNDRED: 100, typev3.FractionalPercent_TEN_THOUSAND: 10_000, typev3.FractionalPercent_MILLION: 1_000_000,
}

func percent(f *corev3.RuntimeFractionalPercent) string {
	if f == nil {
		return "100%"
	}
	return fmt.Sprintf("%v%%", float64(f.DefaultValue.Numerator)/whole[f.DefaultValue.Denominator]*100)
}

// addresses lists where a cluster's requests go, sorted. An endpoint that gets none, or not
// its share, is marked.
func (w world) addresses(cluster string) (all []string) {
	for _, group := range w.endpoints[cluster].GetEndpoints() {
		for _, e := range group.LbEndpoints {
			a := e.GetEndpoint().GetAddress().GetSocketAddress()
			text := fmt.Sprintf("%s:%d", a.GetAddress(), a.GetPortValue())
			if h := e.HealthStatus; h != corev3.HealthStatus_UNKNOWN && h != corev3.HealthStatus_HEALTHY {
				text += " " + h.String()
			}
			if group.Priority != 0 {
				text += fmt.Sprintf(" priority %d", group.Priority)
			}
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return all
}

// breaches tells what of a virtual host must never be, whatever step the release is at: a
// route whose shares do not make 100, or that sends or copies to a cluster with nobody in it.
func (w world) breaches(v *routev3.VirtualHost) (all []string) {
	for _, r := range v.Routes {
		to := partsOf(r.GetRoute())
		sum := uint32(0)
		for _, s := range to {
			sum += s.weight
		}
		if sum != 100 {
			all = append(all, fmt.Sprintf("the shares make %d", sum))
		}
		for _, m := range r.GetRoute().GetRequestMirrorPolicies() {
			to = append(to, part{m.Cluster, 1})
		}
		for _, s := range to {
			if s.weight > 0 && len(w.addresses(s.cluster)) == 0 {
				all = append(all, fmt.Sprintf("%s gets %d and is empty", s.cluster, s.weight))
			}
		}
	}
	return all
}

func TestBreachesAreSeen(t *testing.T) {
	full := &endpointv3.ClusterLoadAssignment{Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{}}}}}
	w := world{endpoints: map[string]*endpointv3.ClusterLoadAssignment{"full": full, "empty": {}}}
	weighted := func(list ...any) *routev3.RouteAction {
		c := &routev3.WeightedCluster{}
		for i := 0; i < len(list); i += 2 {
			c.Clusters = append(c.Clusters, &routev3.WeightedCluster_ClusterWeight{
				Name: list[i].(string), Weight: wrapperspb.UInt32(uint32(list[i+1].(int))),
			})
		}
		return &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_WeightedClusters{WeightedClusters: c}}
	}
	mirrored := weighted("full", 100)
	mirrored.RequestMirrorPolicies = []*routev3.RouteAction_RequestMirrorPolicy{{Cluster: "empty"}}
	for name, test := range map[string]struct {
		action *routev3.RouteAction
		want   []string
	}{
		"all is well":                    {weighted("full", 100, "empty", 0), nil},
		"a share for nobody":             {weighted("full", 90, "empty", 10), []string{"empty gets 10 and is empty"}},
		"a share for an unknown cluster": {weighted("full", 90, "gone", 10), []string{"gone gets 10 and is empty"}},
		"shares that do not make 100":    {weighted("full", 90), []string{"the shares make 90"}},
		"copies for nobody":              {mirrored, []string{"empty gets 1 and is empty"}},
		"one cluster with nobody":        {&routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "empty"}}, []string{"empty gets 100 and is empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := &routev3.VirtualHost{Routes: []*routev3.Route{{Action: &routev3.Route_Route{Route: test.action}}}}
			if got := w.breaches(v); !slices.Equal(got, test.want) {
				t.Errorf("it sees %v, want %v", got, test.want)
			}
		})
	}
}
