package notify

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// maxJournal is how many IDs a journal keeps when it is opened, and how many more it takes before
// it is written anew: some 300 kB.
const maxJournal = 8192

// Journal is a file with the IDs of what was sent. A controller that ends between a delivery and
// the status that says so finds it there, if the disk outlives it, and does not send again. It may
// be lost at any time. A nil one knows nothing.
type Journal struct {
	mu    sync.Mutex
	path  string
	file  *os.File
	known map[string]bool
	order []string
}

// OpenJournal opens the journal in a directory, and makes both where they are not there.
func OpenJournal(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the journal: %w", err)
	}
	j := &Journal{path: filepath.Join(dir, "sent"), known: map[string]bool{}}
	if err := j.read(); err != nil {
		return nil, fmt.Errorf("read the journal of notifications: %w", err)
	}
	if err := j.rewrite(); err != nil {
		return nil, fmt.Errorf("write the journal of notifications: %w", err)
	}
	return j, nil
}

func (j *Journal) read() error {
	f, err := os.Open(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if id := lines.Text(); len(id) > 0 && len(id) < 64 { // not the rest of a line that was cut off
			j.add(id)
		}
	}
	return nil
}

func (j *Journal) add(id string) {
	if !j.known[id] {
		j.known[id] = true
		j.order = append(j.order, id)
	}
}

// rewrite begins the file anew with the newest IDs.
func (j *Journal) rewrite() error {
	for _, id := range j.order[:max(0, len(j.order)-maxJournal)] {
		delete(j.known, id)
	}
	j.order = newest(j.order, maxJournal)
	if j.file != nil {
		_ = j.file.Close()
	}
	fresh := j.path + ".new"
	text := strings.Join(slices.Concat(j.order, []string{""}), "\n")
	if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Rename(fresh, j.path); err != nil {
		return err
	}
	var err error
	j.file, err = os.OpenFile(j.path, os.O_APPEND|os.O_WRONLY, 0o600)
	return err
}

// Sent notes an ID. A disk that is full or gone costs a message that comes twice, at worst.
func (j *Journal) Sent(id string) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.add(id)
	if len(j.order) > 2*maxJournal {
		_ = j.rewrite()
		return
	}
	if j.file != nil {
		_, _ = j.file.WriteString(id + "\n")
	}
}

// Has reports whether an ID was sent.
func (j *Journal) Has(id string) bool {
	if j == nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.known[id]
}
