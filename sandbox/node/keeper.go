package node

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// retryDelay is how long after a refused or lost call it is tried again.
const retryDelay = 200 * time.Millisecond

// keeper keeps one pod: a goroutine that advances its life and writes its status.
type keeper struct {
	node *Node
	mail chan struct{} // one slot: the pod has changed

	mu   sync.Mutex
	pod  *corev1.Pod // as last seen
	gone bool        // deleted from the API server

	// Owned by the goroutine.
	life      *life
	ip        netip.Addr
	workloads map[*container]Workload
	ctx       context.Context
	sent      *corev1.PodStatus
}

func newKeeper(n *Node, pod *corev1.Pod) *keeper {
	return &keeper{node: n, mail: make(chan struct{}, 1), pod: pod, workloads: map[*container]Workload{}}
}

// tell hands over a newer pod, or that it is gone. It never blocks.
func (k *keeper) tell(pod *corev1.Pod, gone bool) {
	k.mu.Lock()
	k.pod, k.gone = pod, k.gone || gone
	k.mu.Unlock()
	select {
	case k.mail <- struct{}{}:
	default:
	}
}

func (k *keeper) seen() (pod *corev1.Pod, gone bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pod, k.gone
}

// run keeps the pod until it is gone or ctx ends.
func (k *keeper) run(ctx context.Context) {
	k.ctx = ctx
	defer k.bury()
	for {
		pod, gone := k.seen()
		if gone || ctx.Err() != nil {
			return
		}
		var timer <-chan time.Time
		if wake := k.attend(pod); !wake.IsZero() {
			timer = time.After(time.Until(wake))
		}
		select {
		case <-ctx.Done():
		case <-k.mail:
		case <-timer:
		}
	}
}

// attend does what is due now and returns when to come again, zero for at news only.
func (k *keeper) attend(pod *corev1.Pod) (wake time.Time) {
	if pod.Spec.NodeName == "" {
		return k.bind(pod)
	}
	now := time.Now()
	if k.life == nil {
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			return time.Time{} // an earlier node has seen it to its end
		}
		ip, err := k.node.addresses.take()
		if err != nil {
			return now.Add(retryDelay)
		}
		k.ip, k.life = ip, newLife(now, pod, k.node.speed)
	}
	wake = k.life.advance(now, pod, k)
	// Stopping a workload takes a while.
	now = time.Now()
	status := k.life.status(now, pod, k.ip.String(), k.node.addresses.host().String())
	if k.sent == nil || !equality.Semantic.DeepEqual(*k.sent, status) {
		if err := k.write(pod, status); err != nil {
			return earlier(wake, now.Add(retryDelay))
		}
		k.sent = &status
	}
	if k.life.finished {
		return k.remove(pod)
	}
	return wake
}

// bind does the scheduler's work. A pod held by scheduling gates waits for their end.
func (k *keeper) bind(pod *corev1.Pod) (wake time.Time) {
	if len(pod.Spec.SchedulingGates) > 0 || pod.DeletionTimestamp != nil {
		return time.Time{}
	}
	err := k.node.client.CoreV1().Pods(pod.Namespace).Bind(k.ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: k.node.name},
	}, metav1.CreateOptions{})
	if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return time.Time{} // bound, by us or another, or gone: an event follows
	}
	return time.Now().Add(retryDelay)
}

// write patches the status. Conditions merge by type, so that other writers' conditions
// stay.
func (k *keeper) write(pod *corev1.Pod, status corev1.PodStatus) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status":   status,
	})
	if err != nil {
		return err
	}
	_, err = k.node.client.CoreV1().Pods(pod.Namespace).Patch(k.ctx, pod.Name,
		types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // gone, or replaced by a namesake
	}
	return err
}

// remove lets the API server forget a pod of which nothing runs any more.
func (k *keeper) remove(pod *corev1.Pod) (wake time.Time) {
	options := metav1.NewDeleteOptions(0)
	options.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
	err := k.node.client.CoreV1().Pods(pod.Namespace).Delete(k.ctx, pod.Name, *options)
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return time.Time{}
	}
	return time.Now().Add(retryDelay)
}

// bury stops what still runs and gives the address back.
func (k *keeper) bury() {
	if k.life != nil {
		k.life.kill(time.Now(), k)
		k.node.addresses.release(k.ip)
	}
}

// start implements host.
func (k *keeper) start(c *container) error {
	if !c.server || c.init || k.node.start == nil {
		return nil
	}
	pod, _ := k.seen()
	pod = pod.DeepCopy()
	pod.Spec.Containers = []corev1.Container{c.spec}
	pod.Status.PodIP = k.ip.String()
	w, err := k.node.start(k.ctx, pod)
	if err != nil || w == nil {
		return err
	}
	k.workloads[c] = w
	e := endpoint{container: c.spec.Name, addr: w.Addr()}
	for _, p := range c.spec.Ports {
		e.ports = append(e.ports, p.ContainerPort)
	}
	k.node.addresses.open(k.ip, e)
	return nil
}

// drain implements host.
func (k *keeper) drain(c *container) {
	if w := k.workloads[c]; w != nil {
		w.Drain()
	}
}

// stop implements host.
func (k *keeper) stop(c *container) {
	if w := k.workloads[c]; w != nil {
		k.node.addresses.close(k.ip, c.spec.Name)
		w.Stop()
		delete(k.workloads, c)
	}
}
