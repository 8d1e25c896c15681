package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// everyContainer is the name that stands for all containers.
const everyContainer = "*"

func (s *session) set() *cobra.Command {
	return group("set", "Change a rollout", nil, &cobra.Command{
		Use: "image ROLLOUT_NAME CONTAINER=IMAGE...", Short: "Set images of containers, of all with *=IMAGE",
		Args: atLeast(2), ValidArgsFunction: s.complete,
		RunE: func(c *cobra.Command, args []string) error {
			images, err := imagesOf(args[1:])
			if err != nil {
				return err
			}
			cl, err := s.connect()
			if err != nil {
				return err
			}
			target, err := cl.setImages(c.Context(), args[0], images)
			if err != nil {
				return err
			}
			return s.print(fmt.Sprintf("%s %q image updated\n", strings.ToLower(target.GetKind()), target.GetName()))
		},
	})
}

// image is what one container is to run.
type image struct{ container, name string }

func imagesOf(args []string) (list []image, err error) {
	for _, a := range args {
		container, name, found := strings.Cut(a, "=")
		if !found || container == "" || name == "" || strings.Contains(name, "=") {
			return nil, fmt.Errorf("want CONTAINER=IMAGE, got %q", a)
		}
		list = append(list, image{container, name})
	}
	return list, nil
}

// setImages changes the pod template of a Rollout, or of the workload that it refers to. It
// sends the whole object back, and starts anew where somebody else was faster.
func (c *cluster) setImages(ctx context.Context, name string, images []image) (target *unstructured.Unstructured, err error) {
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var at []string
		if target, at, err = c.templated(ctx, name); err != nil {
			return err
		}
		for _, i := range images {
			if !i.set(target.Object, at) {
				return fmt.Errorf("unable to find container named %q", i.container)
			}
		}
		return c.Update(ctx, target)
	})
	if apierrors.IsConflict(err) {
		err = fmt.Errorf("somebody else changed it each time, try again: %w", err)
	}
	return target, err
}

// templated reads the object that holds the pod template of a Rollout, and where it stands.
func (c *cluster) templated(ctx context.Context, name string) (o *unstructured.Unstructured, at []string, err error) {
	o = &unstructured.Unstructured{}
	o.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Rollout"))
	if err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, o); err != nil {
		if apierrors.IsNotFound(err) {
			err = aRollout.missing(name)
		}
		return nil, nil, err
	}
	ref, found, _ := unstructured.NestedStringMap(o.Object, "spec", "workloadRef")
	if !found {
		return o, []string{"spec", "template"}, nil
	}
	gv, err := schema.ParseGroupVersion(ref["apiVersion"])
	if err != nil {
		return nil, nil, fmt.Errorf("spec.workloadRef.apiVersion: %w", err)
	}
	at = []string{"spec", "template"}
	switch ref["kind"] {
	case "Deployment", "ReplicaSet":
	case "PodTemplate":
		at = []string{"template"}
	default:
		return nil, nil, fmt.Errorf("workload of type %s is not supported", ref["kind"])
	}
	o = &unstructured.Unstructured{}
	o.SetGroupVersionKind(gv.WithKind(ref["kind"]))
	return o, at, c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: ref["name"]}, o)
}

// set writes the image into all containers of its name, and reports whether there are any.
func (i image) set(object map[string]any, at []string) (found bool) {
	template, _, _ := unstructured.NestedFieldNoCopy(object, append(at, "spec")...)
	spec, _ := template.(map[string]any)
	for _, field := range []string{"initContainers", "containers", "ephemeralContainers"} {
		list, _ := spec[field].([]any)
		for _, e := range list {
			if m, is := e.(map[string]any); is && (m["name"] == i.container || i.container == everyContainer) {
				m["image"], found = i.name, true
			}
		}
	}
	return found
}
