package cluster

import (
	"context"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-io/penstock/sandbox/node"
	"github.com/penstock-io/penstock/sandbox/prometheus"
	"github.com/penstock-io/penstock/sandbox/workload"
)

// pods are the running demo servers.
type pods struct {
	mu      sync.Mutex
	running map[*server]prometheus.Target
}

func newPods() *pods { return &pods{running: map[*server]prometheus.Target{}} }

// server is a demo server that leaves the list of targets when it ends.
type server struct {
	*workload.Server
	pods *pods
}

// start is node.Options.StartWorkload. Images other than the demo's have no server.
func (p *pods) start(_ context.Context, pod *corev1.Pod) (node.Workload, error) {
	spec, ok, err := workload.Parse(pod.Spec.Containers[0].Image, pod.Annotations, pod.Labels)
	if err != nil || !ok {
		return nil, err
	}
	spec.Pod = pod.Name
	w, err := workload.Start(spec)
	if err != nil {
		return nil, err
	}
	s := &server{Server: w, pods: p}
	labels := maps.Clone(pod.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["namespace"], labels["pod"] = pod.Namespace, pod.Name
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[s] = prometheus.Target{Addr: w.Addr(), Labels: labels}
	return s, nil
}

// Stop implements node.Workload.
func (s *server) Stop() {
	s.pods.mu.Lock()
	delete(s.pods.running, s)
	s.pods.mu.Unlock()
	s.Server.Stop()
}

func (p *pods) targets() []prometheus.Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.running))
}
