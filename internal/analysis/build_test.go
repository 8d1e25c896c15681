package analysis

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const rolloutJSON = `{
 "metadata":{"name":"web","namespace":"shop","uid":"u1","labels":{"app":"web","app.kubernetes.io/name":"web2"},"annotations":{"a":"b"}},
 "spec":{"replicas":5,"revisionHistoryLimit":1000000,"selector":{"matchLabels":{"app":"web"}},"foo":[1,2],
  "template":{"metadata":{"labels":{"version":"v2"}},"spec":{"containers":[{"name":"c","image":"shop/web:2"}]}}},
 "status":{"pauseConditions":[{"reason":"CanaryPauseStep"}],"abort":false}}`

func aRollout(t testing.TB) Tree {
	t.Helper()
	var r map[string]any
	if err := json.Unmarshal([]byte(rolloutJSON), &r); err != nil {
		t.Fatal(err)
	}
	return func() map[string]any { return r }
}

type templates map[string]v1alpha1.AnalysisTemplateSpec

func refs(names ...string) (out []v1alpha1.AnalysisTemplateRef) {
	for _, n := range names {
		name, cluster := strings.CutPrefix(n, "cluster/")
		out = append(out, v1alpha1.AnalysisTemplateRef{TemplateName: name, ClusterScope: cluster})
	}
	return out
}

func with(metrics []string, args []v1alpha1.Argument, nested ...string) v1alpha1.AnalysisTemplateSpec {
	s := v1alpha1.AnalysisTemplateSpec{Args: args, Templates: refs(nested...)}
	for _, m := range metrics {
		s.Metrics = append(s.Metrics, aMetric(m))
	}
	return s
}

func declared(name string, value *string) []v1alpha1.Argument {
	return []v1alpha1.Argument{{Name: name, Value: value}}
}

