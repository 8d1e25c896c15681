package cli

import (
	"cmp"
	"context"

	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// creatable are the kinds that create makes, each with an empty object to check manifests against.
var creatable = map[string]func() client.Object{
	"Rollout":                 func() client.Object { return &v1alpha1.Rollout{} },
	"Experiment":              func() client.Object { return &v1alpha1.Experiment{} },
	"AnalysisRun":             func() client.Object { return &v1alpha1.AnalysisRun{} },
	"AnalysisTemplate":        func() client.Object { return &v1alpha1.AnalysisTemplate{} },
	"ClusterAnalysisTemplate": func() client.Object { return &v1alpha1.ClusterAnalysisTemplate{} },
}

func (s *session) create() *cobra.Command {
	var files []string
	g := &getting{session: s}
	c := group("create", "Create rollouts, experiments, analysis templates and runs from manifests", nil, s.createRun())
	alone := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case len(files) == 0:
			return alone(c, args)
		case len(args) > 0:
			return &usageError{c, fmt.Sprintf("unexpected %q: manifests are named by --filename", args[0])}
		case g.watch && len(files) > 1:
			return errors.New("Cannot watch multiple resources") //nolint:staticcheck // published text
		}
		return g.create(c.Context(), files)
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "a file with manifests, or - for standard input; may be repeated")
	c.Flags().BoolVarP(&g.watch, "watch", "w", false, "follow the rollout or experiment that was created")
	c.Flags().BoolVar(&g.plain, "no-color", false, "print no colours")
	return c
}

// create creates everything that the files hold, in their order, up to the first error.
// Nothing is created before all of it was read.
func (g *getting) create(ctx context.Context, files []string) error {
	var all []*unstructured.Unstructured
	for _, f := range files {
		some, err := g.manifests(f)
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	if g.watch {
		if err := g.watchable(all); err != nil {
			return err
		}
	}
	cl, err := g.connect()
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.GetKind() != "ClusterAnalysisTemplate" && o.GetNamespace() == "" {
			o.SetNamespace(cl.namespace)
		}
		if err := cl.Create(ctx, o); err != nil {
			return err
		}
		if err := g.print(created(o)); err != nil {
			return err
		}
	}
	if !g.watch {
		return nil
	}
	return g.show(ctx, cl.in(all[0].GetNamespace()), all[0].GetName())
}

// watchable prepares to follow what will be created.
func (g *getting) watchable(all []*unstructured.Unstructured) error {
	if len(all) != 1 {
		return errors.New("Cannot watch multiple resources") //nolint:staticcheck // published text
	}
	switch all[0].GetKind() {
	case "Rollout":
		g.noun, g.draw = aRollout, render
	case "Experiment":
		g.noun, g.draw = anExperiment, renderExperiment
	default:
		return errors.New("Can only watch resources of type Rollout or Experiment") //nolint:staticcheck // published text
	}
	g.output.flags(&cobra.Command{})
	return nil
}

func created(o client.Object) string {
	return fmt.Sprintf("%s.argoproj.io/%s created\n", strings.ToLower(o.GetObjectKind().GroupVersionKind().Kind), o.GetName())
}

// manifests reads the objects of a file, and checks that they have only fields of their kind.
func (s *session) manifests(file string) (all []*unstructured.Unstructured, err error) {
	err = s.documents(file, func(doc []byte) error {
		o, err := manifest(doc)
		if o != nil {
			all = append(all, o)
		}
		return err
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s: there is no object in it", file)
	}
	return all, err
}

// documents takes one YAML document of a file after the other. What goes wrong names the file.
func (s *session) documents(file string, take func(doc []byte) error) error {
	data, err := s.contents(file)
	if err != nil {
		return err
	}
	docs := utilyaml.NewYAMLReader(newReader(data))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = take(doc)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
}

// objects does so with the objects in them, whatever fields they have.
func (s *session) objects(file string, take func(o *unstructured.Unstructured) error) error {
	return s.documents(file, func(doc []byte) error {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &o.Object); err != nil {
			return err
		}
		return take(o)
	})
}

// contents reads a file, or standard input for "-".
func (s *session) contents(file string) ([]byte, error) {
	if file != "-" {
		return os.ReadFile(file)
	}
	if s.In == nil {
		return nil, errors.New("there is no standard input")
	}
	return io.ReadAll(s.In)
}

// manifest decodes one document; nil for an empty one.
func manifest(doc []byte) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSONStrict(doc)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &o.Object); err != nil {
		return nil, errors.New("want an object with apiVersion and kind")
	}
	if len(o.Object) == 0 {
		return nil, nil
	}
	gvk := o.GroupVersionKind()
	empty := creatable[gvk.Kind]
	if gvk.Group != v1alpha1.GroupVersion.Group || empty == nil {
		return nil, fmt.Errorf("creates of %s/%s unsupported", gvk.Group, gvk.Kind)
	}
	if err := v1alpha1.DecodeStrict(data, empty()); err != nil {
		return nil, fmt.Errorf("%s %q: %w", gvk.Kind, cmp.Or(o.GetName(), o.GetGenerateName()), err)
	}
	return o, nil
}
