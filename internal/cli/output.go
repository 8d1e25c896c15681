package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// printer prints an object in a form for programs.
type printer func(o runtime.Object, out io.Writer) error

// output is the flag --output: the picture or the table, a wider one, or what kubectl
// prints under that name.
type output struct{ formats *genericclioptions.PrintFlags }

func (o *output) flags(c *cobra.Command) {
	o.formats = genericclioptions.NewPrintFlags("")
	o.formats.AddFlags(c)
	if f := c.Flags().Lookup("output"); f != nil {
		f.Usage = "wide for more columns, json, yaml, name, jsonpath=..., go-template=..., and what else kubectl knows"
	}
}

func (o *output) wide() bool {
	return o.formats.OutputFormat != nil && *o.formats.OutputFormat == "wide"
}

// printer is nil for what people read.
func (o *output) printer(c *cobra.Command) (printer, error) {
	if *o.formats.OutputFormat == "" || o.wide() {
		return nil, nil
	}
	p, err := o.formats.ToPrinter()
	if err != nil {
		return nil, &usageError{c, err.Error()}
	}
	return p.PrintObj, nil
}

// everything is the selector that leaves nothing out.
var everything = labels.Everything()

// scope is which objects a command is about when none is named.
type scope struct {
	selector string
	all      bool
}

func (s *scope) flags(c *cobra.Command) {
	c.Flags().StringVarP(&s.selector, "selector", "l", "", "only objects with these labels, e.g. app=web,tier!=test")
	c.Flags().BoolVarP(&s.all, "all-namespaces", "A", false, "those of all namespaces")
}

// wide: the flags alone say which objects.
func (s *scope) wide() bool { return s.all || s.selector != "" }

// feed is all of a kind in scope.
func (s *scope) feed(c *cluster, n noun) (feed, error) {
	by, err := labels.Parse(s.selector)
	if err != nil {
		return feed{}, fmt.Errorf("--selector: %w", err)
	}
	if s.all {
		c = c.in(metav1.NamespaceAll)
	}
	return c.labelled(n, by), nil
}

// untyped is the noun with all fields of its objects, also those that nobody here knows.
func (n noun) untyped() noun {
	kind, list := v1alpha1.GroupVersion.WithKind(n.kind()), v1alpha1.GroupVersion.WithKind(n.kind()+"List")
	n.empty = func() client.Object {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(kind)
		return u
	}
	n.list = func() client.ObjectList {
		u := &unstructured.UnstructuredList{}
		u.SetGroupVersionKind(list)
		return u
	}
	return n
}

// raw reads one object with all its fields.
func (c *cluster) raw(ctx context.Context, n noun, name string) (client.Object, error) {
	o := n.untyped().empty()
	return o, c.fetch(ctx, n, name, o)
}

// printList prints what an untyped feed has as one List, as kubectl does.
func (c *cluster) printList(ctx context.Context, f feed, encode printer, out io.Writer) error {
	u, version, err := f.read(ctx, c)
	if err != nil {
		return err
	}
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("v1")
	list.SetKind("List")
	list.SetResourceVersion(version)
	for _, o := range sorted(u.objects) {
		list.Items = append(list.Items, *o.(*unstructured.Unstructured))
	}
	return encode(list, out)
}

// sorted is by namespace and name.
func sorted(objects map[types.UID]client.Object) (all []client.Object) {
	for _, o := range objects {
		all = append(all, o)
	}
	slices.SortFunc(all, byName)
	return all
}
