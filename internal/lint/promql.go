package lint

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// promqlRule is about the queries of Prometheus metrics.
var promqlRule = Rule{ID: "promql", Severity: Error, Title: "A query of Prometheus is PromQL",
	Why:    "Prometheus refuses a query that it cannot parse: every measurement is an error, and the release is taken back.",
	Repair: "correct the query; if it is for another store with a language of its own, silence this rule and name the store", Check: checkPromQL}

// promql accepts what any Prometheus may have been told to accept.
var promql = parser.NewParser(parser.Options{EnableExperimentalFunctions: true, EnableBinopFillModifiers: true})

// An arg without a value stands for a name or a text, a number, or a time, as far as a
// query tells; manyArgs is up to how many of them all mixtures are tried.
var standIns = []string{"x", "1", "5m"}

const manyArgs = 5

var argTag = regexp.MustCompile(`\{\{\s*args\.[^}]*\}\}`)

func checkPromQL(_ *set, o *object, add report) {
	metrics, args, malformed, ok := metricsOf(o)
	if !ok || len(malformed) > 0 {
		return
	}
	for i := range metrics {
		p := metrics[i].Provider.Prometheus
		if p == nil || strings.TrimSpace(p.Query) == "" {
			continue // the metric's own rule says so
		}
		if err := parses(filled(p.Query, args)); err != nil {
			add(fmt.Sprintf("spec.metrics[%d].provider.prometheus.query", i), fmt.Sprintf("metric %s: %s", metrics[i].Name, err), "")
		}
	}
}

// filled puts in the values that the template itself gives.
func filled(query string, args []v1alpha1.Argument) string {
	return argTag.ReplaceAllStringFunc(query, func(tag string) string {
		name := strings.TrimPrefix(strings.TrimSpace(strings.Trim(tag, "{}")), "args.")
		for _, a := range args {
			if a.Name == name && a.Value != nil {
				return *a.Value
			}
		}
		return tag
	})
}

// parses says what is wrong with a query. An arg that has a value only later may be anything
// that makes it right.
func parses(query string) error {
	tags := argTag.FindAllString(query, -1)
	slices.Sort(tags)
	tags = slices.Compact(tags)
	var first error
	try := func(values []string) bool {
		text := query
		for i, tag := range tags {
			text = strings.ReplaceAll(text, tag, values[i])
		}
		_, err := promql.ParseExpr(text)
		if first == nil {
			first = plain(err)
		}
		return err == nil
	}
	if len(tags) > manyArgs {
		for _, v := range standIns {
			if try(slices.Repeat([]string{v}, len(tags))) {
				return nil
			}
		}
		return first
	}
	if mixtures(len(tags), nil, try) {
		return nil
	}
	return first
}

// mixtures tries all values for n more args, until one will do.
func mixtures(n int, values []string, try func([]string) bool) bool {
	if n == 0 {
		return try(values)
	}
	return slices.ContainsFunc(standIns, func(v string) bool { return mixtures(n-1, append(slices.Clone(values), v), try) })
}

// plain is the first fault that the parser found, without the rest.
func plain(err error) error {
	var all parser.ParseErrors
	if errors.As(err, &all) && len(all) > 0 {
		return &all[0]
	}
	return err
}
