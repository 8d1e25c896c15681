package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
)

func newReader(data []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(data)) }

// runOrder is one call of create analysisrun.
type runOrder struct {
	*session
	name, prefix, instance string
	from, file             string
	arguments              []string
	global                 bool
}

func (s *session) createRun() *cobra.Command {
	o := &runOrder{session: s}
	c := &cobra.Command{
		Use: "analysisrun", Aliases: []string{"ar"}, Short: "Create an analysis run from a template of the cluster or of a file",
		Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context()) },
	}
	c.Flags().StringVar(&o.name, "name", "", "the run's name")
	c.Flags().StringVar(&o.prefix, "generate-name", "", "how a name made for it begins; without both, with the template's name")
	c.Flags().StringVar(&o.instance, "instance-id", "", "the controller's instance ID")
	c.Flags().StringArrayVarP(&o.arguments, "argument", "a", nil, "the value of an arg, NAME=VALUE; may be repeated")
	c.Flags().StringVar(&o.from, "from", "", "the template of the cluster")
	c.Flags().StringVar(&o.file, "from-file", "", "a file with the template, and with those that it names; - for standard input")
	c.Flags().BoolVar(&o.global, "global", false, "the template is a ClusterAnalysisTemplate")
	return c
}

func (o *runOrder) run(ctx context.Context) error {
	if (o.from == "") == (o.file == "") {
		return errors.New("one of --from or --from-file must be specified")
	}
	arguments, err := o.values()
	if err != nil {
		return err
	}
	cl, err := o.connect()
	if err != nil {
		return err
	}
	f := &finder{cl: cl, known: analysis.Templates{Namespaced: map[string]v1alpha1.AnalysisTemplateSpec{}, Cluster: map[string]v1alpha1.AnalysisTemplateSpec{}}}
	template, err := o.template(ctx, f)
	if err != nil {
		return err
	}
	ref := v1alpha1.AnalysisTemplateRef{TemplateName: template.GetName(), ClusterScope: o.global}
	if err := f.follow(ctx, ref); err != nil {
		return err
	}
	flat, err := analysis.Flatten([]v1alpha1.AnalysisTemplateRef{ref}, f.known)
	if err != nil {
		return err
	}
	run := &v1alpha1.AnalysisRun{Spec: v1alpha1.AnalysisRunSpec{Metrics: flat.Metrics, DryRun: flat.DryRun, MeasurementRetention: flat.MeasurementRetention}}
	if run.Spec.Args, err = supplied(flat.Args, arguments); err != nil {
		return err
	}
	run.Namespace, run.Labels, run.Annotations = cl.namespace, template.GetLabels(), template.GetAnnotations()
	run.Name, run.GenerateName = o.name, cmp.Or(o.prefix, template.GetName()+"-")
	if run.Name != "" {
		run.GenerateName = ""
	}
	if run.GenerateName == "-" {
		return errors.New("name is invalid")
	}
	if o.instance != "" {
		run.Labels = map[string]string{v1alpha1.InstanceIDLabel: o.instance}
	}
	if err := cl.Create(ctx, run); err != nil {
		return err
	}
	return o.print(fmt.Sprintf("analysisrun.argoproj.io/%s created\n", run.Name))
}

// values are the args of the command line.
func (o *runOrder) values() (map[string]string, error) {
	values := map[string]string{}
	for _, a := range o.arguments {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, errors.New("arguments must be in the form NAME=VALUE")
		}
		values[name] = value
	}
	return values, nil
}

// supplied gives a template's args the values of the command line. One without any value
// is an error, and so is a value that no arg takes.
func supplied(args []v1alpha1.Argument, values map[string]string) ([]v1alpha1.Argument, error) {
	args, left := slices.Clone(args), maps.Clone(values)
	for i, a := range args {
		if v, given := values[a.Name]; given {
			args[i] = v1alpha1.Argument{Name: a.Name, Value: &v}
			delete(left, a.Name)
		}
		if args[i].Value == nil && args[i].ValueFrom == nil {
			return nil, fmt.Errorf("args.%s was not resolved", a.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		return nil, fmt.Errorf("the template has no arg %q", name)
	}
	return args, nil
}

// template is the one to start from; those beside it in the file are known from then on.
func (o *runOrder) template(ctx context.Context, f *finder) (client.Object, error) {
	if o.file == "" {
		return f.find(ctx, v1alpha1.AnalysisTemplateRef{TemplateName: o.from, ClusterScope: o.global})
	}
	all, err := o.manifests(o.file)
	if err != nil {
		return nil, err
	}
	var first client.Object
	kind := map[bool]string{false: "AnalysisTemplate", true: "ClusterAnalysisTemplate"}[o.global]
	for _, u := range all {
		t, err := f.take(u)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.file, err)
		}
		if first == nil && u.GetKind() == kind {
			first = t
		}
	}
	if first == nil {
		return nil, fmt.Errorf("%s: there is no %s in it", o.file, kind)
	}
	return first, nil
}

// finder gathers a template and all that it names.
type finder struct {
	cl    *cluster
	known analysis.Templates
}

// take puts a template of a file among those that are known.
func (f *finder) take(u *unstructured.Unstructured) (client.Object, error) {
	switch u.GetKind() {
	case "AnalysisTemplate":
		t := &v1alpha1.AnalysisTemplate{}
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, t)
		f.known.Namespaced[t.Name] = t.Spec
		return t, err
	case "ClusterAnalysisTemplate":
		t := &v1alpha1.ClusterAnalysisTemplate{}
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, t)
		f.known.Cluster[t.Name] = t.Spec
		return t, err
	}
	return nil, fmt.Errorf("want analysis templates, got %s %q", u.GetKind(), u.GetName())
}

// find reads a template from the cluster.
func (f *finder) find(ctx context.Context, ref v1alpha1.AnalysisTemplateRef) (client.Object, error) {
	if ref.ClusterScope {
		t := &v1alpha1.ClusterAnalysisTemplate{}
		err := f.cl.Get(ctx, client.ObjectKey{Name: ref.TemplateName}, t)
		f.known.Cluster[ref.TemplateName] = t.Spec
		return t, err
	}
	t := &v1alpha1.AnalysisTemplate{}
	err := f.cl.Get(ctx, client.ObjectKey{Namespace: f.cl.namespace, Name: ref.TemplateName}, t)
	f.known.Namespaced[ref.TemplateName] = t.Spec
	return t, err
}

// follow finds what a template names, and what that names, and so on.
func (f *finder) follow(ctx context.Context, ref v1alpha1.AnalysisTemplateRef) error {
	seen := map[v1alpha1.AnalysisTemplateRef]bool{}
	for todo := []v1alpha1.AnalysisTemplateRef{ref}; len(todo) > 0; todo = todo[1:] {
		ref := todo[0]
		if seen[ref] {
			continue
		}
		seen[ref] = true
		in := f.known.Namespaced
		if ref.ClusterScope {
			in = f.known.Cluster
		}
		if _, known := in[ref.TemplateName]; !known {
			if _, err := f.find(ctx, ref); apierrors.IsNotFound(err) {
				delete(in, ref.TemplateName) // Flatten says so
				continue
			} else if err != nil {
				return err
			}
		}
		todo = append(todo, in[ref.TemplateName].Templates...)
	}
	return nil
}
