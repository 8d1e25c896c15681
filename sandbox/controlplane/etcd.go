package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdServer is an etcd of one member. It listens on a unix socket inside the private
// state directory only, so no other user can reach it and no port is taken.
type etcdServer struct {
	etcd     *embed.Etcd
	endpoint string
}

func startEtcd(ctx context.Context, dir *stateDir) (*etcdServer, error) {
	socket, err := dir.socket("etcd.sock")
	if err != nil {
		return nil, err
	}
	address := url.URL{Scheme: "unix", Path: socket}
	c := embed.NewConfig()
	c.Dir = dir.file("etcd")
	c.ListenClientUrls = []url.URL{address}
	c.AdvertiseClientUrls = []url.URL{address}
	c.ListenPeerUrls = nil // a single member has nobody to talk to
	c.EnableGRPCGateway = false
	// A lone member elects itself after one election timeout, 1 s by default.
	c.TickMs, c.ElectionMs = 10, 100
	c.UnsafeNoFsync = true // the data is thrown away at the end
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(etcdLogger())

	etcd, err := embed.StartEtcd(c)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	s := &etcdServer{etcd: etcd, endpoint: address.String()}
	select {
	case <-etcd.Server.ReadyNotify():
		return s, nil
	case err := <-etcd.Err():
		s.stop()
		return nil, fmt.Errorf("start etcd: %w", err)
	case <-etcd.Server.StopNotify():
		s.stop()
		return nil, errors.New("start etcd: it ended before it was ready")
	case <-ctx.Done():
		s.stop()
		return nil, fmt.Errorf("start etcd: %w", ctx.Err())
	}
}

func (s *etcdServer) failed() <-chan error { return s.etcd.Err() }

func (s *etcdServer) stop() {
	if s != nil {
		s.etcd.Close()
	}
}
