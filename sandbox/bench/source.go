package bench

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// source is a pretend Prometheus: it answers every query at once with a vector of one
// number, 1 when it is good and 0 when it is bad.
type source struct {
	url    string
	server *http.Server

	mu    sync.Mutex
	total int
	asked map[string]bool // the queries that have been seen
	bad   chan time.Time  // gets the moment of the first bad answer; nil while it is good
	told  bool
}

func startSource() (*source, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a source of metrics: %w", err)
	}
	s := &source{url: "http://" + l.Addr().String(), asked: map[string]bool{}}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go s.server.Serve(l) //nolint:errcheck // it ends with Close
	return s, nil
}

func (s *source) stop() { s.server.Close() } //nolint:errcheck // nobody listens any more

// ServeHTTP implements http.Handler.
func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.FormValue("query")
	if query == "" {
		http.NotFound(w, r)
		return
	}
	at, value := time.Now(), "1"
	s.mu.Lock()
	s.total++
	s.asked[query] = true
	if s.bad != nil {
		value = "0"
		if !s.told {
			s.told = true
			s.bad <- at
		}
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,%q]}]}}`, at.Unix(), value)
}

// counts are all queries so far, and how many different ones there were.
func (s *source) counts() (total, different int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total, len(s.asked)
}

func (s *source) turnGood() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad, s.told = nil, false
}

// turnBad makes it answer badly from now on; the channel gets the moment of the first such answer.
func (s *source) turnBad() <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad, s.told = make(chan time.Time, 1), false
	return s.bad
}

// deaf are sources that accept a connection and never say a word.
type deaf struct {
	listeners []net.Listener

	mu   sync.Mutex
	open map[net.Conn]bool
}

func startDeaf(n int) (*deaf, error) {
	d := &deaf{open: map[net.Conn]bool{}}
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			d.stop()
			return nil, fmt.Errorf("start a source that hangs: %w", err)
		}
		d.listeners = append(d.listeners, l)
		go d.accept(l)
	}
	return d, nil
}

func (d *deaf) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		d.open[c] = true
		d.mu.Unlock()
		go func() {
			io.Copy(io.Discard, c) //nolint:errcheck // until the other side gives up
			d.mu.Lock()
			delete(d.open, c)
			d.mu.Unlock()
			c.Close() //nolint:errcheck // the other side has
		}()
	}
}

// url is the address for the i-th run.
func (d *deaf) url(i int) string {
	return "http://" + d.listeners[i%len(d.listeners)].Addr().String()
}

// held is how many wait for an answer now.
func (d *deaf) held() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}

func (d *deaf) stop() {
	for _, l := range d.listeners {
		l.Close() //nolint:errcheck // nobody connects any more
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.open {
		c.Close() //nolint:errcheck // wakes its reader
	}
}