func TestFlatten(t *testing.T) {
	dry := v1alpha1.AnalysisTemplateSpec{DryRun: []v1alpha1.DryRun{{MetricName: "m"}}, MeasurementRetention: []v1alpha1.MeasurementRetention{{MetricName: "k", Limit: 1}}}
	keep := v1alpha1.AnalysisTemplateSpec{MeasurementRetention: []v1alpha1.MeasurementRetention{{MetricName: "k", Limit: 2}}}
	ns := templates{
		"a": with([]string{"ma"}, nil), "b": with([]string{"mb"}, nil), "a2": with([]string{"ma"}, nil),
		"nest": with(nil, nil, "a", "b"), "twice": with([]string{"mt"}, nil, "nest", "a"),
		"self": with(nil, nil, "self"), "ping": with(nil, nil, "pong"), "pong": with(nil, nil, "ping"), "lost": with(nil, nil, "nowhere"),
		"xa": with(nil, declared("x", ptr("a"))), "xb": with(nil, declared("x", ptr("b"))), "xnil": with(nil, declared("x", nil)),
		"dry": dry, "dry2": {DryRun: dry.DryRun}, "keep": keep, "loops": with(nil, nil, "cluster/up"),
		"torn": {Malformed: []v1alpha1.Malformed{{Path: "spec.args", Value: `"x"`, Why: "must be a list"}}},
	}
	cluster := templates{"c": with([]string{"mc"}, nil), "up": with(nil, nil, "loops")}
	cases := map[string]struct {
		refs []string
		want string // names of metrics and args, or the error
	}{
		"one":                                  {[]string{"a"}, "ma"},
		"only nested templates":                {[]string{"nest"}, "ma mb"},                                                                         // Covers: analysis edge 8.
		"direct and nested counts once":        {[]string{"a", "twice"}, "ma mt mb"},                                                                // Covers: analysis edge 9.
		"those of the namespace come first":    {[]string{"cluster/c", "a"}, "ma mc"},                                                               // Covers: analysis edge 11.
		"equal metric names":                   {[]string{"a", "a2"}, "two metrics have the same name 'ma'"},                                        // Covers: analysis edge 6.
		"two defaults for one arg":             {[]string{"xa", "xb"}, "Argument `x` specified multiple times with different values: 'a', 'b'"},     // Covers: analysis edge 4.
		"no default and a default":             {[]string{"xnil", "xb"}, "x=b"},                                                                     // Covers: analysis edge 5.
		"a default and no default":             {[]string{"xb", "xnil"}, "x=b"},                                                                     // Covers: analysis edge 5.
		"equal defaults":                       {[]string{"xb", "xb"}, "x=b"},                                                                       // Covers: analysis edge 5.
		"equal dryRun rules":                   {[]string{"dry", "dry2"}, "two Dry-Run metric rules have the same name 'm'"},                        // Covers: analysis edge 7.
		"equal retention rules":                {[]string{"dry", "keep"}, "two Measurement Retention metric rules have the same name 'k'"},          // Covers: analysis edge 7.
		"a template that names itself":         {[]string{"self"}, "analysis templates refer to each other in a circle: self -> self"},              // Covers: analysis edge 10.
		"two that name each other":             {[]string{"a", "ping"}, "analysis templates refer to each other in a circle: ping -> pong -> ping"}, // Covers: analysis edge 10, analysis defect 13.
		"a circle across scopes":               {[]string{"loops"}, "analysis templates refer to each other in a circle: loops -> up -> loops"},     // Covers: analysis edge 10.
		"one that could not be read":           {[]string{"a", "torn"}, `AnalysisTemplate torn: spec.args: Invalid value: "x": must be a list`},
		"one that is not there":                {[]string{"zzz"}, "AnalysisTemplate 'zzz' not found"},
		"one of the cluster that is not there": {[]string{"cluster/a"}, "ClusterAnalysisTemplate 'a' not found"},
		"a nested one that is not there":       {[]string{"lost"}, "AnalysisTemplate 'nowhere' not found"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Flatten(refs(c.refs...), Templates{Namespaced: ns, Cluster: cluster})
			var words []string
			for _, m := range got.Metrics {
				words = append(words, m.Name)
			}
			for _, a := range got.Args {
				words = append(words, a.Name+"="+*a.Value)
			}
			text := strings.Join(words, " ")
			if err != nil {
				text = err.Error()
			}
			if text != c.want {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}

func TestArgs(t *testing.T) {
	field := func(path string) v1alpha1.AnalysisRunArgument {
		return v1alpha1.AnalysisRunArgument{Name: "x", ValueFrom: &v1alpha1.ArgumentValueFrom{FieldRef: &v1alpha1.FieldRef{FieldPath: path}}}
	}
	hash := func(h v1alpha1.ValueFromPodTemplateHash) v1alpha1.AnalysisRunArgument {
		return v1alpha1.AnalysisRunArgument{Name: "x", ValueFrom: &v1alpha1.ArgumentValueFrom{PodTemplateHashValue: &h}}
	}
	value := func(v string) v1alpha1.AnalysisRunArgument { return v1alpha1.AnalysisRunArgument{Name: "x", Value: v} }
	none := v1alpha1.AnalysisRunArgument{Name: "other", Value: "1"}
	bare := v1alpha1.Argument{Name: "x"}
	def := v1alpha1.Argument{Name: "x", Value: ptr("default")}
	secret := v1alpha1.Argument{Name: "x", ValueFrom: &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}}
	tplField := v1alpha1.Argument{Name: "x", ValueFrom: &v1alpha1.ValueFrom{FieldRef: &v1alpha1.FieldRef{FieldPath: "metadata.name"}}}
	noMeta := "Analyses arguments must refer to valid object metadata supported by downwardAPI"
	cases := map[string]struct {
		declared v1alpha1.Argument
		given    v1alpha1.AnalysisRunArgument
		want     string
	}{
		"a value":                                 {bare, value("1"), "1"},                 // Covers: analysis edge 1.
		"an arg that no template knows":           {def, none, "default"},                  // Covers: analysis edge 2.
		"no value anywhere":                       {bare, none, "args.x was not resolved"}, // Covers: analysis edge 3.
		"a value replaces the default":            {def, value("1"), "1"},
		"the newest hash":                         {bare, hash(v1alpha1.Latest), "new"},                                                                                        // Covers: analysis edge 12.
		"the stable hash":                         {bare, hash(v1alpha1.Stable), "old"},                                                                                        // Covers: analysis edge 12.
		"a label":                                 {bare, field("metadata.labels['app']"), "web"},                                                                              // Covers: analysis edge 13.
		"a label with dots":                       {bare, field("metadata.labels['app.kubernetes.io/name']"), "web2"},                                                          // Covers: analysis edge 13.
		"an annotation":                           {bare, field(`metadata.annotations["a"]`), "b"},                                                                             // Covers: analysis edge 13.
		"all labels":                              {bare, field("metadata.labels"), "app=\"web\"\napp.kubernetes.io/name=\"web2\""},                                            // Covers: analysis edge 13.
		"the name":                                {bare, field("metadata.name"), "web"},                                                                                       // Covers: analysis edge 13.
		"into a list":                             {bare, field("status.pauseConditions[0].reason"), "CanaryPauseStep"},                                                        // Covers: analysis edge 13.
		"an object is no value":                   {bare, field("status.pauseConditions[0]"), "path status.pauseConditions[0] in rollout must terminate in a primitive value"}, // Covers: analysis edge 13.
		"a label of the template":                 {bare, field("spec.template.metadata.labels.version"), "v2"},                                                                // Covers: analysis edge 13.
		"dots into the labels":                    {bare, field("metadata.labels.app"), noMeta},                                                                                // Covers: analysis edge 13.
		"a large number keeps its digits":         {bare, field("spec.revisionHistoryLimit"), "1000000"},
		"beyond the end":                          {bare, field("spec.foo[9]"), "index 9 out of range"},                        // Covers: analysis edge 14.
		"no index":                                {bare, field("spec.foo[x]"), "invalid index 'x'"},                           // Covers: analysis edge 14.
		"a negative index":                        {bare, field("spec.foo[-1]"), "invalid index '-1'"},                         // Covers: analysis edge 14.
		"an unknown path":                         {bare, field("spec.nope.x"), "invalid path spec.nope.x in rollout"},         // Covers: analysis edge 14.
		"below a value":                           {bare, field("spec.replicas.x"), "invalid path spec.replicas.x in rollout"}, // Covers: analysis edge 14.
		"other metadata":                          {bare, field("metadata.foo"), noMeta},                                       // Covers: analysis edge 15.
		"a value replaces a secret":               {secret, value("1"), "1"},                                                   // Covers: analysis edge 23.
		"a secret stays a secret":                 {secret, none, "secret s/k"},
		"a field in the template":                 {tplField, none, "web"},                                   // Covers: analysis edge 24.
		"no value keeps the default":              {def, v1alpha1.AnalysisRunArgument{Name: "x"}, "default"}, // Covers: analysis edge 25.
		"no value and no default":                 {bare, v1alpha1.AnalysisRunArgument{Name: "x"}, ""},       // Covers: analysis edge 25.
		"a Go template":                           {bare, value("{{ .Rollout.Spec.Template.Spec.Containers.0.Image }}"), "shop/web:2"},
		"a Go template without spaces, in a text": {bare, value("v={{.Rollout.Spec.Replicas}}!"), "v=5!"},
		"a Go template with brackets":             {bare, value("{{ .Rollout.spec.template.spec.containers[0].image }}"), "shop/web:2"},
		"a Go template through the Go type":       {bare, value("{{ .Rollout.Name }}/{{ .Rollout.ObjectMeta.Namespace }}"), "web/shop"},
		"a Go template to a label with dots":      {bare, value("{{ .Rollout.Metadata.Labels.app.kubernetes.io/name }}"), "web2"},
		"other braces stay":                       {bare, value("{{ other }} {{"), "{{ other }} {{"},
		"a Go template in a default":              {v1alpha1.Argument{Name: "x", Value: ptr("{{ .Rollout.Metadata.Name }}")}, none, "web"},
		"a Go template with a wrong name":         {bare, value("{{ .Rollout.Spec.Templat.Spec }}"), `argument "x": {{ .Rollout.Spec.Templat.Spec }}: there is no "Templat" in .Rollout.Spec, which has foo, replicas, revisionHistoryLimit, selector, template`},
		"a Go template with a wrong index":        {bare, value("{{ .Rollout.Spec.Foo.7 }}"), `argument "x": {{ .Rollout.Spec.Foo.7 }}: there is no element "7" in .Rollout.Spec.Foo, which has 2 elements, counted from 0`},
		"a Go template to an object":              {bare, value("{{ .Rollout.Spec.Selector }}"), `argument "x": {{ .Rollout.Spec.Selector }}: .Rollout.Spec.Selector is not a single value: it has matchLabels`},
		"a Go template below a value":             {bare, value("{{ .Rollout.Spec.Replicas.x }}"), `argument "x": {{ .Rollout.Spec.Replicas.x }}: there is no "x" in .Rollout.Spec.Replicas, which is a single value`},
		"a Go template to everything":             {bare, value("{{ .Rollout }}"), `argument "x": {{ .Rollout }}: .Rollout is not a single value: it has metadata, spec, status`},
		"a Go template that computes":             {bare, value("{{ len .Rollout.Spec.Foo }}"), `argument "x": {{ len .Rollout.Spec.Foo }}: only a path is allowed, such as {{ .Rollout.Metadata.Name }}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := BuildInput{
				Rollout: aRollout(t), Latest: "new", Stable: "old", Type: "Step",
				Analysis:  v1alpha1.RolloutAnalysis{Templates: refs("t"), Args: []v1alpha1.AnalysisRunArgument{c.given}},
				Templates: Templates{Namespaced: templates{"t": with([]string{"m"}, []v1alpha1.Argument{c.declared})}},
			}
			before := dump(t, in.Templates)
			run, err := Build(in)
			var got string
			switch {
			case err != nil:
				got = err.Error()
			case run.Spec.Args[0].ValueFrom != nil:
				ref := run.Spec.Args[0].ValueFrom.SecretKeyRef
				got = "secret " + ref.Name + "/" + ref.Key
			default:
				got = *run.Spec.Args[0].Value
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if dump(t, in.Templates) != before {
				t.Error("the templates were changed")
			}
		})
	}
}

// Covers: analysis edge 135.
func TestBuildMetadata(t *testing.T) {
	in := BuildInput{
		Rollout: aRollout(t), Latest: "new", Type: "Step", Step: 2, Revision: 7, InstanceID: "i",
		Analysis: v1alpha1.RolloutAnalysis{
			Templates: refs("t"), DryRun: []v1alpha1.DryRun{{MetricName: "first"}},
			AnalysisRunMetadata: v1alpha1.AnalysisRunMetadata{Labels: map[string]string{"app": "mine", "l": "1"}, Annotations: map[string]string{"n": "2"}},
		},
		Templates: Templates{Namespaced: templates{"t": {Metrics: []v1alpha1.Metric{aMetric("m")}, DryRun: []v1alpha1.DryRun{{MetricName: "second"}}}}},
	}
	run, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{
		"rollouts-pod-template-hash": "new", "rollout-type": "Step", "step-index": "2", "argo-rollouts.argoproj.io/controller-instance-id": "i", "l": "1", "app": "web",
	}
	if d := cmp.Diff(labels, run.Labels); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{"rollout.argoproj.io/revision": "7", "n": "2"}, run.Annotations); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]v1alpha1.DryRun{{MetricName: "first"}, {MetricName: "second"}}, run.Spec.DryRun); d != "" {
		t.Error(d)
	}
}

func TestCheck(t *testing.T) {
	endless := v1alpha1.AnalysisTemplateSpec{Metrics: []v1alpha1.Metric{aMetric("m", every("1m"))}}
	byArg := v1alpha1.AnalysisTemplateSpec{Metrics: []v1alpha1.Metric{aMetric("m", every("1m"), func(m *v1alpha1.Metric) { m.Count = ptr(intstr.FromString("{{args.n}}")) })}}
	from := &v1alpha1.ArgumentValueFrom{FieldRef: &v1alpha1.FieldRef{FieldPath: "status.later"}}
	cases := map[string]struct {
		kind     string
		template v1alpha1.AnalysisTemplateSpec
		args     []v1alpha1.AnalysisRunArgument
		want     string
	}{
		"a metric that ends":                  {"Step", with([]string{"m"}, nil), nil, ""},
		"an endless metric in a step":         {"Step", endless, nil, "AnalysisTemplate t has metric m which runs indefinitely. Invalid value for count: <nil>"},
		"an endless metric in the background": {"Background", endless, nil, ""},
		"a count from an arg":                 {"Step", byArg, nil, ""},
		"both value and valueFrom":            {"Step", with(nil, nil), []v1alpha1.AnalysisRunArgument{{Name: "x", Value: "1", ValueFrom: from}}, "arg 'x' has both Value and ValueFrom fields"}, // Covers: analysis edge 16.
		"an arg without a value":              {"Step", with(nil, declared("x", nil)), nil, "args.x was not resolved"},                                                                           // Covers: analysis edge 3.
		"a field that does not exist yet":     {"Step", with(nil, declared("x", nil)), []v1alpha1.AnalysisRunArgument{{Name: "x", ValueFrom: from}}, ""},
		"metadata that never exists":          {"Step", with(nil, declared("x", nil)), []v1alpha1.AnalysisRunArgument{{Name: "x", ValueFrom: &v1alpha1.ArgumentValueFrom{FieldRef: &v1alpha1.FieldRef{FieldPath: "metadata.foo"}}}}, errNotMetadata.Error()}, // Covers: analysis edge 15.
		"a Go template with a wrong path":     {"Step", with(nil, declared("x", nil)), []v1alpha1.AnalysisRunArgument{{Name: "x", Value: "{{ .Rollout.Nope }}"}}, `argument "x": {{ .Rollout.Nope }}: there is no "Nope" in .Rollout, which has annotations, labels, name, namespace, uid`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := Check(BuildInput{Rollout: aRollout(t), Type: c.kind, Analysis: v1alpha1.RolloutAnalysis{Templates: refs("t"), Args: c.args},
				Templates: Templates{Namespaced: templates{"t": c.template}}})
			if got := errText(err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzExpand(f *testing.F) {
	f.Add("{{ .Rollout.Spec.Foo.0 }}")
	f.Add("{{ .Rollout..[[ }} {{.Rollout[0]}}")
	f.Add("{{- .Rollout.Name -}}")
	rollout := aRollout(f)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := expand("x", text, rollout)
		if err == nil && !strings.Contains(text, ".Rollout") && got != text {
			t.Errorf("%q became %q", text, got)
		}
		if _, err := fieldRef(rollout(), text); err == nil && text == "" {
			t.Error("the whole Rollout is a value")
		}
	})
}
