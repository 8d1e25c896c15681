package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	aggregator "k8s.io/kube-aggregator/pkg/apiserver"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

const (
	// frontProxyName is whom aggregated API servers may trust to name users.
	frontProxyName = "penstock-sandbox-front-proxy-client"
	// serviceRange is where Services get their cluster IPs.
	serviceRange = "10.96.0.0/16"
	// startLimit bounds every wait of the start, for a machine under heavy load.
	startLimit = 2 * time.Minute
	// stopLimit is how long requests in flight may hold up the end.
	stopLimit = 3 * time.Second
	// poll is how often readiness is asked for.
	poll = 20 * time.Millisecond
)

// apiServer is a running kube-apiserver.
type apiServer struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // set before done is closed
	name   *cache.InformerName
}

// apiServerFlags are kube-apiserver's own command-line flags. What is not named has
// Kubernetes' default.
func apiServerFlags(dir *stateDir, etcd string) []string {
	return []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		// Endpoints refuse loopback addresses: the Service kubernetes has none.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + serviceRange,
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		// Nobody here removes the taint that it puts on new nodes.
		"--disable-admission-plugins=TaintNodesByCondition",
		"--tls-cert-file=" + dir.file("server.crt"),
		"--tls-private-key-file=" + dir.file("server.key"),
		"--client-ca-file=" + dir.file("ca.crt"),
		"--requestheader-client-ca-file=" + dir.file("front-proxy-ca.crt"),
		"--requestheader-allowed-names=" + frontProxyName,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + dir.file("front-proxy.crt"),
		"--proxy-client-key-file=" + dir.file("front-proxy.key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + dir.file("service-account.key"),
		"--service-account-signing-key-file=" + dir.file("service-account.key"),
		"--profiling=false",
	}
}

// startAPIServer returns when the API server says that it is ready.
func startAPIServer(ctx context.Context, flags []string, a access, l net.Listener) (*apiServer, error) {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &apiServer{cancel: cancel, done: make(chan struct{})}
	server, err := s.assemble(run, flags, l)
	if err != nil {
		cancel()
		s.name.Release()
		return nil, fmt.Errorf("assemble the API server: %w", err)
	}
	go func() {
		defer close(s.done)
		prepared, err := server.PrepareRun()
		if err == nil {
			err = prepared.Run(run)
		}
		s.err = err
	}()
	if err := s.awaitReady(ctx, a.restConfig()); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *apiServer) assemble(ctx context.Context, flags []string, l net.Listener) (*aggregator.APIAggregator, error) {
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	o := options.NewServerRunOptions()
	set := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, named := range o.Flags().FlagSets {
		set.AddFlagSet(named)
	}
	if err := set.Parse(flags); err != nil {
		return nil, err
	}
	o.SecureServing.Listener = l
	o.SecureServing.BindPort = l.Addr().(*net.TCPAddr).Port
	o.SecureServing.ExternalAddress = l.Addr().(*net.TCPAddr).IP
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	name, err := cache.NewInformerName("kube-apiserver")
	if err != nil {
		return nil, err
	}
	s.name, o.InformerName = name, name
	completed, err := o.Complete(ctx)
	if err != nil {
		return nil, err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return nil, utilerrors.NewAggregate(errs)
	}
	config, err := app.NewConfig(completed)
	if err != nil {
		return nil, err
	}
	chain, err := config.Complete()
	if err != nil {
		return nil, err
	}
	server, err := app.CreateServerChain(chain)
	if err != nil {
		return nil, err
	}
	server.GenericAPIServer.ShutdownTimeout = stopLimit
	return server, nil
}

// awaitReady asks /readyz, which covers the roles that RBAC needs.
func (s *apiServer) awaitReady(ctx context.Context, c *rest.Config) error {
	client, err := rest.HTTPClientFor(c)
	if err != nil {
		return fmt.Errorf("reach the API server: %w", err)
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	err = wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
		select {
		case <-s.done:
			return false, s.reason()
		default:
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Host+"/readyz", nil)
		if err != nil {
			return false, err
		}
		response, err := client.Do(request)
		if err != nil {
			return false, nil // not listening yet
		}
		defer response.Body.Close() //nolint:errcheck // nothing to lose
		return response.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the API server: %w", err)
	}
	return nil
}

// reason is why the server ended; only valid after done.
func (s *apiServer) reason() error {
	if s.err != nil {
		return s.err
	}
	return errors.New("it stopped by itself")
}

func (s *apiServer) stop() {
	if s == nil {
		return
	}
	s.cancel()
	<-s.done
	s.name.Release()
}

// awaitServiceAccount returns when the controllers have given the namespace default
// its service account: before that the API server refuses every pod.
func awaitServiceAccount(ctx context.Context, c *rest.Config) error {
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		return fmt.Errorf("reach the API server: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	err = wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("wait for service account default: %w", err)
	}
	return nil
}
