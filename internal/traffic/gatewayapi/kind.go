package gatewayapi

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

const group = "gateway.networking.k8s.io"

// kind is one kind of route, and what its rules can carry.
type kind struct {
	name string
	// versions are those to speak, newest first; the last one is the published router's.
	versions []string
	// section is the key under which a rollout names one route. The keys for a list and for a
	// selector begin alike.
	section string
	// told is what the rollout's section says about the kind.
	told func(config) told
	// missing is how the published router says that no rule holds the Services.
	missing string
	// condition translates method and path of a match into what a match of a rule has to have
	// in addition; ok is false where no request meets it. Nil where rules take connections:
	// these carry neither header nor mirror routes.
	condition func(m v1alpha1.RouteMatch) (c map[string]any, ok bool, problem string)
	// join narrows a match of a rule by a condition, in place; ok is false where no request
	// is left.
	join func(match, condition map[string]any) (ok bool, problem string)
}

// kinds is the table of what this router knows.
var kinds = []*kind{
	{
		name: "HTTPRoute", versions: []string{"v1"}, section: "httpRoute",
		told:    func(c config) told { return told{c.HTTPRoute, c.HTTPRoutes, c.HTTPRouteSelector} },
		missing: "backendRef was not found in httpRoute", condition: httpCondition, join: joinHTTP,
	},
	{
		name: "GRPCRoute", versions: []string{"v1"}, section: "grpcRoute",
		told:    func(c config) told { return told{c.GRPCRoute, c.GRPCRoutes, c.GRPCRouteSelector} },
		missing: "backendRef was not found in grpcRoute", condition: grpcCondition, join: joinGRPC,
	},
	{
		name: "TCPRoute", versions: []string{"v1", "v1alpha2"}, section: "tcpRoute",
		told:    func(c config) told { return told{c.TCPRoute, c.TCPRoutes, c.TCPRouteSelector} },
		missing: "backendRef list was not found in tcpRoute",
	},
	{
		name: "TLSRoute", versions: []string{"v1", "v1alpha3", "v1alpha2"}, section: "tlsRoute",
		told:    func(c config) told { return told{c.TLSRoute, c.TLSRoutes, c.TLSRouteSelector} },
		missing: "backendRef list was not found in tlsRoute",
	},
}

// told is what a section says about one kind.
type told struct {
	one      string
	list     []named
	selector *metav1.LabelSelector
}

// named is one entry of a list of routes.
type named struct {
	Name            string `json:"name"`
	UseHeaderRoutes bool   `json:"useHeaderRoutes"`
}

// requests reports whether rules of the kind look at requests, and so carry header and
// mirror routes.
func (k *kind) requests() bool { return k.condition != nil }

func (k *kind) ref(namespace, name string) traffic.Ref {
	return traffic.Ref{Group: group, Kind: k.name, Namespace: namespace, Name: name}
}

// gvk is the kind in the newest version that the cluster serves. Where that cannot be told
// it is the published router's, so that the error of whoever asks for it names that one.
func (o Options) gvk(k *kind) schema.GroupVersionKind {
	kind := schema.GroupKind{Group: group, Kind: k.name}
	version := k.versions[len(k.versions)-1]
	if o.Mapper != nil && len(k.versions) > 1 {
		if m, err := o.Mapper.RESTMapping(kind, k.versions...); err == nil {
			version = m.GroupVersionKind.Version
		}
	}
	return kind.WithVersion(version)
}

// Kinds lists the kinds to watch for a target: those that its section tells of. The others
// need not be served by the cluster.
func (o Options) Kinds(t traffic.Target) (list []schema.GroupVersionKind) {
	p := planOf(t)
	for _, k := range kinds {
		if slices.Contains(p.used(), k) {
			list = append(list, o.gvk(k))
		}
	}
	return list
}
