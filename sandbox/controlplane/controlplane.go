package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/rest"
)

// Options says where a control plane lives. The zero value is ready to use.
type Options struct {
	// Dir holds everything on disk: the kubeconfig, keys and etcd's data. It is made
	// when it is missing; empty means a new temporary directory. Two running control
	// planes cannot share one.
	Dir string
	// PortBase is the port of the API server on 127.0.0.1; 0 means any free port. The
	// control plane takes no other port.
	PortBase int
	// Log receives what Kubernetes and etcd have to say; nil discards it. Nothing is
	// ever written to standard output or standard error.
	Log io.Writer
	// Audit keeps a log of requests; nil keeps none.
	Audit *Audit
}

// ControlPlane is one running control plane. Its methods may be called from any
// goroutine.
type ControlPlane struct {
	dir         *stateDir
	access      access
	etcd        *etcdServer
	api         *apiServer
	controllers *controllers

	stop sync.Once
	done chan struct{}
	err  error // set before done is closed
}

// running is true while this process holds a control plane.
var running atomic.Bool

// ErrRunning means that this process already holds a control plane.
var ErrRunning = errors.New("a control plane already runs in this process")

// Start returns when the API server is ready, the controllers run and pods can be
// created in the namespace default. ctx bounds only the start: afterwards Stop ends
// the control plane. After an error nothing is left behind.
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	if !running.CompareAndSwap(false, true) {
		return nil, ErrRunning
	}
	captureLogs(o.Log)
	c := &ControlPlane{done: make(chan struct{})}
	if err := c.start(ctx, o); err != nil {
		c.shutdown(nil)
		return nil, err
	}
	go c.watch()
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context, o Options) error {
	listener, err := listen(o.PortBase)
	if err != nil {
		return err
	}
	// The API server takes the listener over; closing it twice does no harm.
	defer func() {
		if c.api == nil {
			listener.Close() //nolint:errcheck // it has served nobody
		}
	}()
	if c.dir, err = openStateDir(o.Dir); err != nil {
		return err
	}
	address := listener.Addr().(*net.TCPAddr)
	if c.access, err = issue(c.dir, address); err != nil {
		return err
	}
	if c.etcd, err = startEtcd(ctx, c.dir); err != nil {
		return err
	}
	audit, err := o.Audit.flags(c.dir)
	if err != nil {
		return err
	}
	flags := append(apiServerFlags(c.dir, c.etcd.endpoint), audit...)
	if c.api, err = startAPIServer(ctx, flags, c.access, listener); err != nil {
		return err
	}
	if c.controllers, err = startControllers(c.access.restConfig()); err != nil {
		return err
	}
	return awaitServiceAccount(ctx, c.access.restConfig())
}

func listen(port int) (net.Listener, error) {
	if port < 0 || port > 65535 {
		return nil, fmt.Errorf("listen on 127.0.0.1: port %d is not between 0 and 65535", port)
	}
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		var sys *net.OpError
		if errors.As(err, &sys) {
			err = sys.Err
		}
		return nil, fmt.Errorf("listen on 127.0.0.1:%d for the API server: %w", port, err)
	}
	return l, nil
}

// Kubeconfig is the path of a kubeconfig file for an administrator. It disappears
// with Stop.
func (c *ControlPlane) Kubeconfig() string { return c.dir.kubeconfig() }

// KubeconfigFor writes a kubeconfig for a further user and returns its path. It disappears
// with Stop, too.
func (c *ControlPlane) KubeconfigFor(user string, groups ...string) (path string, err error) {
	return c.access.issueUser(c.dir, user, groups...)
}

// RESTConfig is a new client configuration for an administrator (group
// system:masters), without a client-side rate limit.
func (c *ControlPlane) RESTConfig() *rest.Config { return c.access.restConfig() }

// Done is closed when the control plane has ended, by Stop or by itself.
func (c *ControlPlane) Done() <-chan struct{} { return c.done }

// Err is nil while the control plane runs and after Stop, else why it ended.
func (c *ControlPlane) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Stop ends the controllers, the API server and etcd, in this order, and removes the
// files. It returns when all this is done, at the first and at every further call.
func (c *ControlPlane) Stop() {
	c.shutdown(nil)
	<-c.done
}

// watch ends the whole when one part ends by itself.
func (c *ControlPlane) watch() {
	select {
	case <-c.done:
	case err := <-c.etcd.failed():
		c.shutdown(fmt.Errorf("etcd ended: %w", err))
	case <-c.api.done:
		// After Stop this is the expected end; Once makes the call below a no-op then.
		c.shutdown(fmt.Errorf("API server ended: %w", c.api.reason()))
	}
}

func (c *ControlPlane) shutdown(why error) {
	c.stop.Do(func() {
		c.controllers.stop()
		c.api.stop()
		c.etcd.stop()
		c.dir.remove()
		captureLogs(nil)
		c.err = why
		running.Store(false)
		close(c.done)
	})
}
