package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/controlplane"
	"github.com/penstock-io/penstock/sandbox/mesh"
	"github.com/penstock-io/penstock/sandbox/node"
	"github.com/penstock-io/penstock/sandbox/prometheus"
)

// Options of Start. The zero value is ready to use.
type Options struct {
	// Dir holds everything on disk; empty means a new temporary directory. Stop removes
	// what was made there.
	Dir string
	// PortBase is the port of the API server; the gateway and Prometheus take the two
	// ports after it. 0 means free ports.
	PortBase int
	// Bare leaves out Penstock: its kinds and its controller.
	Bare bool
	// External leaves out the controller only: somebody else runs it, with
	// ControllerKubeconfig.
	External bool
	// Progress is told what has been reached, a sentence at a time; may be nil.
	Progress func(string)
	// OnMeasurement is told of every measurement that the controller takes; may be nil.
	OnMeasurement func(run, metric string, phase v1alpha1.AnalysisPhase, at time.Time)
}

// Cluster is a running sandbox. Its methods may be called from any goroutine.
type Cluster struct {
	options Options
	state   *state
	plane   *controlplane.ControlPlane
	node    *node.Node
	pods    *pods
	gateway *mesh.Gateway
	metrics *prometheus.Server
	client  client.WithWatch

	cancel   context.CancelFunc // ends what runs below
	running  sync.WaitGroup
	stopApp  func() // ends the controller and waits for it
	stopOnce sync.Once
	failOnce sync.Once
	done     chan struct{}
	err      error // set before done is closed
}

// Start returns when everything runs and, unless Bare or External, the controller leads. ctx bounds
// only the start. A process holds at most one Cluster at a time. After an error nothing
// is left behind; the error says in one sentence what is missing.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if err := portsFree(o.PortBase); err != nil {
		return nil, err
	}
	state, err := newState(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: o, state: state, done: make(chan struct{}), stopApp: func() {}}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	if err := c.start(ctx, run); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// start brings the parts up in the order in which they need each other. ctx bounds the
// start, run is what they live on.
func (c *Cluster) start(ctx, run context.Context) (err error) {
	c.options.Progress("etcd, kube-apiserver and its controllers are starting")
	c.plane, err = controlplane.Start(ctx, controlplane.Options{Dir: c.state.dir, PortBase: c.options.PortBase, Log: c.state.log("sandbox.log")})
	if err != nil {
		return err
	}
	go func() {
		<-c.plane.Done()
		c.fail(c.plane.Err())
	}()
	c.options.Progress("the API server serves at " + c.plane.RESTConfig().Host)
	if c.client, err = newClient(c.plane.RESTConfig()); err != nil {
		return err
	}
	if err := c.startPods(run); err != nil {
		return err
	}
	c.options.Progress("a node, the gateway " + c.gateway.URL() + " and Prometheus " + c.metrics.URL() + " are up")
	if err := c.install(ctx); err != nil {
		return err
	}
	if c.options.Bare || c.options.External {
		return nil
	}
	if err := c.startController(ctx, run); err != nil {
		return err
	}
	c.options.Progress("the Penstock controller leads, as " + controllerUser)
	return nil
}

// startPods starts the node, what its pods are, and what reads and calls them.
func (c *Cluster) startPods(run context.Context) (err error) {
	c.pods = newPods()
	if c.node, err = node.New(c.plane.RESTConfig(), node.Options{StartWorkload: c.pods.start}); err != nil {
		return err
	}
	listen := func(offset int) string { return loopbackPort(c.options.PortBase, offset) }
	c.gateway, err = mesh.New(mesh.Options{Config: c.plane.RESTConfig(), Addr: c.node.Addr, Listen: listen(gatewayPort)})
	if err != nil {
		return err
	}
	c.metrics, err = prometheus.Start(run, prometheus.Options{
		Dir: c.state.path("prometheus"), Listen: listen(prometheusPort), Targets: c.targets,
	})
	if err != nil {
		return errors.Join(err, c.closeUnusedGateway())
	}
	c.running.Go(func() { c.fail(c.node.Run(run)) })
	c.running.Go(func() { c.fail(c.gateway.Run(run)) })
	return nil
}

// closeUnusedGateway gives the port of a gateway back that never ran.
func (c *Cluster) closeUnusedGateway() error {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	return c.gateway.Run(ended)
}

// targets are the running demo servers and the gateway itself.
func (c *Cluster) targets() []prometheus.Target {
	return append(c.pods.targets(), prometheus.Target{Addr: c.gateway.Addr(), Labels: map[string]string{"app": "gateway"}})
}

// fail ends the waiting on Done with the first failure; nil is none.
func (c *Cluster) fail(err error) {
	if err == nil {
		return
	}
	c.failOnce.Do(func() {
		c.err = fmt.Errorf("the sandbox ended: %w", err)
		close(c.done)
	})
}

// Done is closed when a part has failed. Stop does not close it.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// Err is why Done is closed, else nil.
func (c *Cluster) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Stop ends everything and removes the files. Every call returns when that is done.
func (c *Cluster) Stop() {
	c.stopOnce.Do(func() {
		c.stopApp()
		c.cancel()
		c.running.Wait()
		if c.metrics != nil {
			c.metrics.Stop() //nolint:errcheck // its data is removed anyway
		}
		if c.plane != nil {
			c.plane.Stop()
		}
		c.state.remove()
	})
}

// Kubeconfig is the path of an administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.plane.Kubeconfig() }

// ControllerKubeconfig writes a kubeconfig with the rights of the controller's
// ServiceAccount and no others, and returns its path.
func (c *Cluster) ControllerKubeconfig() (string, error) {
	return c.plane.KubeconfigFor(controllerUser, controllerGroups...)
}

// RESTConfig is a new administrator's configuration.
func (c *Cluster) RESTConfig() *rest.Config { return c.plane.RESTConfig() }

// Client is an administrator's client that knows Penstock's and Kubernetes' kinds, and
// every other kind as unstructured. It has no cache.
func (c *Cluster) Client() client.WithWatch { return c.client }

// Gateway is the data plane.
func (c *Cluster) Gateway() *mesh.Gateway { return c.gateway }

// PrometheusURL is the base of Prometheus' API.
func (c *Cluster) PrometheusURL() string { return c.metrics.URL() }

// Dir is the state directory.
func (c *Cluster) Dir() string { return c.state.dir }

// KeepLogs makes Stop leave the log files, and returns where they are.
func (c *Cluster) KeepLogs() string { return c.state.keepLogs() }
