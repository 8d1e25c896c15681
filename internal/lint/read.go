package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	yamlnode "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// object is one object of the manifests.
type object struct {
	file, kind, group, namespace, name string
	// offset is how many lines of the file stand before its document.
	offset int
	node   *yamlnode.Node
	tree   map[string]any
	// typed is the decoded object of a kind of ours, or a Service; nil for the others.
	typed any
	// unfit is what does not fit its type, with the field where that is known.
	unfit []unfit
	// ignored are the reasons for the rules that it silences.
	ignored map[string]string
}

type unfit struct{ path, text string }

func (o *object) String() string { return o.kind + "/" + o.name }

// set is all that was read.
type set struct{ objects []*object }

// read takes the sources apart. Documents that are empty, or no objects, are left out.
func read(sources []Source) (*set, error) {
	s := &set{}
	for _, src := range sources {
		for _, d := range split(src.Data) {
			if err := s.document(src.Name, d); err != nil {
				return nil, err
			}
		}
	}
	s.workloads()
	return s, nil
}

// part is one document of a text.
type part struct {
	text   []byte
	offset int
}

// split cuts a text at its lines "---".
func split(data []byte) (parts []part) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	current := part{}
	for i, line := range bytes.SplitAfter(data, []byte("\n")) {
		rest, cut := bytes.CutPrefix(line, []byte("---"))
		if cut && (len(bytes.TrimSpace(rest)) == 0 || rest[0] == ' ' && bytes.HasPrefix(bytes.TrimSpace(rest), []byte("#"))) {
			parts = append(parts, current)
			current = part{offset: i + 1}
			continue
		}
		current.text = append(current.text, line...)
	}
	return append(parts, current)
}

func (s *set) document(file string, d part) (err error) {
	if len(bytes.TrimSpace(d.text)) == 0 {
		return nil
	}
	fail := func(err error) error {
		text := lineOf.ReplaceAllStringFunc(err.Error(), func(m string) string {
			n, _ := strconv.Atoi(strings.TrimPrefix(m, "line "))
			return "line " + strconv.Itoa(n+d.offset)
		})
		return fmt.Errorf("%s: %s", file, text)
	}
	data, err := yaml.YAMLToJSON(d.text)
	if err != nil {
		return fail(err)
	}
	var node yamlnode.Node
	if err := yamlnode.Unmarshal(d.text, &node); err != nil {
		return fail(err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return fail(err)
	}
	whole, is := tree.(map[string]any)
	if !is || len(node.Content) == 0 {
		return nil
	}
	var twice error
	if _, err := yaml.YAMLToJSONStrict(d.text); err != nil {
		twice = fail(err)
	}
	s.take(&object{file: file, offset: d.offset, node: node.Content[0], tree: whole}, twice)
	return nil
}

var lineOf = regexp.MustCompile(`line [0-9]+`)

// take adds an object, or those of a List. twice is the error of a key that stands twice.
func (s *set) take(o *object, twice error) {
	kind, _ := o.tree["kind"].(string)
	items, _ := o.tree["items"].([]any)
	if !strings.HasSuffix(kind, "List") || items == nil {
		o.fill(twice)
		s.objects = append(s.objects, o)
		return
	}
	for i, item := range items {
		if tree, is := item.(map[string]any); is {
			s.take(&object{file: o.file, offset: o.offset, node: find(o.node, []string{"items", strconv.Itoa(i)}), tree: tree}, twice)
		}
	}
}

// fill reads the head, and decodes what the rules know.
func (o *object) fill(twice error) {
	text := func(v any) string { s, _ := v.(string); return s }
	meta, _ := o.tree["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	o.kind, o.name, o.namespace = text(o.tree["kind"]), text(meta["name"]), text(meta["namespace"])
	if o.name == "" {
		o.name = text(meta["generateName"])
	}
	o.group, _, _ = strings.Cut(text(o.tree["apiVersion"]), "/")
	o.ignored = reasons(text(annotations[IgnoreAnnotation]))
	into := typeOf(o.group, o.kind)
	if into == nil {
		return
	}
	if twice != nil {
		o.unfit = append(o.unfit, unfit{"", twice.Error()})
	}
	o.decode(into)
}

func typeOf(group, kind string) any {
	if group != "argoproj.io" {
		return nil
	}
	switch kind {
	case "Rollout":
		return &v1alpha1.Rollout{}
	case "Experiment":
		return &v1alpha1.Experiment{}
	case "AnalysisTemplate":
		return &v1alpha1.AnalysisTemplate{}
	case "ClusterAnalysisTemplate":
		return &v1alpha1.ClusterAnalysisTemplate{}
	case "AnalysisRun":
		return &v1alpha1.AnalysisRun{}
	}
	return nil
}

var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// decode keeps what fits. Values of the spec that do not are reported by the spec's own
// rules, in the order of the API.
func (o *object) decode(into any) {
	data, err := json.Marshal(o.tree)
	if err != nil {
		return // it was JSON a moment ago
	}
	err = v1alpha1.DecodeStrict(data, into)
	if err != nil {
		for _, m := range unknownField.FindAllStringSubmatch(err.Error(), -1) {
			last := m[1][strings.LastIndexByte(m[1], '.')+1:]
			// The published text, which scripts look for.
			o.unfit = append(o.unfit, unfit{m[1], fmt.Sprintf("error unmarshaling JSON: while decoding JSON: json: unknown field %q", last)})
		}
		if err := json.Unmarshal(data, into); err != nil {
			var at *json.UnmarshalTypeError
			path := ""
			if errors.As(err, &at) {
				path = at.Field
			}
			o.unfit = append(o.unfit, unfit{path, "error unmarshaling JSON: while decoding JSON: " + err.Error()})
			return
		}
	}
	o.typed = into
}
