package lint

import (
	"strings"
	"testing"
)

func TestQueriesOfPrometheusAreParsed(t *testing.T) {
	for sentence, c := range map[string]struct{ args, query, says string }{
		"a rate":                        {"", `sum(rate(http_requests_total{job="web",code!~"5.."}[5m])) / sum(rate(http_requests_total{job="web"}[5m]))`, ""},
		"a quantile":                    {"", `histogram_quantile(0.99, sum by (le) (rate(latency_bucket[1m])))`, ""},
		"a function of experiments":     {"", `sort_by_label(up, "job")`, ""},
		"an arg in a label":             {"- name: service", `up{job="{{args.service}}"}`, ""},
		"an arg as a metric":            {"- name: metric", `rate({{ args.metric }}[5m])`, ""},
		"an arg as a time":              {"- name: window", `rate(up[{{args.window}}])`, ""},
		"args of all sorts":             {"- name: a\n    - name: b\n    - name: c", `topk({{args.a}}, rate({{args.b}}[{{args.c}}]))`, ""},
		"more args than can be tried":   {"- name: a", `up{a="{{args.a}}",b="{{args.b}}",c="{{args.c}}",d="{{args.d}}",e="{{args.e}}",f="{{args.f}}"}`, ""},
		"a value of the template":       {"- name: window\n      value: 5m", `rate(up[{{args.window}}])`, ""},
		"a value that does not fit":     {"- name: window\n      value: soon", `rate(up[{{args.window}}])`, "metric rate: "},
		"a parenthesis too many":        {"", `sum(up))`, "metric rate: 1:9: parse error: unexpected right parenthesis ')'"},
		"a rate of what has no range":   {"", `rate(up)`, `metric rate: 1:6: parse error: expected type range vector in call to function "rate", got instant vector`},
		"an unknown function":           {"", `rat(up[5m])`, `unknown function with name "rat"`},
		"an arg does not make it right": {"- name: service", `sum(up{job="{{args.service}}"}`, "unclosed left parenthesis"},
		"a label without quotes":        {"", `up{job=web}`, "metric rate: "},
	} {
		t.Run(sentence, func(t *testing.T) {
			text := strings.Replace(goodTemplate, "{query: up}", "{query: '"+c.query+"'}", 1)
			if c.args != "" {
				text = strings.Replace(text, "spec:\n", "spec:\n  args:\n    "+c.args+"\n", 1)
			}
			all, err := Check([]Source{{"a.yaml", []byte(text)}})
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, f := range all {
				if f.Rule == "promql" {
					said = append(said, f.Message)
					if f.Path != "spec.metrics[0].provider.prometheus.query" {
						t.Errorf("it is about %s", f.Path)
					}
				}
			}
			if got := strings.Join(said, "\n"); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
				t.Errorf("it says %q, want %q", got, c.says)
			}
		})
	}
}

func FuzzQueries(f *testing.F) {
	for _, seed := range []string{`up`, `rate(x{{args.a}}[{{args.b}}])`, `{{args.}}`, `sum by (`, "\x00{{args.a}}{{"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		_ = parses(filled(query, nil))
	})
}
