package event

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
)

const (
	// maxJoined is how many bytes the messages of a joined event have at most: what
	// events.k8s.io allows for a note.
	maxJoined = 1024
	between   = "; "
	// tail is room for "; and 2147483647 more".
	tail = 21
)

// entry becomes one Event object. It stands for one thing that was told, or for several
// with the same type and reason.
type entry struct {
	about       corev1.ObjectReference
	kind        string // Normal or Warning
	reason      string
	annotations map[string]string

	messages []string // distinct ones, in the order in which they came
	more     int      // how many more there were, for which was no room
	count    int
	first    time.Time
	last     time.Time
}

// takes reports whether another entry about the same object may become part of this one.
func (e *entry) takes(o *entry) bool {
	return e.kind == o.kind && e.reason == o.reason && maps.Equal(e.annotations, o.annotations)
}

// join makes a later entry part of this one.
func (e *entry) join(o *entry) {
	for _, m := range o.messages {
		switch {
		case slices.Contains(e.messages, m):
		case e.size()+len(between)+len(m) > maxJoined-tail:
			e.more++
		default:
			e.messages = append(e.messages, m)
		}
	}
	e.more += o.more
	e.count += o.count
	e.last = o.last
}

func (e *entry) size() (bytes int) {
	for i, m := range e.messages {
		bytes += len(m)
		if i > 0 {
			bytes += len(between)
		}
	}
	return bytes
}

// message is what the Event object says: to the letter what was told, if that was one
// thing only, however long it is.
func (e *entry) message() string {
	text := strings.Join(e.messages, between)
	if e.more == 0 {
		return text
	}
	return cut(text, maxJoined-tail) + fmt.Sprintf("%sand %d more", between, e.more)
}

// cut shortens a text to a number of bytes, and never within a character.
func cut(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	const dots = "…"
	end := bytes - len(dots)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + dots
}

// add makes an entry the last of a list, or part of one that is in it already, and
// reports whether the list has grown.
func add(list []*entry, e *entry) (all []*entry, grown bool) {
	for _, there := range list {
		if there.takes(e) {
			there.join(e)
			return list, false
		}
	}
	return append(list, e), true
}
