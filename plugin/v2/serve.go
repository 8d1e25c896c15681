package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/penstock-io/penstock/plugin/v2/wire"
)

// Version is the version of the protocol, as go-plugin negotiates it.
const Version = 2

// cookieKey is the published variable of the environment that starts a plugin.
const cookieKey = "ARGO_ROLLOUTS_RPC_PLUGIN"

// Kind is an implementation of one of the three interfaces.
type Kind struct {
	cookie, dispense string
	register         func(*grpc.Server)
}

// OfMetric is the kind of metric plugins.
func OfMetric(m Metric) Kind {
	return Kind{"metricprovider", "RpcMetricProviderPlugin", func(s *grpc.Server) { wire.RegisterMetricServer(s, metricServer{of: m}) }}
}

// OfTraffic is the kind of traffic router plugins.
func OfTraffic(t Traffic) Kind {
	return Kind{"trafficrouter", "RpcTrafficRouterPlugin", func(s *grpc.Server) { wire.RegisterTrafficServer(s, trafficServer{of: t}) }}
}

// OfStep is the kind of step plugins.
func OfStep(p Step) Kind {
	return Kind{"step", "RpcStepPlugin", func(s *grpc.Server) { wire.RegisterStepServer(s, stepServer{of: p}) }}
}

// Serve runs the plugin until the controller ends it. It does not return when the program
// was started by a person: it says so and exits with 1.
func Serve(k Kind) {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: Version, MagicCookieKey: cookieKey, MagicCookieValue: k.cookie},
		VersionedPlugins: map[int]goplugin.PluginSet{Version: {k.dispense: served{register: k.register}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.ChainUnaryInterceptor(recovered))...)
		},
	})
}

// recovered makes a panic an error of the call in which it happened: others go on.
func recovered(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (reply any, err error) {
	defer func() {
		if v := recover(); v != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n%s", v, debug.Stack())
			err = status.Errorf(codes.Internal, "the plugin panicked: %v", v)
		}
	}()
	return handle(ctx, request)
}

// served is this side of go-plugin.
type served struct {
	goplugin.NetRPCUnsupportedPlugin
	register func(*grpc.Server)
}

// GRPCServer implements goplugin.GRPCPlugin.
func (p served) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	p.register(s)
	return nil
}

// GRPCClient implements goplugin.GRPCPlugin.
func (served) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is the side of the plugin")
}
