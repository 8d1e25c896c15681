package event

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMessageOfJoinedEvents(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for name, c := range map[string]struct {
		told []string
		want string
	}{
		"one is said to the letter":                       {[]string{"scaled up"}, "scaled up"},
		"one is said to the letter, however long":         {[]string{long}, long},
		"one that comes again is said once":               {[]string{"a", "a"}, "a"},
		"several are said in a row":                       {[]string{"a", "b", "c"}, "a; b; c"},
		"what has no room is counted":                     {[]string{strings.Repeat("a", 500), strings.Repeat("b", 500), "c", "d"}, strings.Repeat("a", 500) + "; " + strings.Repeat("b", 500) + "; and 2 more"},
		"a short one still fits behind one that does not": {[]string{strings.Repeat("a", 600), strings.Repeat("b", 600), "c"}, strings.Repeat("a", 600) + "; c; and 1 more"},
		"a very long one is cut when others follow":       {[]string{long, "b"}, long[:maxJoined-tail-3] + "…; and 1 more"},
		"and never within a character":                    {[]string{"a" + strings.Repeat("é", 1000), "b"}, "a" + strings.Repeat("é", 499) + "…; and 1 more"},
	} {
		t.Run(name, func(t *testing.T) {
			var list []*entry
			for _, m := range c.told {
				list, _ = add(list, &entry{messages: []string{m}, count: 1})
			}
			got := list[0].message()
			if len(list) != 1 || got != c.want {
				t.Errorf("it says %q", got)
			}
			if len(c.told) > 1 && len(got) > maxJoined || !utf8.ValidString(got) {
				t.Errorf("it has %d bytes", len(got))
			}
		})
	}
}
