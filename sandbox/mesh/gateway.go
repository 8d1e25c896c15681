package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/rest"
)

// stopGrace is how long Run lets requests in flight finish after its context ended.
const stopGrace = 2 * time.Second

// AddrFunc maps a pod's address in the API to where it listens on loopback.
type AddrFunc func(podIP string, port int32) (loopbackAddr string, ok bool)

// Source is where the gateway gets the cluster's objects from.
type Source interface {
	// Run follows the cluster until ctx ends.
	Run(ctx context.Context) error
	// Changed has an element whenever Objects may have changed since it was
	// last taken out; not before the first complete reading.
	Changed() <-chan struct{}
	// Objects are the objects now. The caller does not change them.
	Objects() Objects
}

// Options of New.
type Options struct {
	// Config reaches the API server; it may be nil when Source is set.
	Config *rest.Config
	// Addr finds the listener of a pod.
	Addr AddrFunc
	// Listen is the loopback address to serve on; empty means a free port.
	Listen string
	// IstioVersion is the version of networking.istio.io to watch; empty means
	// the first of v1, v1beta1 and v1alpha3 that is served.
	IstioVersion string
	// Source replaces watching through Config. If it has the method
	// WriteParents it is also told the status of HTTPRoutes.
	Source Source
}

// Gateway is the proxy. It listens from New on and routes while Run runs; its
// other methods may be called at any time.
type Gateway struct {
	source   Source
	addr     AddrFunc
	listener net.Listener
	http     *http.Server
	proxy    http.Handler
	counts   *counts
	metrics  http.Handler
	shadows  shadows

	table     atomic.Pointer[Table]
	onTable   atomic.Pointer[func(*Table)]
	lag       atomic.Int64 // a time.Duration
	lagSet    chan struct{}
	published chan struct{}
	transport *http.Transport
}

// New opens the port. The error is that of the options or of the port.
func New(o Options) (*Gateway, error) {
	if o.Addr == nil || o.Config == nil && o.Source == nil {
		return nil, errors.New("new gateway: Addr and one of Config and Source are required")
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if !loopback(o.Listen) {
		return nil, fmt.Errorf("new gateway: %q is not a loopback address", o.Listen)
	}
	if o.Source == nil {
		source, err := newCluster(o.Config, o.IstioVersion)
		if err != nil {
			return nil, fmt.Errorf("new gateway: %w", err)
		}
		o.Source = source
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("new gateway: %w", err)
	}
	g := &Gateway{
		source: o.Source, addr: o.Addr, listener: listener, counts: newCounts(),
		lagSet: make(chan struct{}, 1), published: make(chan struct{}, 1),
		transport: newTransport(),
	}
	g.shadows = newShadows(g.transport, g.counts)
	g.proxy = newProxy(g.transport)
	registry := prometheus.NewRegistry()
	registry.MustRegister(g.counts)
	g.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	g.http = &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet()}
	return g, nil
}

// newTransport keeps connections alive and dials nothing but loopback.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if !loopback(addr) {
				return nil, fmt.Errorf("dial %s: not a loopback address", addr)
			}
			return dialer.DialContext(ctx, network, addr)
		},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}

// Run follows the source and serves until ctx ends.
func (g *Gateway) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failures [2]error
	var running sync.WaitGroup
	running.Go(func() {
		defer cancel()
		if err := g.source.Run(ctx); err != nil && ctx.Err() == nil {
			failures[0] = fmt.Errorf("follow the cluster: %w", err)
		}
	})
	running.Go(func() {
		defer cancel()
		if err := g.http.Serve(g.listener); !errors.Is(err, http.ErrServerClosed) {
			failures[1] = fmt.Errorf("serve gateway: %w", err)
		}
	})
	running.Go(func() { g.follow(ctx) })
	if w, can := g.source.(parentsWriter); can {
		running.Go(func() { g.report(ctx, w) })
	}
	<-ctx.Done()
	g.close()
	running.Wait()
	return errors.Join(failures[:]...)
}

func (g *Gateway) close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if g.http.Shutdown(ctx) != nil {
		g.http.Close() //nolint:errcheck // only the closed listener's error
	}
	g.shadows.close()
	g.transport.CloseIdleConnections()
}

// follow publishes a new Table after each change. A pause as long as the work
// took keeps the gateway at half a core at most when everything changes at once.
func (g *Gateway) follow(ctx context.Context) {
	var delay delayed
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.source.Changed():
		case <-g.lagSet:
			if g.table.Load() == nil {
				continue // nothing was read yet
			}
		case <-timer.C:
		}
		start := time.Now()
		objects := g.source.Objects()
		delay.offer(objects.Routes, start)
		var next time.Duration
		objects.Routes, next = delay.current(start, time.Duration(g.lag.Load()))
		g.publish(Build(objects, g.table.Load()))
		timer.Reset(next)

		pause := time.NewTimer(time.Since(start))
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
}

// URL is where the gateway serves, as http://127.0.0.1:port. Its own metrics
// are at /metrics for requests whose Host is this address.
func (g *Gateway) URL() string { return "http://" + g.Addr() }

// Addr is the loopback address of URL.
func (g *Gateway) Addr() string { return g.listener.Addr().String() }

// Ready reports whether the cluster was read and routes are followed.
func (g *Gateway) Ready() bool { return g.table.Load() != nil }

// Stats counts requests since the start or the last Reset. Keep one result and
// use Stats.Since for a window of your own.
func (g *Gateway) Stats() Stats { return g.counts.stats() }

// Reset makes Stats begin at zero. The metrics go on counting.
func (g *Gateway) Reset() { g.counts.reset() }

// Applied lists the objects, in the versions that requests to a host follow
// now; nil when nothing names the host.
func (g *Gateway) Applied(host string) []Applied {
	if t := g.table.Load(); t != nil {
		return t.Applied(host)
	}
	return nil
}

// Problems tells what in the routes was not understood.
func (g *Gateway) Problems() []string {
	if t := g.table.Load(); t != nil {
		return t.Problems()
	}
	return nil
}

// SetLag makes changes of Routes take effect that much later, 0 to undo it.
// Changes that wait are measured by the new lag. Services and endpoints are
// always followed at once.
func (g *Gateway) SetLag(d time.Duration) {
	g.lag.Store(int64(max(d, 0)))
	signal(g.lagSet)
}

// signal leaves one element in a channel of capacity one.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
