package istio

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

const typePrefix = "type.googleapis.com/"

// The four types that a sidecar follows.
var (
	clusterType  = typeOf(&clusterv3.Cluster{})
	endpointType = typeOf(&endpointv3.ClusterLoadAssignment{})
	listenerType = typeOf(&listenerv3.Listener{})
	routeType    = typeOf(&routev3.RouteConfiguration{})
)

func typeOf(m proto.Message) string {
	return typePrefix + string(m.ProtoReflect().Descriptor().FullName())
}

// sidecar follows the control plane over one incremental stream, as a sidecar does: all
// clusters and listeners, and of endpoints and routes what those name. Istio's own client for
// tests (pkg/adsc) is not used: of an incremental update it may unsubscribe what another
// cluster still needs.
type sidecar struct {
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	ended  chan struct{}

	mu       sync.Mutex
	err      error // why the stream ended
	has      world
	follows  map[string]map[string]bool // by type, the names that are subscribed to
	watchers map[int]func(world)
	next     int
}

// world is what a sidecar is programmed with, by name.
type world struct {
	clusters  map[string]*clusterv3.Cluster
	endpoints map[string]*endpointv3.ClusterLoadAssignment
	listeners map[string]*listenerv3.Listener
	routes    map[string]*routev3.RouteConfiguration
}

// attach connects a sidecar of the namespace default.
func attach(ctx context.Context, address string) (*sidecar, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, fmt.Errorf("connect to Istio: %w", err)
	}
	context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // nothing is written any more
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return nil, fmt.Errorf("subscribe to Istio: %w", err)
	}
	meta, err := structpb.NewStruct(map[string]any{
		"NAMESPACE": "default", "ISTIO_VERSION": "1.31.0", "CLUSTER_ID": "Kubernetes", "LABELS": map[string]any{"app": "client"},
	})
	if err != nil {
		return nil, err
	}
	s := &sidecar{
		stream: stream, ended: make(chan struct{}), watchers: map[int]func(world){},
		follows: map[string]map[string]bool{endpointType: {}, routeType: {}},
		has: world{
			clusters: map[string]*clusterv3.Cluster{}, endpoints: map[string]*endpointv3.ClusterLoadAssignment{},
			listeners: map[string]*listenerv3.Listener{}, routes: map[string]*routev3.RouteConfiguration{},
		},
	}
	node := &corev3.Node{Id: "sidecar~10.0.0.1~client.default~default.svc.cluster.local", Metadata: meta}
	for _, t := range []string{clusterType, listenerType} {
		if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node, TypeUrl: t}); err != nil {
			return nil, fmt.Errorf("subscribe to Istio: %w", err)
		}
	}
	go s.run()
	return s, nil
}

func (s *sidecar) run() {
	defer close(s.ended)
	for {
		r, err := s.stream.Recv()
		if err == nil {
			err = s.take(r)
		}
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.err = err
			return
		}
	}
}

// take stores a response, acknowledges it, and subscribes to what it names.
func (s *sidecar) take(r *discoveryv3.DeltaDiscoveryResponse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range r.Resources {
		if err := s.has.put(r.TypeUrl, x.Name, x.Resource); err != nil {
			return fmt.Errorf("read %s of Istio: %w", x.Name, err)
		}
	}
	for _, name := range r.RemovedResources {
		s.has.drop(r.TypeUrl, name)
	}
	if err := s.stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce}); err != nil {
		return err
	}
	var err error
	switch r.TypeUrl {
	case clusterType:
		err = s.follow(endpointType, s.has.named())
	case listenerType:
		var names map[string]bool
		if names, err = s.has.routeNames(); err == nil {
			err = s.follow(routeType, names)
		}
	}
	for _, w := range s.watchers {
		w(s.has)
	}
	return err
}

// follow changes the subscription to exactly these names.
func (s *sidecar) follow(kind string, names map[string]bool) error {
	r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: kind}
	for name := range names {
		if !s.follows[kind][name] {
			r.ResourceNamesSubscribe = append(r.ResourceNamesSubscribe, name)
		}
	}
	for name := range s.follows[kind] {
		if !names[name] {
			r.ResourceNamesUnsubscribe = append(r.ResourceNamesUnsubscribe, name)
			s.has.drop(kind, name)
		}
	}
	s.follows[kind] = names
	if len(r.ResourceNamesSubscribe)+len(r.ResourceNamesUnsubscribe) == 0 {
		return nil
	}
	return s.stream.Send(r)
}

// look calls f with what the sidecar has now; f must not keep it.
func (s *sidecar) look(f func(world) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return fmt.Errorf("the stream from Istio ended: %w", s.err)
	}
	return f(s.has)
}

// always calls f after every response, until stop.
func (s *sidecar) always(f func(world)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	id := s.next
	s.watchers[id] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, id)
	}
}

func (w world) put(kind, name string, resource *anypb.Any) error {
	switch kind {
	case clusterType:
		return decode(w.clusters, name, resource, &clusterv3.Cluster{})
	case endpointType:
		return decode(w.endpoints, name, resource, &endpointv3.ClusterLoadAssignment{})
	case listenerType:
		return decode(w.listeners, name, resource, &listenerv3.Listener{})
	case routeType:
		return decode(w.routes, name, resource, &routev3.RouteConfiguration{})
	}
	return errors.New("nobody asked for the type " + kind)
}

func decode[M proto.Message](into map[string]M, name string, resource *anypb.Any, m M) error {
	if err := resource.UnmarshalTo(m); err != nil {
		return err
	}
	into[name] = m
	return nil
}

func (w world) drop(kind, name string) {
	switch kind {
	case clusterType:
		delete(w.clusters, name)
	case endpointType:
		delete(w.endpoints, name)
	case listenerType:
		delete(w.listeners, name)
	case routeType:
		delete(w.routes, name)
	}
}

// named are the clusters whose endpoints come from the control plane.
func (w world) named() map[string]bool {
	names := map[string]bool{}
	for name, c := range w.clusters {
		if c.GetType() == clusterv3.Cluster_EDS {
			names[name] = true
		}
	}
	return names
}

// routeNames are the route configurations that the listeners name.
func (w world) routeNames() (map[string]bool, error) {
	names := map[string]bool{}
	for _, l := range w.listeners {
		chains := slices.Clone(l.FilterChains)
		if l.DefaultFilterChain != nil {
			chains = append(chains, l.DefaultFilterChain)
		}
		for _, chain := range chains {
			for _, f := range chain.Filters {
				if !f.GetTypedConfig().MessageIs(&hcmv3.HttpConnectionManager{}) {
					continue
				}
				m := &hcmv3.HttpConnectionManager{}
				if err := f.GetTypedConfig().UnmarshalTo(m); err != nil {
					return nil, fmt.Errorf("read listener %s: %w", l.Name, err)
				}
				if name := m.GetRds().GetRouteConfigName(); name != "" {
					names[name] = true
				}
			}
		}
	}
	return names, nil
}

// hosts lists all virtual hosts, for a message.
func (w world) hosts() (all []string) {
	for _, name := range slices.Sorted(maps.Keys(w.routes)) {
		for _, h := range w.routes[name].VirtualHosts {
			all = append(all, name+"/"+h.Name)
		}
	}
	return all
}
