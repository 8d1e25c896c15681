package shell

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRunEndsAsTheShellWould(t *testing.T) {
	tests := map[string]struct {
		command []string
		want    Outcome
	}{
		"true succeeds at once":                      {[]string{"true"}, Outcome{Known: true}},
		"a path does not matter":                     {[]string{"/bin/false"}, Outcome{Code: 1, Known: true}},
		"sleep takes seconds":                        {[]string{"sleep", "3"}, Outcome{After: 3 * time.Second, Known: true}},
		"sleep adds fractions and units":             {[]string{"sleep", "0.5", "2m"}, Outcome{After: 120*time.Second + 500*time.Millisecond, Known: true}},
		"sleep infinity never ends":                  {[]string{"sleep", "infinity"}, Outcome{After: Forever, Known: true}},
		"sleep with a bad number fails":              {[]string{"sleep", "soon"}, Outcome{Code: 1, Known: true}},
		"sleep with a negative number fails":         {[]string{"sleep", "-1"}, Outcome{Code: 1, Known: true}},
		"exit gives its code":                        {[]string{"exit", "3"}, Outcome{Code: 3, Known: true}},
		"exit keeps eight bits":                      {[]string{"exit", "257"}, Outcome{Code: 1, Known: true}},
		"an unknown program is not found":            {[]string{"/server", "--port=1"}, Outcome{Code: 127}},
		"sh -c runs a chain":                         {sh("sleep 1; exit 1"), Outcome{After: time.Second, Code: 1, Known: true}},
		"commands after exit do not run":             {sh("exit 0; sleep 9; false"), Outcome{Known: true}},
		"and stops at a failure":                     {sh("sleep 1 && false && sleep 9"), Outcome{After: time.Second, Code: 1, Known: true}},
		"or runs after a failure":                    {sh("false || sleep 2"), Outcome{After: 2 * time.Second, Known: true}},
		"or does not run after success":              {sh("true || sleep 2; exit 4"), Outcome{Code: 4, Known: true}},
		"and and or go from left to right":           {sh("false && sleep 9 || exit 7"), Outcome{Code: 7, Known: true}},
		"the last command gives the code":            {sh("false; true"), Outcome{Known: true}},
		"-e stops at the first failure":              {[]string{"sh", "-ec", "false; sleep 9"}, Outcome{Code: 1, Known: true}},
		"-e spares a failure that is asked about":    {[]string{"sh", "-e", "-c", "false || true; sleep 1"}, Outcome{After: time.Second, Known: true}},
		"set -e works inside":                        {sh("set -e\nfalse\nsleep 9"), Outcome{Code: 1, Known: true}},
		"bash with pipefail is understood":           {[]string{"/bin/bash", "-euo", "pipefail", "-c", "sleep 1"}, Outcome{After: time.Second, Known: true}},
		"exit without a code repeats the last one":   {sh("false; exit"), Outcome{Code: 1, Known: true}},
		"a shell inside ends alone":                  {sh("sh -c 'exit 3'; sleep 1"), Outcome{After: time.Second, Known: true}},
		"double quotes nest":                         {sh(`sh -c "sleep 1 && exit 5"`), Outcome{After: time.Second, Code: 5, Known: true}},
		"echo prints nothing here":                   {sh("echo 'a; b' && exit 2"), Outcome{Code: 2, Known: true}},
		"comments are skipped":                       {sh("# wait\nsleep 1 # a bit\nexit 3"), Outcome{After: time.Second, Code: 3, Known: true}},
		"an unknown command in a chain is not found": {sh("curl example; exit 0"), Outcome{}},
		"an open quote is a syntax error":            {sh("echo 'a"), Outcome{Code: 2}},
		"a pipe is not understood":                   {sh("true | false"), Outcome{Code: 2}},
		"an operator needs a command before":         {sh("&& true"), Outcome{Code: 2}},
		"an operator needs a command behind":         {sh("true &&"), Outcome{Code: 2}},
		"background is not understood":               {sh("sleep 1 &"), Outcome{Code: 2}},
		"a loop is not understood":                   {sh("while true; do sleep 1; done"), Outcome{Code: 127}},
		"sh without a script reads end of file":      {[]string{"sh"}, Outcome{Known: true}},
		"sh with a file finds none":                  {[]string{"sh", "run.sh"}, Outcome{Code: 127}},
		"sh -c without a script is misuse":           {[]string{"sh", "-c"}, Outcome{Code: 2, Known: true}},
		"no command does nothing":                    {nil, Outcome{Known: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Run(test.command)); diff != "" {
				t.Errorf("Run(%q), -want +got:\n%s", test.command, diff)
			}
		})
	}
}

func sh(script string) []string { return []string{"/bin/sh", "-c", script} }

// FuzzRun checks what holds for every script: an outcome in range, the same one
// each time, and a successful prefix that only adds to what follows.
func FuzzRun(f *testing.F) {
	for _, s := range []string{"", "sleep 1; exit 1", "a && b || c", `sh -c "sh -c 'exit 3'"`, "sleep 1e300;sleep infinity", "\\", "'", "exit 99999999999999999999", "set -e;;", "sh -c\\\n 'x'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script string) {
		script = "\n" + script // else a script of -e is an option of sh
		got := Run(sh(script))
		if got.After < 0 || got.Code < 0 || got.Code > 255 {
			t.Fatalf("%q came to %+v", script, got)
		}
		if again := Run(sh(script)); again != got {
			t.Fatalf("%q came to %+v, then to %+v", script, got, again)
		}
		later := Run(sh("sleep 1\n" + script))
		want := got
		if want.After <= Forever-time.Second {
			want.After += time.Second
		} else {
			want.After = Forever
		}
		if _, ok := split(script); !ok {
			want.After = 0 // a script that cannot be read does not begin
		}
		if later != want {
			t.Fatalf("%q came to %+v, and behind sleep 1 to %+v", script, got, later)
		}
		if strings.Trim(script, " \t\r\n") == "" && got != (Outcome{Known: true}) {
			t.Fatalf("the empty script came to %+v", got)
		}
	})
}
