package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// maxLine bounds a line of the log, in bytes.
const maxLine = 4 << 10

// lines passes what a plugin prints on to the controller's log, line by line.
type lines struct {
	log func(line string)

	mu   sync.Mutex
	rest []byte
}

// Write takes a part of the output.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 && len(l.rest) < maxLine {
			return len(b), nil
		}
		if i < 0 {
			i = maxLine - 1
		}
		line := strings.TrimSpace(strings.ToValidUTF8(string(l.rest[:i+1]), ""))
		l.rest = append(l.rest[:0], l.rest[i+1:]...)
		if line != "" && !strings.HasPrefix(line, `{"@level":"debug"`) { // go-plugin's own, in the program
			l.log(line)
		}
	}
}

// own is the log of go-plugin itself. What it makes of the plugin's lines, of which it leaves
// out most, is left out: they come as they are.
func own(name string, out io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: name, Level: hclog.Info, Output: out, DisableTime: true,
		SubloggerHook: func(hclog.Logger) hclog.Logger { return hclog.NewNullLogger() }})
}

// greeting is an error of the handshake, which explains itself at length, in one line.
func greeting(kind Kind, err error) error {
	text, _, guesses := strings.Cut(err.Error(), "This usually means")
	if guesses {
		text = fmt.Sprintf("%s: is it a %s for this system? What it printed is in the log of the controller", strings.TrimSpace(text), kind.Name)
	}
	return errors.New(cut(text, 300))
}

// cut makes one line of at most so many bytes.
func cut(text string, most int) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
