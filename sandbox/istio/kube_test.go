package istio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	rollouts         = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
	experiments      = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "experiments"}
	virtualServices  = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}
	destinationRules = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "destinationrules"}
)

// kube speaks to the sandbox's API server.
type kube struct {
	dynamic.Interface
	kubernetes kubernetes.Interface
	mapper     *restmapper.DeferredDiscoveryRESTMapper
}

func connect(kubeconfig string) (*kube, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the sandbox's kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 200, 400
	k, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &kube{Interface: d, kubernetes: k, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(k.Discovery()))}, nil
}

// apply applies manifests, as YAML; those that name no namespace go to the given one.
func (k *kube) apply(ctx context.Context, namespace, manifests string) error {
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), 4096); ; {
		u := &unstructured.Unstructured{}
		if err := decoder.Decode(&u.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("decode a manifest: %w", err)
		}
		if len(u.Object) == 0 {
			continue
		}
		mapping, err := k.mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
		if err != nil {
			return err
		}
		to := dynamic.ResourceInterface(k.Resource(mapping.Resource))
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			to = k.Resource(mapping.Resource).Namespace(namespace)
		}
		if _, err := to.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: "e2e-istio", Force: true}); err != nil {
			return fmt.Errorf("apply %s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
}

// state is what a Rollout's status says.
type state struct {
	Phase              string `json:"phase"`
	Message            string `json:"message"`
	CurrentStepIndex   *int32 `json:"currentStepIndex"`
	ObservedGeneration string `json:"observedGeneration"`
	Abort              bool   `json:"abort"`
}

func (s state) String() string {
	step := "no step"
	if s.CurrentStepIndex != nil {
		step = fmt.Sprint("step ", *s.CurrentStepIndex)
	}
	return fmt.Sprintf("%s (%s) at %s", s.Phase, s.Message, step)
}

// rollout reads a Rollout; one whose spec the controller has not seen is an error.
func (k *kube) rollout(ctx context.Context, namespace, name string) (state, error) {
	u, err := k.Resource(rollouts).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return state{}, err
	}
	text, err := json.Marshal(u.Object["status"])
	if err != nil {
		return state{}, err
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return state{}, err
	}
	if s.ObservedGeneration != fmt.Sprint(u.GetGeneration()) {
		return s, fmt.Errorf("the controller has seen generation %q of %d", s.ObservedGeneration, u.GetGeneration())
	}
	return s, nil
}

// patch sends a patch to a Rollout, or to a part of it.
func (k *kube) patch(ctx context.Context, namespace, name string, kind types.PatchType, body string, part ...string) error {
	_, err := k.Resource(rollouts).Namespace(namespace).Patch(ctx, name, kind, []byte(body), metav1.PatchOptions{}, part...)
	return err
}

// ready lists where the ready pods listen that are of a kind, sorted.
func (k *kube) ready(ctx context.Context, namespace string, of func(*corev1.Pod) bool) (all []string, err error) {
	pods, err := k.kubernetes.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil && of(&p) && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}) {
			all = append(all, p.Status.PodIP+":8080")
		}
	}
	slices.Sort(all)
	return all, nil
}

// ofVersion are the pods with an image of the demo.
func ofVersion(version string) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool { return p.Spec.Containers[0].Image == "penstock/demo:"+version }
}

// ofSet are the pods of a ReplicaSet.
func ofSet(name string) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		owner := metav1.GetControllerOf(p)
		return owner != nil && owner.Name == name
	}
}
