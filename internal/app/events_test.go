package app

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/kube"
)

// slowServer answers no event before it is opened.
type slowServer struct {
	open chan struct{}
	all  sync.WaitGroup

	mu   sync.Mutex
	told map[string][]string // messages by object
}

func (s *slowServer) Create(e *corev1.Event) (*corev1.Event, error) {
	<-s.open
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told[e.InvolvedObject.Name] = append(s.told[e.InvolvedObject.Name], e.Message)
	s.all.Done()
	return e, nil
}

func (s *slowServer) Update(e *corev1.Event) (*corev1.Event, error) { return s.Create(e) }

func (s *slowServer) Patch(e *corev1.Event, _ []byte) (*corev1.Event, error) { return s.Create(e) }

func TestNoEventIsLostWhenManyRolloutsChangeAtOnce(t *testing.T) {
	const rollouts = 500
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"updated", "created", "scaled up", "scaled down", "scaled up again", "completed"}
	server := &slowServer{open: make(chan struct{}), told: map[string][]string{}}
	server.all.Add(rollouts * len(want))
	e := eventsTo(server)
	defer e.Shutdown()
	r := e.recorder(scheme, "test")
	for _, message := range want {
		for i := range rollouts {
			ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("web-", i)}}
			r.Event(ro, corev1.EventTypeNormal, "Test", message)
		}
	}
	close(server.open)
	done := make(chan struct{})
	go func() { server.all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Error("events are missing")
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	for name, got := range server.told {
		if !slices.Equal(got, want) {
			t.Errorf("%s: told are %q", name, got)
		}
	}
	if len(server.told) != rollouts {
		t.Errorf("something is told of %d of %d rollouts", len(server.told), rollouts)
	}
}
