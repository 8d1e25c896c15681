package v1alpha1

import (
	"bytes"
	"encoding"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Malformed is a value of a stored object that its field cannot hold, such as the memory
// "abc". The schema lets some of them in (core.md §1.1), and one object that cannot be
// read would stop the whole list of its kind. So the value is left out, and said.
type Malformed struct {
	// Path is the field, such as spec.template.spec.containers[0].resources.limits[memory].
	Path string
	// Value is what stands there, as JSON; a long one is cut.
	Value string
	// Why is what the field asks for.
	Why string
}

// String is the problem in the words of the API server.
func (m Malformed) String() string {
	return fmt.Sprintf("%s: Invalid value: %s: %s", m.Path, m.Value, m.Why)
}

// The most that is remembered of what is wrong with one object.
const (
	maxMalformed = 20
	maxValue     = 100
)

// UnmarshalJSON reads what can be read; Malformed tells the rest. It fails only for what
// is no JSON.
func (s *RolloutSpec) UnmarshalJSON(data []byte) (err error) {
	type plain RolloutSpec
	s.Malformed, err = tolerant(data, (*plain)(s), field.NewPath("spec"))
	return err
}

// UnmarshalJSON reads what can be read. The rest is written anew by the controller.
func (s *RolloutStatus) UnmarshalJSON(data []byte) error {
	type plain RolloutStatus
	_, err := tolerant(data, (*plain)(s), field.NewPath("status"))
	return err
}

// UnmarshalJSON reads what can be read; Malformed tells the rest. It fails only for what
// is no JSON.
func (s *ExperimentSpec) UnmarshalJSON(data []byte) (err error) {
	type plain ExperimentSpec
	s.Malformed, err = tolerant(data, (*plain)(s), field.NewPath("spec"))
	return err
}

// UnmarshalJSON reads what can be read. The rest is written anew by the controller.
func (s *ExperimentStatus) UnmarshalJSON(data []byte) error {
	type plain ExperimentStatus
	_, err := tolerant(data, (*plain)(s), field.NewPath("status"))
	return err
}

// UnmarshalJSON reads what can be read; Malformed tells the rest. It fails only for what
// is no JSON.
func (s *AnalysisRunSpec) UnmarshalJSON(data []byte) (err error) {
	type plain AnalysisRunSpec
	s.Malformed, err = tolerant(data, (*plain)(s), field.NewPath("spec"))
	return err
}

// UnmarshalJSON reads what can be read. The rest is written anew by the controller.
func (s *AnalysisRunStatus) UnmarshalJSON(data []byte) error {
	type plain AnalysisRunStatus
	_, err := tolerant(data, (*plain)(s), field.NewPath("status"))
	return err
}

// UnmarshalJSON reads what can be read; Malformed tells the rest. It fails only for what
// is no JSON.
func (s *AnalysisTemplateSpec) UnmarshalJSON(data []byte) (err error) {
	type plain AnalysisTemplateSpec
	s.Malformed, err = tolerant(data, (*plain)(s), field.NewPath("spec"))
	return err
}

// tolerant decodes JSON into a struct, as far as it fits.
func tolerant(data []byte, into any, at *field.Path) ([]Malformed, error) {
	if json.Unmarshal(data, into) == nil {
		return nil, nil
	}
	tree, err := treeOf(data)
	if err != nil {
		return nil, err
	}
	f := fitter{}
	tree, _ = f.fit(tree, reflect.TypeOf(into).Elem(), at)
	reflect.ValueOf(into).Elem().SetZero()
	if data, err = stdjson.Marshal(tree); err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil { // not seen so far: then nothing of it is trusted
		reflect.ValueOf(into).Elem().SetZero()
		f.note(at, tree, err.Error())
	}
	return f.malformed, nil
}

// DecodeStrict decodes JSON into an object and refuses what is otherwise let pass: fields
// that the type does not have, and values that do not fit.
func DecodeStrict(data []byte, into any) error {
	tree, err := treeOf(data)
	if err != nil {
		return err
	}
	f := fitter{}
	f.fit(tree, reflect.TypeOf(into).Elem(), nil)
	for _, m := range f.malformed {
		f.unknown = append(f.unknown, m.String())
	}
	if len(f.unknown) > 0 {
		return errors.New(strings.Join(f.unknown, "; "))
	}
	return json.Unmarshal(data, into)
}

// treeOf keeps numbers as they were written.
func treeOf(data []byte) (tree any, err error) {
	d := stdjson.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	err = d.Decode(&tree)
	return tree, err
}

// fitter takes out of a JSON tree what a Go type cannot hold.
type fitter struct {
	malformed []Malformed
	// unknown are the fields that the type does not have.
	unknown []string
}

// fit returns the tree without what does not fit; ok is false where nothing is left.
// Elements of lists stay at their place, as null.
func (f *fitter) fit(tree any, t reflect.Type, at *field.Path) (fitted any, ok bool) {
	if tree == nil {
		return nil, true
	}
	if t.Kind() == reflect.Pointer {
		return f.fit(tree, t.Elem(), at)
	}
	if decodesItself(t) {
		return f.leaf(tree, t, at)
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		object, is := tree.(map[string]any)
		if !is {
			return f.note(at, tree, "must be an object")
		}
		if t.Kind() == reflect.Struct {
			f.fields(object, t, at)
		} else {
			f.entries(object, t.Elem(), at)
		}
		return object, true
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return f.leaf(tree, t, at)
		}
		list, is := tree.([]any)
		if !is {
			return f.note(at, tree, "must be a list")
		}
		for i := range list {
			list[i], _ = f.fit(list[i], t.Elem(), at.Index(i))
		}
		return list, true
	}
	return f.leaf(tree, t, at)
}

