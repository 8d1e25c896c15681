package shell

import (
	"math"
	"path"
	"strconv"
	"strings"
	"time"
)

// Forever is a run that ends only when it is told to.
const Forever = time.Duration(math.MaxInt64)

// codeUnknown is what a shell answers for a command that it cannot find.
const codeUnknown = 127

// maxShells bounds sh -c inside sh -c.
const maxShells = 8

// Outcome is what running a command comes to: it takes After, then exits with Code. With
// an After of Forever the code means nothing.
type Outcome struct {
	After time.Duration
	Code  int32
	// Known is false when the command itself, or a part of the chain that was
	// reached, is not one that this package understands.
	Known bool
}

// Run works out a container's command with its arguments. It is total: what it
// does not understand exits with code 127, a broken script with 2, as in a shell.
func Run(words []string) Outcome {
	s := shell{}
	s.exec(words, 0)
	return Outcome{After: s.after, Code: s.code, Known: !s.lost}
}

// shell is the state of one script while it is worked out.
type shell struct {
	after  time.Duration
	code   int32
	exited bool // an exit was reached, or a run that never ends
	lost   bool // an unknown command was reached
	strict bool // set -e
}

// exec runs one simple command.
func (s *shell) exec(words []string, depth int) {
	if len(words) == 0 {
		return
	}
	last := s.code
	s.code = 0
	switch path.Base(words[0]) {
	case "true", ":", "echo", "printf":
	case "false":
		s.code = 1
	case "sleep":
		s.sleep(words[1:])
	case "exit":
		s.code = last
		s.exit(words[1:])
	case "set":
		s.strict = s.strict || len(words) > 1 && flag(words[1], 'e')
	case "sh", "bash", "ash", "dash":
		s.shell(words[1:], depth)
	default:
		s.code, s.lost = codeUnknown, true
	}
}

func (s *shell) sleep(args []string) {
	if len(args) == 0 {
		s.code = 1
		return
	}
	for _, a := range args {
		d, ok := sleepTime(a)
		if !ok {
			s.code = 1
			return
		}
		if d > Forever-s.after {
			d = Forever - s.after
		}
		s.after += d
	}
	s.exited = s.exited || s.after == Forever
}

func (s *shell) exit(args []string) {
	s.exited = true
	if len(args) == 0 {
		return
	}
	n, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		s.code = 2
		return
	}
	s.code = int32(n & 0xff) // #nosec G115 -- eight bits fit
}

// shell runs sh with its arguments in a child: exit and set -e stay inside.
func (s *shell) shell(args []string, depth int) {
	child := shell{after: s.after}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		option := args[0]
		args = args[1:]
		child.strict = child.strict || flag(option, 'e')
		if flag(option, 'o') && len(args) > 0 { // -o pipefail
			args = args[1:]
		}
		if !flag(option, 'c') {
			continue
		}
		// Further options may stand between -c and the script, as in -c -e.
		for len(args) > 0 && flag(args[0], 'e') {
			child.strict, args = true, args[1:]
		}
		if len(args) == 0 || depth >= maxShells {
			child.code = 2
		} else {
			child.script(args[0], depth+1)
		}
		s.adopt(child)
		return
	}
	if len(args) > 0 { // a script file: there are no files here
		s.code, s.lost = codeUnknown, true
	}
	// A shell without a script reads end of file and is done.
}

func (s *shell) adopt(child shell) {
	s.after, s.code = child.after, child.code
	s.lost = s.lost || child.lost
	s.exited = s.exited || s.after == Forever
}

// script runs a chain of commands joined by ; && || and newlines.
func (s *shell) script(text string, depth int) {
	commands, ok := split(text)
	if !ok {
		s.code, s.lost = 2, true
		return
	}
	skip := false
	for _, c := range commands {
		if !skip {
			s.exec(c.words, depth)
			if s.exited {
				return
			}
			if s.code != 0 && s.strict && c.then == "" {
				return
			}
		}
		skip = c.then == "&&" && s.code != 0 || c.then == "||" && s.code == 0
	}
}

// flag reports whether the bundle of short options holds the letter.
func flag(option string, letter byte) (found bool) {
	return len(option) > 1 && option[0] == '-' && option[1] != '-' && strings.IndexByte(option[1:], letter) >= 0
}

// sleepTime reads an argument of sleep: a number with an optional unit, or infinity.
func sleepTime(arg string) (d time.Duration, ok bool) {
	if arg == "infinity" || arg == "inf" {
		return Forever, true
	}
	unit := time.Second
	if n := len(arg) - 1; n > 0 {
		switch arg[n] {
		case 's':
			arg = arg[:n]
		case 'm':
			unit, arg = time.Minute, arg[:n]
		case 'h':
			unit, arg = time.Hour, arg[:n]
		case 'd':
			unit, arg = 24*time.Hour, arg[:n]
		}
	}
	n, err := strconv.ParseFloat(arg, 64)
	if err != nil || n < 0 || math.IsNaN(n) {
		return 0, false
	}
	if n*float64(unit) >= float64(Forever) {
		return Forever, true
	}
	return time.Duration(n * float64(unit)), true
}
