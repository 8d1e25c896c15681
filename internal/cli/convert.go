package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/internal/convert"
)

// routeKinds are the kinds of routes that may lead to a Deployment's pods. A cluster need
// not have them.
var routeKinds = []schema.GroupVersionKind{
	{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"},
	{Group: "networking.istio.io", Version: "v1", Kind: "VirtualService"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"},
}

func (s *session) convert() *cobra.Command {
	var (
		files      []string
		prometheus string
		in         convert.Input
	)
	c := &cobra.Command{
		Use: "deployment DEPLOYMENT_NAME", Aliases: []string{"deploy", "deployments"}, Short: "Print a rollout that does what a deployment does",
		Long: `Print a rollout that does what a deployment does, with the further Services that it needs and
the route as it must be. The Deployment, its Services and its route (HTTPRoute, VirtualService,
Ingress) are read from the cluster, or from files. Nothing is changed. What was chosen, and
what is left to a person, goes to standard error.`,
		Args: exactly(1), ValidArgsFunction: s.completes(aDeployment),
		RunE: func(c *cobra.Command, args []string) error {
			if in.Strategy != convert.Canary && in.Strategy != convert.BlueGreen {
				return &usageError{c, fmt.Sprintf("--strategy: want %s or %s, got %q", convert.Canary, convert.BlueGreen, in.Strategy)}
			}
			var err error
			if len(files) > 0 {
				err = s.given(&in, files, args[0])
			} else {
				err = s.live(c.Context(), &in, args[0])
			}
			if err != nil {
				return err
			}
			if prometheus != "" {
				if err := s.judged(c.Context(), &in, prometheus); err != nil {
					return err
				}
			}
			out, err := convert.Deployment(in)
			if err != nil {
				return err
			}
			for _, n := range out.Notes {
				fmt.Fprintln(s.Err, "Note:", strings.ReplaceAll(n, "kubectl penstock", s.display))
			}
			return s.manifestsOf(out.Objects)
		},
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "a file with the manifests, or - for standard input, instead of the cluster; may be repeated")
	c.Flags().StringVar(&in.Strategy, "strategy", convert.Canary, "canary or bluegreen")
	c.Flags().StringVar(&prometheus, "prometheus", "", "the address of a Prometheus whose request metrics are to judge, e.g. http://prometheus.monitoring:9090")
	c.Flags().BoolVar(&in.Reference, "workload-ref", false, "let the rollout refer to the deployment instead of having its template")
	return group("convert", "Print a rollout that does what something else does", nil, c)
}

// live reads what is there from the cluster. Kinds that it does not have, or that may not be
// read, are left out.
func (s *session) live(ctx context.Context, in *convert.Input, name string) error {
	cl, err := s.connect()
	if err != nil {
		return err
	}
	in.Deployment = &appsv1.Deployment{}
	if err := cl.fetch(ctx, aDeployment, name, in.Deployment); err != nil {
		return err
	}
	services := &corev1.ServiceList{}
	if err := cl.List(ctx, services, client.InNamespace(cl.namespace)); err != nil {
		return fmt.Errorf("list services in %s: %w", cl.namespace, err)
	}
	for i := range services.Items {
		in.Services = append(in.Services, &services.Items[i])
	}
	for _, kind := range routeKinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		err := cl.List(ctx, list, client.InNamespace(cl.namespace))
		switch {
		case apierrors.IsForbidden(err):
			fmt.Fprintf(s.Err, "Warning: objects of kind %s are left out: %v\n", kind.Kind, err)
		case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		case err != nil:
			return fmt.Errorf("list objects of kind %s in %s: %w", kind.Kind, cl.namespace, err)
		}
		for i := range list.Items {
			in.Routes = append(in.Routes, &list.Items[i])
		}
	}
	return nil
}

// given reads it from files.
func (s *session) given(in *convert.Input, files []string, name string) error {
	for _, f := range files {
		err := s.objects(f, func(o *unstructured.Unstructured) error { return sorts(in, o, name) })
		if err != nil {
			return err
		}
	}
	if in.Deployment == nil {
		return fmt.Errorf("there is no Deployment %q in %s", name, strings.Join(files, ", "))
	}
	// Manifests without a namespace are of one and the same.
	for _, o := range in.Services {
		o.Namespace = in.Deployment.Namespace
	}
	for _, o := range in.Routes {
		o.SetNamespace(in.Deployment.Namespace)
	}
	return nil
}

// sorts puts an object where it belongs; others are left out.
func sorts(in *convert.Input, o *unstructured.Unstructured, name string) error {
	switch gvk := o.GroupVersionKind(); {
	case gvk.Group == appsv1.GroupName && gvk.Kind == "Deployment" && o.GetName() == name:
		in.Deployment = &appsv1.Deployment{}
		return runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, in.Deployment, true)
	case gvk.Group == "" && gvk.Kind == "Service":
		svc := &corev1.Service{}
		in.Services = append(in.Services, svc)
		return runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, svc, true)
	case gvk.Kind == "HTTPRoute", gvk.Kind == "VirtualService", gvk.Kind == "Ingress":
		in.Routes = append(in.Routes, o)
	}
	return nil
}

// manifestsOf prints objects as one YAML text, without what a server adds.
func (s *session) manifestsOf(all []runtime.Object) error {
	for i, o := range all {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			return err
		}
		delete(content, "status")
		tidied := tidy(content)
		text, err := yaml.Marshal(tidied)
		if err != nil {
			return err
		}
		if i > 0 {
			text = append([]byte("---\n"), text...)
		}
		if err := s.print(string(text)); err != nil {
			return err
		}
	}
	return nil
}

// idle are keys under which typed objects have an empty map for nothing; an empty pause or
// emptyDir means something.
var idle = []string{"resources", "metadata", "strategy", "template", "securityContext", "authentication", "basicAuth", "oauth2", "sigv4", "analysisRunMetadata"}

// byDefault are values that an API server writes where nobody has, and that are a Rollout's
// too.
var byDefault = map[string]any{
	"progressDeadlineSeconds": int64(600), "revisionHistoryLimit": int64(10), "maxSurge": "25%", "maxUnavailable": "25%",
	"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": int64(30),
	"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "protocol": "TCP",
}

// tidy leaves out what is null, or said by default, and the empty maps that typed objects have
// for nothing.
func tidy(content map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range content {
		switch v := v.(type) {
		case nil:
		case map[string]any:
			if inner := tidy(v); len(inner) > 0 || len(v) == 0 && !slices.Contains(idle, k) {
				out[k] = inner
			}
		case []any:
			list := make([]any, len(v))
			for i, e := range v {
				if m, is := e.(map[string]any); is {
					e = tidy(m)
				}
				list[i] = e
			}
			out[k] = list
		default:
			if usual, known := byDefault[k]; !known || usual != v {
				out[k] = v
			}
		}
	}
	return out
}
