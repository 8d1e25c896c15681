package rollout

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The most that the InvalidSpec condition says. A user may write hundreds of steps, and
// every value of a text may be as long as the object.
const (
	maxProblems    = 20
	maxProblemText = 1000
	maxMessage     = 4000
)

// InvalidMessage is the message of the InvalidSpec condition: the published text of the
// first problem, then its mend, then the further problems in the same form (core.md
// §1.7.4). It is empty for no problems.
//
//	The Rollout "web" is invalid: <text> (<field>: <mend>); <text> (<mend>); and 3 more
func InvalidMessage(name string, all []Problem) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "The Rollout %q is invalid: %s", name, all[0])
	said := 1
	for _, q := range all[1:] {
		text := q.String()
		if said == maxProblems || b.Len()+len(text) > maxMessage {
			break
		}
		said++
		b.WriteString("; " + text)
	}
	if more := len(all) - said; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return b.String()
}

// String is the published text with the mend in brackets, and where to apply it if the
// published path leads elsewhere.
func (p Problem) String() string {
	where, mend := middle(p.Where, maxProblemText/4), p.Mend
	if p.Where == p.Path {
		where = ""
	}
	if where != "" && mend != "" {
		where += ": "
	}
	text := middle(p.Text, maxProblemText)
	if where+mend != "" {
		text += " (" + where + mend + ")"
	}
	return text
}

// middle shortens a long text by its middle: the path stands in front, what is wrong at
// the end.
func middle(text string, most int) string {
	if len(text) <= most {
		return text
	}
	head, tail := most/2, len(text)-most/2
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	for tail < len(text) && !utf8.RuneStart(text[tail]) {
		tail++
	}
	return text[:head] + "…" + text[tail:]
}