func (f *fitter) fields(object map[string]any, t reflect.Type, at *field.Path) {
	types := map[string]reflect.Type{}
	fieldsOf(t, types)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		known, is := types[name]
		if !is {
			f.unknown = append(f.unknown, fmt.Sprintf("unknown field %q", at.Child(name)))
			continue
		}
		if fitted, ok := f.fit(object[name], known, at.Child(name)); ok {
			object[name] = fitted
		} else {
			delete(object, name)
		}
	}
}

func (f *fitter) entries(object map[string]any, t reflect.Type, at *field.Path) {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if fitted, ok := f.fit(object[key], t, at.Key(key)); ok {
			object[key] = fitted
		} else {
			delete(object, key)
		}
	}
}

// leaf tries a value that has no parts of its own.
func (f *fitter) leaf(tree any, t reflect.Type, at *field.Path) (fitted any, ok bool) {
	data, err := stdjson.Marshal(tree)
	if err == nil {
		err = json.Unmarshal(data, reflect.New(t).Interface())
	}
	if err == nil {
		return tree, true
	}
	why := err.Error()
	if !decodesItself(t) {
		why = asks(t, why)
	}
	return f.note(at, tree, why)
}

// note records a value that does not fit; it answers as fit does for one.
func (f *fitter) note(at *field.Path, tree any, why string) (fitted any, ok bool) {
	if len(f.malformed) < maxMalformed {
		value, _ := stdjson.Marshal(tree)
		f.malformed = append(f.malformed, Malformed{Path: at.String(), Value: cut(string(value)), Why: why})
	}
	return nil, false
}

// asks says in words what a type holds.
func asks(t reflect.Type, otherwise string) string {
	switch t.Kind() {
	case reflect.String:
		return "must be a string"
	case reflect.Bool:
		return "must be true or false"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("must be a whole number of %d bits", t.Bits())
	case reflect.Float32, reflect.Float64:
		return "must be a number"
	}
	return otherwise
}

// cut shortens a long value.
func cut(value string) string {
	if len(value) <= maxValue {
		return value
	}
	n := maxValue
	for n > 0 && !utf8.RuneStart(value[n]) {
		n--
	}
	return value[:n] + "…"
}

var (
	unmarshaler     = reflect.TypeFor[stdjson.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	ours            = reflect.TypeFor[Malformed]().PkgPath()
)

// decodesItself reports whether a type brings its own decoding. Those of this package
// are the tolerant ones above, so their fields are looked into.
func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t.PkgPath() != ours && (p.Implements(unmarshaler) || p.Implements(textUnmarshaler))
}

// fieldsOf collects the fields of a struct by their names in JSON, embedded ones included.
func fieldsOf(t reflect.Type, types map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || f.PkgPath != "" && !f.Anonymous:
		case name == "" && f.Anonymous && f.Type.Kind() == reflect.Struct:
			fieldsOf(f.Type, types)
		case name == "":
			types[f.Name] = f.Type
		default:
			types[name] = f.Type
		}
	}
}
