package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	// askers are how many requests of the bench itself are under way at a time.
	askers = 8
	// makers are how many while nothing is measured, since etcd stores many objects in the
	// time of one.
	makers = 64
)

// Size is one run of a workload.
type Size struct {
	Rollouts int
	Replicas int32
}

// Sizes are those that the published controller was measured with: four replicas up to
// 100 Rollouts, two beyond, so that a small machine can play their pods.
func Sizes(rollouts ...int) (all []Size) {
	for _, n := range rollouts {
		s := Size{Rollouts: n, Replicas: 4}
		if n > 100 {
			s.Replicas = 2
		}
		all = append(all, s)
	}
	return all
}

// basic is workload W1: a canary by replicas alone, in steps of 20 %, without a pause.
func basic(namespace, name string, replicas int32) *v1alpha1.Rollout {
	surge, unavailable := intstr.FromInt32(1), intstr.FromInt32(0)
	// What costs the API server much and the controller nothing is left out, since both
	// share the machine: the token of every pod, and the two more requests of a slow end.
	token, grace := false, int64(0)
	var steps []v1alpha1.CanaryStep
	for _, weight := range []int32{20, 40, 60, 80} {
		steps = append(steps, v1alpha1.CanaryStep{SetWeight: &weight})
	}
	labels := map[string]string{"app": name}
	return &v1alpha1.Rollout{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.RolloutSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					Containers:                   []corev1.Container{{Name: "app", Image: "registry.example/app:v1"}},
					AutomountServiceAccountToken: &token, TerminationGracePeriodSeconds: &grace,
				},
			},
			Strategy: v1alpha1.RolloutStrategy{Canary: &v1alpha1.CanaryStrategy{
				MaxSurge: &surge, MaxUnavailable: &unavailable, Steps: steps,
			}},
		},
	}
}

// newImage is the change that starts every release.
const newImage = `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"registry.example/app:v2"}]`

// fleet are the Rollouts of one run.
type fleet struct {
	client    client.Client
	namespace string
	size      Size
	// make is one Rollout, with what it needs before it.
	make func(namespace, name string, replicas int32) []client.Object
	// ended reports that the release of a Rollout is over.
	ended func(state) bool
}

// replicasOnly is a fleet of W1.
func replicasOnly(namespace, name string, replicas int32) []client.Object {
	return []client.Object{basic(namespace, name, replicas)}
}

func (f *fleet) create(ctx context.Context) error {
	return f.each(func(name string) error {
		for _, o := range f.make(f.namespace, name, f.size.Replicas) {
			if err := f.client.Create(ctx, o); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fleet) release(ctx context.Context) error {
	return f.each(func(name string) error {
		ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: name}}
		return f.client.Patch(ctx, ro, client.RawPatch(types.JSONPatchType, []byte(newImage)))
	})
}

// each does something with every Rollout.
func (f *fleet) each(do func(name string) error) error {
	return each(f.size.Rollouts, askers, func(i int) error {
		if err := do(appName(i)); err != nil {
			return fmt.Errorf("rollout %s: %w", appName(i), err)
		}
		return nil
	})
}

func appName(i int) string { return fmt.Sprintf("app-%03d", i) }

// each does something n times, with the numbers from 0, a few at a time.
func each(n, atATime int, do func(i int) error) error {
	var (
		group   sync.WaitGroup
		mu      sync.Mutex
		errs    []error
		numbers = make(chan int)
	)
	for range atATime {
		group.Go(func() {
			for i := range numbers {
				if err := do(i); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	group.Wait()
	return errors.Join(errs...)
}
