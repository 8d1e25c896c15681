package guard

import "strings"

// Kind is a kind of routes that is guarded. The expressions are CEL. In them canary is the
// strategy of the Rollout, routing its trafficRouting, services its Services, params the Rollout
// itself, and labels those of the object; OBJECT stands for the object before or after.
type Kind struct {
	// Name is the policy's, after "penstock-guard-".
	Name string
	// Group and Resource of what is guarded; every version is.
	Group, Resource string
	// Has is whether the Rollout uses a router of this kind, Ours whether the object is one of
	// the Rollout's.
	Has, Ours string
	// Shares is what must not change, as a list.
	Shares string
	// Unordered is whether Shares come in any order, as the keys of a map do.
	Unordered bool
}

const (
	// owned: the object was made for the Rollout.
	owned = `has(oldObject.metadata.ownerReferences) && oldObject.metadata.ownerReferences.exists(o, o.kind == 'Rollout' && o.uid == params.metadata.uid)`
	// meshRoutes are the forms of a route of App Mesh, meshNodes that the Rollout names its nodes.
	meshRoutes = `['httpRoute', 'tcpRoute', 'http2Route', 'grpcRoute']`
	meshNodes  = `has(variables.routing.appMesh) && has(variables.routing.appMesh.virtualNodeGroup)`
	// gateway is the section of the published plugin, which Penstock has built in.
	gatewaySection = `variables.routing.plugins['argoproj-labs/gatewayAPI']`
)

// Kinds are all that can be guarded, by name.
var Kinds = []Kind{
	{
		Name: "istio", Group: "networking.istio.io", Resource: "virtualservices",
		Has: `has(variables.routing.istio)`,
		Ours: `has(variables.routing.istio.virtualService) && variables.routing.istio.virtualService.name.split('.')[0] == object.metadata.name
    || has(variables.routing.istio.virtualServices) && variables.routing.istio.virtualServices.exists(v, v.name.split('.')[0] == object.metadata.name)`,
		Shares: `['http', 'tls', 'tcp'].map(k, k in OBJECT.spec ? OBJECT.spec[k].filter(r, has(r.route) && size(r.route) > 1).map(r,
    (has(r.name) ? r.name : '') + ': ' + r.route.map(d, d.destination.host + '/' + (has(d.destination.subset) ? d.destination.subset : '')
      + '=' + (has(d.weight) ? string(d.weight) : '')).join(' ')) : [])`,
	},
	{
		Name: "istio-subsets", Group: "networking.istio.io", Resource: "destinationrules",
		Has:  `has(variables.routing.istio) && has(variables.routing.istio.destinationRule)`,
		Ours: `variables.routing.istio.destinationRule.name == object.metadata.name`,
		Shares: `has(OBJECT.spec.subsets) ? OBJECT.spec.subsets.map(s, s.name + '='
    + (has(s.labels) && 'rollouts-pod-template-hash' in s.labels ? s.labels['rollouts-pod-template-hash'] : '')) : []`,
	},
	{
		Name: "nginx", Group: "networking.k8s.io", Resource: "ingresses",
		Has: `has(variables.routing.nginx)`, Ours: owned,
		Shares: `has(OBJECT.metadata.annotations) ? OBJECT.metadata.annotations.filter(a, a.contains('/canary')).map(a, a + '=' + OBJECT.metadata.annotations[a]) : []`, Unordered: true,
	},
	{
		Name: "alb", Group: "networking.k8s.io", Resource: "ingresses",
		Has: `has(variables.routing.alb)`,
		Ours: `has(variables.routing.alb.ingress) && variables.routing.alb.ingress == object.metadata.name
    || has(variables.routing.alb.ingresses) && object.metadata.name in variables.routing.alb.ingresses`,
		Shares: `has(OBJECT.metadata.annotations) ? OBJECT.metadata.annotations.filter(a, a.contains('/actions.') || a.contains('/conditions.')).map(a, a + '=' + OBJECT.metadata.annotations[a]) : []`, Unordered: true,
	},
	{
		Name: "smi", Group: "split.smi-spec.io", Resource: "trafficsplits",
		Has: `has(variables.routing.smi)`, Ours: owned,
		Shares: `has(OBJECT.spec.backends) ? OBJECT.spec.backends.map(b, b.service + '=' + string(b.weight)) : []`,
	},
	{
		Name: "traefik", Group: "traefik.io", Resource: "traefikservices",
		Has:    `has(variables.routing.traefik)`,
		Ours:   `variables.routing.traefik.weightedTraefikServiceName == object.metadata.name`,
		Shares: `has(OBJECT.spec.weighted) && has(OBJECT.spec.weighted.services) ? OBJECT.spec.weighted.services.map(s, s.name + '=' + (has(s.weight) ? string(s.weight) : '')) : []`,
	},
	{
		Name: "apisix", Group: "apisix.apache.org", Resource: "apisixroutes",
		Has:  `has(variables.routing.apisix)`,
		Ours: `has(variables.routing.apisix.route) && variables.routing.apisix.route.name == object.metadata.name || ` + owned,
		Shares: `has(OBJECT.spec.http) ? OBJECT.spec.http.filter(r, has(r.backends) && r.backends.exists(b, b.serviceName in variables.services)).map(r,
    r.name + ': ' + r.backends.map(b, b.serviceName + '=' + (has(b.weight) ? string(b.weight) : '')).join(' ')) : []`,
	},
	{
		Name: "ambassador", Group: "getambassador.io", Resource: "mappings",
		Has: `has(variables.routing.ambassador)`, Ours: owned,
		Shares: `[OBJECT.spec.service + '=' + (has(OBJECT.spec.weight) ? string(OBJECT.spec.weight) : '')]`,
	},
	{
		Name: "appmesh", Group: "appmesh.k8s.aws", Resource: "virtualrouters",
		Has: meshNodes,
		Ours: `has(oldObject.spec.routes) && oldObject.spec.routes.exists(r, ` + meshRoutes + `.exists(k, k in r && r[k].action.weightedTargets.exists(w,
    w.virtualNodeRef.name == variables.routing.appMesh.virtualNodeGroup.canaryVirtualNodeRef.name)))`,
		Shares: `has(OBJECT.spec.routes) ? OBJECT.spec.routes.map(r, r.name + ': ' + ` + meshRoutes + `.filter(k, k in r).map(k,
    r[k].action.weightedTargets.map(w, w.virtualNodeRef.name + '=' + string(w.weight)).join(' ')).join('; ')) : []`,
	},
	{
		Name: "appmesh-nodes", Group: "appmesh.k8s.aws", Resource: "virtualnodes",
		Has: meshNodes,
		Ours: `variables.routing.appMesh.virtualNodeGroup.stableVirtualNodeRef.name == object.metadata.name
    || variables.routing.appMesh.virtualNodeGroup.canaryVirtualNodeRef.name == object.metadata.name`,
		Shares: `has(OBJECT.spec.podSelector) && has(OBJECT.spec.podSelector.matchLabels) && 'rollouts-pod-template-hash' in OBJECT.spec.podSelector.matchLabels
    ? [OBJECT.spec.podSelector.matchLabels['rollouts-pod-template-hash']] : []`,
	},
	gateway("httproutes", "httpRoute"), gateway("grpcroutes", "grpcRoute"), gateway("tcproutes", "tcpRoute"), gateway("tlsroutes", "tlsRoute"),
}

