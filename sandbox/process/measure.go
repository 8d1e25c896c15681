package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc, USER_HZ, on every Linux.
const clockTick = 10 * time.Millisecond

func (p *Process) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.command.Process.Pid), name)
}

// CPU is the time that it has used so far, in user and in kernel mode.
func (p *Process) CPU() time.Duration {
	text := p.read("stat")
	// The second field is the name, in brackets, and may hold anything.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		p.note(fmt.Errorf("read %s: it has %d fields", p.proc("stat"), len(fields)))
		return 0
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	kernel, err2 := strconv.ParseInt(fields[12], 10, 64)
	p.note(errors.Join(err, err2))
	return time.Duration(user+kernel) * clockTick
}

// ForgetPeak makes Peak count from now on.
func (p *Process) ForgetPeak() { p.note(os.WriteFile(p.proc("clear_refs"), []byte("5"), 0)) }

// Peak is the largest resident memory since ForgetPeak, in MB of 2²⁰ bytes.
func (p *Process) Peak() (mb float64) {
	for line := range strings.Lines(p.read("status")) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			p.note(err)
			return kb / 1024
		}
	}
	p.note(fmt.Errorf("read %s: no VmHWM in it", p.proc("status")))
	return 0
}

func (p *Process) read(name string) string {
	text, err := os.ReadFile(p.proc(name))
	p.note(err)
	return string(text)
}

func (p *Process) note(err error) {
	if p.unread == nil {
		p.unread = err
	}
}

// Trouble is what could not be measured.
func (p *Process) Trouble() error {
	if p.unread != nil {
		return fmt.Errorf("measure the controller: %w", p.unread)
	}
	return nil
}
