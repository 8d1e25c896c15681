package gatewayapi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPathsThatBothMatch(t *testing.T) {
	none := map[string]any(nil)
	p := func(kind, value string) map[string]any { return map[string]any{"type": kind, "value": value} }
	for sentence, c := range map[string]struct {
		rule, asked, want map[string]any
		problem           bool
	}{
		"a rule for everything":                        {none, p(exact, "/a"), p(exact, "/a"), false},
		"a rule for everything, in words":              {p(prefix, "/"), p(regex, "/a.*"), p(regex, "/a.*"), false},
		"everything of a rule":                         {p(regex, "/a.*"), p(prefix, "/"), p(regex, "/a.*"), false},
		"the longer prefix":                            {p(prefix, "/a"), p(prefix, "/a/b"), p(prefix, "/a/b"), false},
		"the longer prefix, the other way":             {p(prefix, "/a/b"), p(prefix, "/a/"), p(prefix, "/a/b"), false},
		"a prefix of letters is no prefix of elements": {p(prefix, "/a"), p(prefix, "/ab"), none, false},
		"prefixes apart":                               {p(prefix, "/a"), p(prefix, "/b"), none, false},
		"a path below the rule's prefix":               {p(prefix, "/a"), p(exact, "/a/b"), p(exact, "/a/b"), false},
		"the rule's path below the prefix":             {p(exact, "/a"), p(prefix, "/a"), p(exact, "/a"), false},
		"the rule's path beside the prefix":            {p(exact, "/a"), p(prefix, "/a/b"), none, false},
		"one path":                                     {p(exact, "/a"), p(exact, "/a"), p(exact, "/a"), false},
		"two paths":                                    {p(exact, "/a"), p(exact, "/b"), none, false},
		"one regular expression":                       {p(regex, "/a.*"), p(regex, "/a.*"), p(regex, "/a.*"), false},
		"two regular expressions":                      {p(regex, "/a.*"), p(regex, "/b.*"), none, true},
		"a regular expression and a path":              {p(regex, "/a.*"), p(exact, "/a"), none, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, ok, problem := bothPaths(c.rule, c.asked)
			if d := cmp.Diff(c.want, got); d != "" || ok != (c.want != nil) || (problem != "") != c.problem {
				t.Errorf("ok %v, problem %q: %s", ok, problem, d)
			}
		})
	}
}
