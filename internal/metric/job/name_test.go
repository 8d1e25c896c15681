package job

import (
	"strings"
	"testing"

	"github.com/penstock-io/penstock/internal/metric"
)

// Covers: analysis edge 106, analysis defect 16.
func TestNames(t *testing.T) {
	long := strings.Repeat("x", 24)
	for name, test := range map[string]struct {
		request metric.Request
		want    string
	}{
		"as published":                        {request(), uid + ".smoke.1"},
		"with dots and dashes":                {request(named("smoke-1.b")), uid + ".smoke-1.b.1"},
		"just short enough":                   {request(named(long)), uid + "." + long + ".1"},
		"too long for the second digit":       {request(named(long), number(10)), uid + ".xxxxxxxxxxxxxx-a649dbb0.10"},
		"cut behind a dash":                   {request(named("checkout-smoke1-and-load-test")), uid + ".checkout-smoke1-74980a9e.1"},
		"cut with no dash at the end":         {request(named("checkout-smoke-of-the-whole-shop")), uid + ".checkout-smoke-943ca2ae.1"},
		"with what no name may hold":          {request(named("Smoke_Test of é")), uid + ".smoke-test-of-60a02edb.1"},
		"with a dash where none may be":       {request(named("-smoke-")), uid + ".smoke-cafa65a0.1"},
		"with nothing that a name could hold": {request(named("%%")), uid + ".3a6e1a1b.1"},
		"without a name":                      {request(named("")), uid + ".e3b0c442.1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := nameOf(test.request); got != test.want || len(got) > 63 {
				t.Errorf("got %s with %d characters, want %s", got, len(got), test.want)
			}
		})
	}
}

// Covers: analysis edge 106.
func TestLongNamesThatBeginAlikeGetJobsOfTheirOwn(t *testing.T) {
	c := cluster()
	for _, m := range []string{"checkout-latency-of-canary-pods", "checkout-latency-of-canary-nodes", "Smoke", "smoke", "smoke_"} {
		measure(t, Options{Client: c}, request(named(m)))
	}
	if got := jobs(t, c); len(got) != 5 {
		t.Errorf("five metrics share these: %v", got)
	}
}