// gateway is a kind of the Gateway API, with its fields of the section: one, several, and the
// labels of others.
func gateway(resource, one string) Kind {
	many, labels := one+"s", one+"Selector"
	return Kind{
		Name: "gateway-" + resource, Group: "gateway.networking.k8s.io", Resource: resource,
		Has: `has(variables.routing.plugins) && 'argoproj-labs/gatewayAPI' in variables.routing.plugins`,
		Ours: `has(` + gatewaySection + `.` + one + `) && ` + gatewaySection + `.` + one + ` == object.metadata.name
    || has(` + gatewaySection + `.` + many + `) && ` + gatewaySection + `.` + many + `.exists(r, r.name == object.metadata.name)
    || has(` + gatewaySection + `.` + labels + `) && ` + matches(gatewaySection+"."+labels),
		Shares: `has(OBJECT.spec.rules) ? OBJECT.spec.rules.filter(r, has(r.backendRefs) && r.backendRefs.exists(b, b.name in variables.services)).map(r,
    r.backendRefs.map(b, b.name + '=' + (has(b.weight) ? string(b.weight) : '')).join(' ')) : []`,
	}
}

// matches is whether the object's labels are those of a label selector.
func matches(selector string) string {
	return strings.NewReplacer("SELECTOR", selector, "LABELS", "variables.labels").Replace(`(!has(SELECTOR.matchLabels) || SELECTOR.matchLabels.all(k, k in LABELS && LABELS[k] == SELECTOR.matchLabels[k]))
    && (!has(SELECTOR.matchExpressions) || SELECTOR.matchExpressions.all(e, e.operator == 'Exists' ? e.key in LABELS
      : e.operator == 'DoesNotExist' ? !(e.key in LABELS) : (e.key in LABELS && LABELS[e.key] in e.values) == (e.operator == 'In')))`)
}
