package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Workload is a real server that stands for one container. Its methods are called one
// at a time, Drain at most once and Stop exactly once.
type Workload interface {
	// Addr is where it listens, as 127.0.0.1:port.
	Addr() string
	// Drain tells it that the pod is being deleted. It goes on serving until Stop; a
	// preStop hook runs in between.
	Drain()
	// Stop ends it and returns when it has ended. Node.Addr does not name it any more.
	Stop()
}

// Options of a node. The zero value is ready to use.
type Options struct {
	// Name is the Node object's, by default "sandbox".
	Name string
	// PodCIDR is where pod IPs come from, by default 10.244.0.0/16. Nodes of one
	// cluster need ranges of their own.
	PodCIDR string
	// StartWorkload is called for each start of a container that has no command. The
	// pod is a copy that holds that one container, and its made-up IP in the status. A
	// nil Workload means that the image has no server; an error puts the container
	// into CreateContainerError.
	StartWorkload func(ctx context.Context, pod *corev1.Pod) (Workload, error)
	// Speed divides every duration that a pod asks for and every delay of the node:
	// 10 makes sleep 5 take half a second. 0 means 1. What other controllers time, such
	// as minReadySeconds, stays as it is.
	Speed float64
}

// Node is one pretend node. Make it with New.
type Node struct {
	name      string
	client    kubernetes.Interface
	addresses *addresses
	start     func(context.Context, *corev1.Pod) (Workload, error)
	speed     float64

	ctx     context.Context
	running sync.WaitGroup
	mu      sync.Mutex
	keepers map[types.UID]*keeper
}

// New makes a node; Run brings it to life. An error means bad options or a bad client
// configuration.
func New(config *rest.Config, o Options) (*Node, error) {
	if o.Name == "" {
		o.Name = "sandbox"
	}
	if o.PodCIDR == "" {
		o.PodCIDR = "10.244.0.0/16"
	}
	if o.Speed == 0 {
		o.Speed = 1
	}
	if !(o.Speed > 0) {
		return nil, fmt.Errorf("make node %s: speed %v is not positive", o.Name, o.Speed)
	}
	addresses, err := newAddresses(o.PodCIDR)
	if err != nil {
		return nil, fmt.Errorf("make node %s: %w", o.Name, err)
	}
	config = rest.CopyConfig(config)
	config.QPS = -1
	client, err := kubernetes.NewForConfig(rest.AddUserAgent(config, "node"))
	if err != nil {
		return nil, fmt.Errorf("make node %s: %w", o.Name, err)
	}
	return &Node{
		name: o.Name, client: client, addresses: addresses, start: o.StartWorkload,
		speed: o.Speed, keepers: map[types.UID]*keeper{},
	}, nil
}

// Addr translates a pod IP and port into the address of the workload that serves it. A
// pod with one workload answers on every port, one with several on the ports that their
// containers declare. ok is false when no workload runs there now.
func (n *Node) Addr(podIP string, port int32) (loopbackAddr string, ok bool) {
	return n.addresses.find(podIP, port)
}

// Run registers the node and keeps pods until ctx ends; then it stops all workloads and
// returns nil. An error means that the API server could not be used. Run may be called
// once.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n.ctx = ctx
	if err := n.register(ctx); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(n.client, 0, informers.WithTransform(trim))
	pods := factory.Core().V1().Pods().Informer()
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { n.see(o, false) },
		UpdateFunc: func(_, o any) { n.see(o, false) },
		DeleteFunc: func(o any) { n.see(o, true) },
	})
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) && ctx.Err() == nil {
		return errors.New("watch pods: the cache did not fill")
	}
	<-ctx.Done()
	factory.Shutdown() // no event follows, hence no new keeper
	n.running.Wait()
	return nil
}

// see hands a pod to its keeper. It is called by one goroutine.
func (n *Node) see(object any, gone bool) {
	if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	// To this node, a pod that went to another one is gone.
	gone = gone || pod.Spec.NodeName != "" && pod.Spec.NodeName != n.name
	n.mu.Lock()
	defer n.mu.Unlock()
	k := n.keepers[pod.UID]
	if k != nil {
		k.tell(pod, gone)
		return
	}
	if gone {
		return
	}
	k = newKeeper(n, pod)
	n.keepers[pod.UID] = k
	n.running.Go(func() {
		k.run(n.ctx)
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.keepers, pod.UID)
	})
}

// trim drops what no keeper reads.
func trim(object any) (any, error) {
	if pod, ok := object.(*corev1.Pod); ok {
		pod.ManagedFields = nil
	}
	return object, nil
}

// register makes the Node object, or takes over the one of that name, and marks it
// ready. Nothing in the sandbox looks for heartbeats.
func (n *Node) register(ctx context.Context) error {
	nodes := n.client.CoreV1().Nodes()
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name:   n.name,
		Labels: map[string]string{corev1.LabelHostname: n.name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH},
	}}
	object.Spec.PodCIDR = n.addresses.block.String()
	_, err := nodes.Create(ctx, object, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create node %s: %w", n.name, err)
	}
	current, err := nodes.Get(ctx, n.name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get node %s: %w", n.name, err)
	}
	current.Status = n.status()
	if _, err := nodes.UpdateStatus(ctx, current, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("mark node %s ready: %w", n.name, err)
	}
	return nil
}

func (n *Node) status() corev1.NodeStatus {
	room := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("1000"),
		corev1.ResourceMemory: resource.MustParse("1Ti"),
		corev1.ResourcePods:   resource.MustParse("10000"),
	}
	now := metav1.NewTime(time.Now())
	return corev1.NodeStatus{
		Capacity: room, Allocatable: room,
		Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "SandboxReady",
			Message: "the sandbox node runs", LastHeartbeatTime: now, LastTransitionTime: now,
		}},
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: n.addresses.host().String()},
			{Type: corev1.NodeHostName, Address: n.name},
		},
		NodeInfo: corev1.NodeSystemInfo{
			KubeletVersion: "v1.37.2-sandbox", ContainerRuntimeVersion: "sandbox://1",
			OperatingSystem: "linux", Architecture: runtime.GOARCH, OSImage: "Penstock sandbox",
		},
	}
}
