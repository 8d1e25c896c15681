package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/config"
	"github.com/penstock-io/penstock/sandbox/cluster"
	"github.com/penstock-io/penstock/sandbox/controlplane"
	"github.com/penstock-io/penstock/sandbox/node"
)

const (
	user = "controller-under-test"
	home = "penstock-bench" // the namespace where the controller believes to live
	// instantly is a speed at which pods are ready as soon as they have a node.
	instantly = 1e12
	// poll is how often things are looked at that no watch tells.
	poll = 200 * time.Millisecond
	// clearLimit bounds the removal of one run's objects.
	clearLimit = 5 * time.Minute
)

// sandbox is a control plane and a node, without gateway and Prometheus.
type sandbox struct {
	dir        string
	plane      *controlplane.ControlPlane
	kubeconfig string // for the controller under test
	config     *rest.Config
	client     client.Client
	log        *auditLog
	cancel     context.CancelFunc
	running    sync.WaitGroup
}

// startSandbox returns when the published kinds are served.
func startSandbox(ctx context.Context) (b *sandbox, err error) {
	b = &sandbox{cancel: func() {}}
	defer func() {
		if err != nil {
			b.stop()
		}
	}()
	if b.dir, err = os.MkdirTemp("", "penstock-bench-"); err != nil {
		return nil, err
	}
	b.log = &auditLog{path: filepath.Join(b.dir, "audit.log")}
	b.plane, err = controlplane.Start(ctx, controlplane.Options{
		Dir: filepath.Join(b.dir, "plane"), Audit: &controlplane.Audit{Path: b.log.path, Users: []string{user}},
	})
	if err != nil {
		return nil, err
	}
	if b.kubeconfig, err = b.plane.KubeconfigFor(user, "system:masters"); err != nil {
		return nil, err
	}
	b.config = rest.AddUserAgent(b.plane.RESTConfig(), "bench")
	s := runtime.NewScheme()
	if err = errors.Join(scheme.AddToScheme(s), v1alpha1.AddToScheme(s), apiextensionsv1.AddToScheme(s)); err != nil {
		return nil, err
	}
	if b.client, err = client.New(b.config, client.Options{Scheme: s}); err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	n, err := node.New(b.plane.RESTConfig(), node.Options{Speed: instantly})
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.cancel = cancel
	b.running.Go(func() { n.Run(run) }) //nolint:errcheck // without it nothing gets Healthy, which is said
	return b, b.install(ctx)
}

// install makes the kinds, and the namespace where the controller keeps its Lease.
func (b *sandbox) install(ctx context.Context) error {
	if err := b.namespace(ctx, home); err != nil {
		return err
	}
	kinds, err := cluster.DecodeFiles(config.Files, "crd")
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if err := b.client.Create(ctx, k); err != nil {
			return fmt.Errorf("create kind %s: %w", k.GetName(), err)
		}
	}
	return b.until(ctx, time.Minute, func() (bool, error) {
		for _, k := range kinds {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			if err := b.client.Get(ctx, client.ObjectKeyFromObject(k), crd); err != nil || !established(crd) {
				return false, err
			}
		}
		return true, nil
	})
}

func (b *sandbox) namespace(ctx context.Context, name string) error {
	return b.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

func established(crd *apiextensionsv1.CustomResourceDefinition) bool {
	for _, c := range crd.Status.Conditions {
		if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
			return true
		}
	}
	return false
}

// until waits for something. When the controller ends meanwhile, the error says so.
func (b *sandbox) until(ctx context.Context, limit time.Duration, done func() (bool, error)) error {
	err := wait.PollUntilContextTimeout(ctx, poll, limit, true, func(context.Context) (bool, error) { return done() })
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// quiet waits until the controller has not written for a time, and returns its requests since.
func (b *sandbox) quiet(ctx context.Context, since time.Time, calm time.Duration) (tally, error) {
	asked := time.Now()
	err := b.until(ctx, quietLimit, func() (bool, error) {
		err := b.log.read()
		last := b.log.lastWrite()
		if last.Before(asked) {
			last = asked
		}
		return time.Since(last) > calm, err
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		err = nil // one that never stops writing is measured all the same
	}
	return b.log.since(since), err
}

// clear removes a run's namespace, and returns when all in it is gone.
func (b *sandbox) clear(ctx context.Context, namespace string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := b.client.Delete(ctx, ns); err != nil {
		return err
	}
	err := b.until(ctx, clearLimit, func() (bool, error) {
		err := b.client.Get(ctx, client.ObjectKeyFromObject(ns), ns)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	if err != nil {
		return fmt.Errorf("wait for namespace %s to go: %w", namespace, err)
	}
	return nil
}

func (b *sandbox) stop() {
	b.cancel()
	b.running.Wait()
	if b.plane != nil {
		b.plane.Stop()
	}
	if b.dir != "" {
		os.RemoveAll(b.dir) //nolint:errcheck // best effort on the way out
	}
}
