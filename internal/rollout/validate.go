package rollout

import (
	"errors"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Problem is one thing that is wrong with a Rollout.
type Problem struct {
	// Path is the field, in the published spelling, which leaves out the name of the
	// strategy in most places (core.md §1.7.2).
	Path string
	// Text is the published text of the problem, Path included.
	Text string
	// Where is the field as a person finds it in the manifest; mostly that is Path with
	// the name of the strategy.
	Where string
	// Mend says in words what would make the problem go away; "" where that is unknown.
	Mend string
}

// References is what the spec names, as found. The zero value says that nothing was
// looked up, and nothing is then said about it.
type References struct {
	// Services are the Services that exist, by name; nil means not looked up.
	Services map[string]ServiceRef
	// Templates are the analysis templates that exist, those that others name
	// included; nil means not looked up.
	Templates map[TemplateKey]TemplateRef
	// Builds are the errors of making a run of each analysis section, by the path of its
	// templates, such as "spec.strategy.canary.analysis.templates".
	Builds map[string]string
	// Routes is the first problem that a router has with its objects, with its path.
	Routes string
	// Workload is why spec.workloadRef gives no template; "" when it does.
	Workload string
}

// ServiceRef is what validation needs of a Service.
type ServiceRef struct {
	Selector map[string]string
	// ManagedBy is the name of the Rollout in the managed-by annotation; "" for none.
	ManagedBy string
}

// TemplateKey names an AnalysisTemplate or a ClusterAnalysisTemplate.
type TemplateKey = v1alpha1.AnalysisTemplateRef

// TemplateRef is what validation needs of an analysis template.
type TemplateRef struct {
	Metrics []MetricRef
	Args    []v1alpha1.Argument
	// Nested are the templates that this one takes in.
	Nested []TemplateKey
	// Err is what else is wrong with its metrics; "" for nothing.
	Err string
}

// MetricRef is one metric of a template, with its args resolved.
type MetricRef struct {
	Name string
	// Endless is true for a metric that never ends by itself.
	Endless bool
	// Count is the count as text, "<nil>" when unset.
	Count string
}

// Validate lists what is wrong with a Rollout, each problem once, in the published order
// of evaluation. What could not be read comes first, and hides what follows from it; what
// nobody has published, and what this version does not run, comes last. Nil refs check
// the spec alone.
func Validate(namespace, name string, spec *v1alpha1.RolloutSpec, refs *References) []Problem {
	if refs == nil {
		refs = &References{}
	}
	p := &problems{seen: map[string]bool{}}
	p.malformed(spec)
	p.workload(spec, refs)
	p.spec(spec)
	if b := spec.Strategy.BlueGreen; b != nil {
		p.strategy = "blueGreen"
		p.blueGreen(b, spec.RevisionHistoryLimitOrDefault())
	}
	if c := spec.Strategy.Canary; c != nil {
		p.strategy = "canary"
		p.canary(c)
	}
	p.references(namespace, name, spec, refs)
	p.numbers(spec)
	p.unsupported(spec)
	return p.list
}

// problems collects each problem once. The last argument of its methods is the mend,
// different at each place of call: the tests tell the checks apart by it.
type problems struct {
	list []Problem
	seen map[string]bool
	// strategy is the name that published paths leave out.
	strategy string
	// unread are the paths of what could not be read.
	unread []string
}

func (p *problems) add(e *field.Error, mend string) { p.addAt(p.real(e.Field), e, mend) }

// addAt adds a problem whose published path leads elsewhere than to the field.
func (p *problems) addAt(where string, e *field.Error, mend string) {
	p.put(Problem{Path: e.Field, Text: e.Error(), Where: where, Mend: mend})
}

func (p *problems) put(q Problem) {
	if p.seen[q.Text] || p.follows(q.Where) {
		return
	}
	p.seen[q.Text] = true
	p.list = append(p.list, q)
}

// real is the field behind a published path.
func (p *problems) real(path string) string {
	const strategy = "spec.strategy."
	rest, ok := strings.CutPrefix(path, strategy)
	switch {
	case !ok, p.strategy == "", strings.HasPrefix(rest, p.strategy+"."), strings.HasPrefix(rest, "canary."), strings.HasPrefix(rest, "blueGreen."):
		return path
	}
	return strategy + p.strategy + "." + rest
}

// malformed are the values that were left out when the object was read.
func (p *problems) malformed(s *v1alpha1.RolloutSpec) {
	for _, m := range s.Malformed {
		p.put(Problem{Path: m.Path, Where: m.Path, Text: m.String(),
			Mend: "write a value that the field can hold"})
	}
	for _, q := range p.list {
		p.unread = append(p.unread, q.Where)
	}
}

// follows reports that a field holds, or is part of, what could not be read: it then
// looks empty, and what is said about it would lead astray.
func (p *problems) follows(where string) bool {
	within := func(part, whole string) bool {
		rest, ok := strings.CutPrefix(part, whole)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	}
	return slices.ContainsFunc(p.unread, func(u string) bool { return within(where, u) || within(u, where) })
}

func (p *problems) addAll(all field.ErrorList, mend string) {
	for _, e := range all {
		p.add(e, mend)
	}
}

func (p *problems) invalid(at *field.Path, value any, detail, mend string) {
	p.add(field.Invalid(at, value, detail), mend)
}

func (p *problems) required(at *field.Path, detail, mend string) {
	p.add(field.Required(at, detail), mend)
}

func (p *problems) internal(at *field.Path, detail, mend string) {
	p.add(field.InternalError(at, errors.New(detail)), mend)
}

// said reports whether a problem with this ending is listed for one of the paths, or
// for any path when none is given.
func (p *problems) said(ending string, paths ...string) bool {
	return slices.ContainsFunc(p.list, func(q Problem) bool {
		return strings.HasSuffix(q.Text, ending) && (len(paths) == 0 || slices.Contains(paths, q.Path))
	})
}
