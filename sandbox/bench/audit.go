package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// request is one line of the audit log, as far as it matters here.
type request struct {
	Stage     string    `json:"stage"`
	Verb      string    `json:"verb"`
	UserAgent string    `json:"userAgent"`
	Received  time.Time `json:"requestReceivedTimestamp"`
	Object    *struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	Response struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// counts reports whether a line stands for one request about objects. A watch is told at
// both ends and counts when it starts; Leases are the price of standing by, not of work.
func (r *request) counts() bool {
	if r.Object == nil || r.Object.Resource == "leases" {
		return false
	}
	return (r.Stage == "ResponseStarted") == (r.Verb == "watch") && r.Stage != "RequestReceived"
}

func (r *request) reads() bool { return r.Verb == "get" || r.Verb == "list" || r.Verb == "watch" }

// name is verb, resource and, where it was refused, the status code.
func (r *request) name() string {
	name := r.Verb + " " + r.Object.Resource
	if r.Object.Subresource != "" {
		name += "/" + r.Object.Subresource
	}
	if r.Response.Code >= 400 {
		name += fmt.Sprintf(" (%d)", r.Response.Code)
	}
	return name
}

// auditLog reads a growing audit log.
type auditLog struct {
	path   string
	offset int64
	all    []request
}

// read takes up the lines that have been added. The last one may be half written.
func (l *auditLog) read() error {
	f, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nobody has asked anything yet
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	if _, err := f.Seek(l.offset, io.SeekStart); err != nil {
		return err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	for {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			return nil
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("read the audit log at byte %d: %w", l.offset, err)
		}
		l.offset += int64(len(line)) + 1
		text = rest
		if r.counts() {
			l.all = append(l.all, r)
		}
	}
}

// lastWrite is when the newest write arrived, zero for never.
func (l *auditLog) lastWrite() (at time.Time) {
	for i := range l.all {
		if r := &l.all[i]; !r.reads() && r.Received.After(at) {
			at = r.Received
		}
	}
	return at
}

// tally are the requests of a span of time.
type tally struct {
	writes, events, gets, lists, watches int

	names  map[string]int // by verb and resource
	agents map[string]int
}

func (l *auditLog) since(from time.Time) tally {
	t := tally{names: map[string]int{}, agents: map[string]int{}}
	for i := range l.all {
		r := &l.all[i]
		if r.Received.Before(from) {
			continue
		}
		t.names[r.name()]++
		t.agents[r.UserAgent]++
		switch r.Verb {
		case "get":
			t.gets++
		case "list":
			t.lists++
		case "watch":
			t.watches++
		default:
			t.writes++
			if r.Object.Resource == "events" {
				t.events++
			}
		}
	}
	return t
}
