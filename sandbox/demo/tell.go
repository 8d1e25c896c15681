package demo

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// teller prints one line per change, with the time of day.
type teller struct {
	mu  sync.Mutex
	out io.Writer
}

// say prints at the present time; topic is one word.
func (t *teller) say(topic, format string, args ...any) { t.sayAt(time.Now(), topic, format, args...) }

func (t *teller) sayAt(at time.Time, topic, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%s  %-9s %s\n", at.Format("15:04:05.0"), topic, fmt.Sprintf(format, args...)) //nolint:errcheck // a closed terminal ends us otherwise
}
