package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/penstock-io/penstock/sandbox/controlplane"
)

// The tests below share one control plane and one node; each has its own namespace.
var (
	node   *Node
	client kubernetes.Interface
)

func TestMain(m *testing.M) { os.Exit(share(m)) }

func share(m *testing.M) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	plane, err := controlplane.Start(ctx, controlplane.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer plane.Stop()
	node, err = New(plane.RESTConfig(), Options{StartWorkload: startServer})
	if err == nil {
		client, err = kubernetes.NewForConfig(plane.RESTConfig())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	code := m.Run()
	cancel()
	if err := <-ended; err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if n := servers.Load(); n != 0 {
		fmt.Fprintln(os.Stderr, n, "workloads still run after the end of the node")
		code = 1
	}
	return code
}

// server is a Workload that answers with its pod's name.
type server struct {
	http     *http.Server
	listener net.Listener
}

var servers atomic.Int32

func startServer(_ context.Context, pod *corev1.Pod) (Workload, error) {
	if !strings.Contains(pod.Spec.Containers[0].Image, "penstock/demo") {
		return nil, nil
	}
	if strings.HasSuffix(pod.Spec.Containers[0].Image, ":odd") {
		return nil, errors.New("the tag is odd")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{listener: l, http: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, pod.Name) //nolint:errcheck // the client left
	})}}
	servers.Add(1)
	go s.http.Serve(l) //nolint:errcheck // ends with Stop
	return s, nil
}

func (s *server) Addr() string { return s.listener.Addr().String() }
func (s *server) Drain()       {}
func (s *server) Stop() {
	s.http.Close() //nolint:errcheck // nothing to lose
	servers.Add(-1)
}

func space(t *testing.T) string {
	t.Helper()
	ns, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, func() error {
		_, err := client.CoreV1().ServiceAccounts(ns.Name).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	return ns.Name
}

// within polls until ok returns nil, and fails the test with its last error otherwise.
func within(t *testing.T, limit time.Duration, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", limit, err)
		}
		<-tick.C
	}
}

func named(name string, pod *corev1.Pod) *corev1.Pod {
	pod.Name = name
	pod.Labels = map[string]string{"app": name}
	return pod
}

func create(t *testing.T, ns string, pod *corev1.Pod) {
	t.Helper()
	if _, err := client.CoreV1().Pods(ns).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, ns, name string) *corev1.Pod {
	t.Helper()
	pod, err := client.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// awaitSummary waits until the pod's summary is as wanted.
func awaitSummary(t *testing.T, ns, name, want string) {
	t.Helper()
	within(t, 20*time.Second, func() error {
		if got := summary(get(t, ns, name).Status); got != want {
			return fmt.Errorf("pod %s is %q, want %q", name, got, want)
		}
		return nil
	})
}

func deployment(name string, replicas int32, image string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "app", Image: image, Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
				}}},
			},
		},
	}
}

func awaitAvailable(t *testing.T, ns, name string, want int32) {
	t.Helper()
	within(t, 60*time.Second, func() error {
		d, err := client.AppsV1().Deployments(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.AvailableReplicas != want || d.Status.UpdatedReplicas != want {
			return fmt.Errorf("status is %+v, want %d available", d.Status, want)
		}
		return nil
	})
}
