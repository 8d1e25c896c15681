package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/penstock-io/penstock/config"
	"github.com/penstock-io/penstock/internal/app"
	"github.com/penstock-io/penstock/sandbox/mesh"
)

// Where config/ installs the controller.
const (
	// SystemNamespace holds the controller's ServiceAccount and Lease.
	SystemNamespace = "penstock-system"
	serviceAccount  = "penstock-controller"
	controllerUser  = "system:serviceaccount:" + SystemNamespace + ":" + serviceAccount
)

// controllerGroups are those of every ServiceAccount in the namespace.
var controllerGroups = []string{"system:serviceaccounts", "system:serviceaccounts:" + SystemNamespace}

// install applies the kinds that the gateway follows and, unless Bare, what config/
// holds. The Deployment and its Service are left out: the controller runs in this
// process, or in one beside it.
func (c *Cluster) install(ctx context.Context) error {
	if err := mesh.InstallCRDs(ctx, c.plane.RESTConfig()); err != nil {
		return err
	}
	if c.options.Bare {
		return nil
	}
	for _, folder := range []string{"crd", "manager", "rbac"} {
		objects, err := DecodeFiles(config.Files, folder)
		if err != nil {
			return err
		}
		var namespaces, others []*unstructured.Unstructured
		for _, o := range objects {
			switch o.GetKind() {
			case "Deployment", "Service":
			case "Namespace":
				namespaces = append(namespaces, o)
			default:
				others = append(others, o)
			}
		}
		if err := c.Apply(ctx, SystemNamespace, append(namespaces, others...)...); err != nil {
			return err
		}
	}
	return nil
}

// startController runs the controller with the rights of its ServiceAccount, and returns
// when it leads.
func (c *Cluster) startController(ctx, run context.Context) error {
	logger := logr.FromSlogHandler(slog.NewTextHandler(c.state.log("controller.log"), nil))
	log.SetLogger(logger) // controller-runtime complains on standard error otherwise
	as := c.plane.RESTConfig()
	as.Impersonate = rest.ImpersonationConfig{UserName: controllerUser, Groups: append(slices.Clone(controllerGroups), "system:authenticated")}
	a, err := app.New(app.Options{
		RESTConfig: as, Logger: logger, LeaderElection: true, LeaseNamespace: SystemNamespace,
		MetricsAddress: "0", HealthAddress: "0", PrometheusAddress: c.metrics.URL(), OnMeasurement: c.options.OnMeasurement,
	})
	if err != nil {
		return err
	}
	run, cancel := context.WithCancel(run)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.fail(a.Run(run))
	}()
	c.stopApp = func() {
		cancel()
		<-ended
	}
	select {
	case <-a.Elected():
		return nil
	case <-c.done:
		return c.err
	case <-ended:
		return errors.New("the controller ended before it led")
	case <-ctx.Done():
		return fmt.Errorf("wait for the controller to lead: %w", context.Cause(ctx))
	}
}
