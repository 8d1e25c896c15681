package cli

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the ways to log in that kubectl knows
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// cluster is the API server and the namespace that the command line chose.
type cluster struct {
	client.WithWatch
	config    *rest.Config
	namespace string
}

// in is the same cluster with another namespace.
func (c *cluster) in(namespace string) *cluster {
	return &cluster{WithWatch: c.WithWatch, config: c.config, namespace: namespace}
}

func (s *session) connect() (*cluster, error) {
	s.quiet()
	config, err := s.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	namespace, _, err := s.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("find the namespace: %w", err)
	}
	config.QPS, config.Burst = 50, 100 // one person's requests; the server has its own limits
	config.WarningHandler = rest.NewWarningWriter(s.Err, rest.WarningWriterOptions{Deduplicate: true})
	scheme, mapper, err := kinds()
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the cluster: %w", err)
	}
	s.cluster = &cluster{WithWatch: c, config: config, namespace: namespace}
	return s.cluster, nil
}

// quiet keeps controller-runtime's log off the terminal, and lets -v turn on client-go's.
func (s *session) quiet() {
	log.SetLogger(logr.Discard())
	if s.verbosity <= 0 {
		return
	}
	f := flag.NewFlagSet("", flag.ContinueOnError)
	klog.InitFlags(f)
	if err := f.Set("v", strconv.Itoa(s.verbosity)); err != nil {
		fmt.Fprintln(s.Err, "Warning: --kloglevel:", err)
	}
}

// kinds is a fixed table, so that no call starts with a round of discovery.
func kinds() (*runtime.Scheme, meta.RESTMapper, error) {
	scheme := runtime.NewScheme()
	groups := []schema.GroupVersion{v1alpha1.GroupVersion, appsv1.SchemeGroupVersion, corev1.SchemeGroupVersion, autoscalingv2.SchemeGroupVersion}
	mapper := meta.NewDefaultRESTMapper(groups)
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, appsv1.AddToScheme, corev1.AddToScheme, autoscalingv2.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, nil, fmt.Errorf("register the kinds: %w", err)
		}
	}
	mapper.Add(v1alpha1.GroupVersion.WithKind("Rollout"), meta.RESTScopeNamespace)
	mapper.Add(v1alpha1.GroupVersion.WithKind("AnalysisRun"), meta.RESTScopeNamespace)
	mapper.Add(v1alpha1.GroupVersion.WithKind("Experiment"), meta.RESTScopeNamespace)
	mapper.Add(v1alpha1.GroupVersion.WithKind("AnalysisTemplate"), meta.RESTScopeNamespace)
	mapper.Add(v1alpha1.GroupVersion.WithKind("ClusterAnalysisTemplate"), meta.RESTScopeRoot)
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("ReplicaSet"), meta.RESTScopeNamespace)
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)
	mapper.Add(autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("PodTemplate"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Service"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	for _, kind := range routeKinds {
		mapper.Add(kind, meta.RESTScopeNamespace)
	}
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Event"), meta.RESTScopeNamespace)
	return scheme, mapper, nil
}

// rollout reads one Rollout.
func (c *cluster) rollout(ctx context.Context, name string) (*v1alpha1.Rollout, error) {
	r := &v1alpha1.Rollout{}
	return r, c.fetch(ctx, aRollout, name, r)
}

// fetch reads an object of the cluster's namespace.
func (c *cluster) fetch(ctx context.Context, n noun, name string, into client.Object) error {
	err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, into)
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err) && !unserved(err):
		return n.missing(name)
	}
	return fmt.Errorf("get %s %s/%s: %w", n.word, c.namespace, name, err)
}

// complete offers the names of Rollouts for the first name on the command line.
func (s *session) complete(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return s.completes(aRollout)(c, args, typed)
}

// completes offers the names of a kind.
func (s *session) completes(n noun) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) (found []string, _ cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cl, err := s.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list := n.list()
		if err := cl.List(c.Context(), list, client.InNamespace(cl.namespace)); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		err = meta.EachListItem(list, func(o runtime.Object) error {
			if m, err := meta.Accessor(o); err == nil && strings.HasPrefix(m.GetName(), typed) {
				found = append(found, m.GetName())
			}
			return nil
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}
