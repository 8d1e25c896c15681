package metric

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	cases := map[string]struct {
		text    string
		secrets []string
		want    string
	}{
		"a secret inside a sentence":                    {"token hunter22 refused", []string{"hunter22"}, "token ***** refused"},
		"every place":                                   {"hunter22,hunter22!", []string{"hunter22"}, "*****,*****!"},
		"a secret that contains another leaves no rest": {"x secret-long y", []string{"secret", "secret-long"}, "x ***** y"},
		"two that overlap leave no rest":                {"abcd-efgh-ijkl", []string{"abcd-efgh", "efgh-ijkl"}, "*****"},
		"one that overlaps itself leaves no rest":       {"aaaaaa", []string{"aaaa"}, "*****"},
		"an empty secret is none":                       {"plain", []string{""}, "plain"},
		"no secrets":                                    {"plain", nil, "plain"},
		"a short one only as a word":                    {"code 1 in 101 of 1.5", []string{"1"}, "code ***** in 101 of 1.5"},
		"escaped in a URL":                              {"get /q?t=a%2Fb%26c+d", []string{"a/b&c d"}, "get /q?t=*****"},
		"escaped in a path":                             {"get /a%2Fb&c%20d", []string{"a/b&c d"}, "get /*****"},
		"quoted in an error":                            {`no "pa\"ss\nword"`, []string{"pa\"ss\nword"}, `no "*****"`},
		"quoted in JSON":                                {`{"t":"a\u003cb\u0026c"}`, []string{"a<b&c"}, `{"t":"*****"}`},
		"a secret of stars ends":                        {"a **** b", []string{"****", "*"}, "a ***** b"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Redact(c.text, c.secrets); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("a token hunter22 here", "hunter22", "unter2")
	f.Add("abcabcabcabc", "abcabc", "cabca")
	f.Add("q=a%2Fbcd", "a/bcd", "")
	f.Fuzz(func(t *testing.T, text, a, b string) {
		out := Redact(text, []string{a, b})
		for _, s := range []string{a, b} {
			if len(s) < 4 || strings.Contains(s, "*") {
				continue // short ones stay inside words; stars are what we write
			}
			if strings.Contains(out, s) {
				t.Errorf("Redact(%q) = %q still holds %q", text, out, s)
			}
		}
		if a == "" && b == "" && out != text {
			t.Errorf("without secrets %q became %q", text, out)
		}
	})
}
