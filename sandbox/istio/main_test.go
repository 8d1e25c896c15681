package istio

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var (
	pilotPath   = flag.String("pilot", "../../bin/pilot-discovery", "Istio's control plane")
	sandboxPath = flag.String("sandbox", "../../bin/penstock-sandbox", "the sandbox with Penstock")
)

// The tests share one cluster, one control plane of Istio, and one sidecar.
var (
	shared  *kube
	proxy   *sidecar
	webhook string // address of Istio's own check of its objects
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(share(m))
}

func share(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "penstock-istio-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	stop, err := start(ctx, dir)
	defer func() {
		cancel()
		if err := errors.Join(stop(code != 0), os.RemoveAll(dir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start runs the sandbox with Penstock, gives it Istio's kinds, and runs Istio on it. What
// stop returns is what went wrong with the programs; with tell it repeats their last words.
func start(ctx context.Context, dir string) (stop func(tell bool) error, err error) {
	var programs []*running
	stop = func(tell bool) (err error) {
		for i := len(programs) - 1; i >= 0; i-- {
			select {
			case <-programs[i].ended:
				err = errors.Join(err, fmt.Errorf("%s ended by itself: %s", programs[i].name, programs[i].last()))
			default:
				programs[i].stop()
				if tell {
					fmt.Fprintf(os.Stderr, "the last words of %s:\n%s\n", programs[i].name, programs[i].last())
				}
			}
		}
		return err
	}
	path := func(p string) string {
		if err == nil {
			p, err = filepath.Abs(p)
		}
		return p
	}
	pilot, sandbox := path(*pilotPath), path(*sandboxPath)
	if err != nil {
		return stop, err
	}
	s, err := run(sandbox, dir, nil, "up", "--dir", filepath.Join(dir, "state"))
	if err != nil {
		return stop, err
	}
	programs = append(programs, s)
	kubeconfig, err := s.says("export KUBECONFIG=", 3*time.Minute)
	if err != nil {
		return stop, err
	}
	if shared, err = connect(kubeconfig); err != nil {
		return stop, err
	}
	if err := installKinds(ctx); err != nil {
		return stop, err
	}
	p, err := runPilot(pilot, dir, kubeconfig)
	if err != nil {
		return stop, err
	}
	programs = append(programs, p)
	if webhook, err = p.says("starting HTTP service at ", time.Minute); err != nil {
		return stop, err
	}
	address, err := p.says("starting gRPC discovery service at ", time.Minute)
	if err != nil {
		return stop, err
	}
	proxy, err = attach(ctx, address)
	return stop, err
}

// runPilot runs Istio's control plane outside the cluster: no certificates, no injection, one
// replica that asks for no Lease, and every listener on loopback.
func runPilot(path, dir, kubeconfig string) (*running, error) {
	mesh := filepath.Join(dir, "mesh.yaml")
	if err := os.WriteFile(mesh, []byte("defaultConfig: {discoveryAddress: \"127.0.0.1:15012\"}\n"), 0o600); err != nil {
		return nil, err
	}
	return run(path, dir, []string{
		"ENABLE_CA_SERVER=false", "PILOT_CERT_PROVIDER=none", "INJECT_ENABLED=false", "ENABLE_LEADER_ELECTION=false",
		"VALIDATION_WEBHOOK_CONFIG_NAME=", "INJECTION_WEBHOOK_CONFIG_NAME=", "POD_NAMESPACE=istio-system", "POD_NAME=istiod",
	}, "discovery", "--kubeconfig", kubeconfig, "--meshConfig", mesh,
		"--grpcAddr", "127.0.0.1:0", "--httpAddr", "127.0.0.1:0",
		"--httpsAddr", "", "--secureGRPCAddr", "", "--monitoringAddr", "", // off, or on httpAddr
		"--ctrlz_address", "127.0.0.1", "--ctrlz_port", "0")
}

// installKinds applies the kinds of the Istio that is built, in place of the sandbox's own,
// which check nothing, and returns when the API server goes by them.
func installKinds(ctx context.Context) error {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio").Output()
	if err != nil {
		return fmt.Errorf("find Istio's module: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "manifests", "charts", "base", "files", "crd-all.gen.yaml"))
	if err != nil {
		return fmt.Errorf("read Istio's kinds: %w", err)
	}
	if err := shared.apply(ctx, "", string(text)); err != nil {
		return err
	}
	return poll(30*time.Second, func() error {
		_, err := shared.Resource(virtualServices).Namespace("default").Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": map[string]any{"name": "probe"},
			"spec": map[string]any{"hosts": "web"},
		}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if !apierrors.IsInvalid(err) {
			return fmt.Errorf("Istio's schema is not in force: hosts that are no list give %v", err)
		}
		return nil
	})
}
