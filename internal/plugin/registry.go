package plugin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

const (
	// fresh is how long the ConfigMap is taken as it was read, stale how long it is where it
	// cannot be read again.
	fresh, stale = 30 * time.Second, 5 * time.Minute
	// rest is how long a plugin that would not start is left alone.
	rest = 10 * time.Second
	// fetchLimit bounds the fetching of a binary, startLimit the handshake after it.
	fetchLimit, startLimit = 5 * time.Minute, 30 * time.Second
	// initLimit bounds InitPlugin, pingLimit a ping, killLimit a program's own end.
	initLimit, pingLimit, killLimit = 30 * time.Second, 2 * time.Second, 5 * time.Second
)

// Why a plugin of a name is not called.
var (
	ErrUnknown  = errors.New("not configured")
	ErrDisabled = errors.New("disabled")
)

// Registry has the plugins of one kind. It is safe for concurrent use.
type Registry struct {
	Kind Kind
	// Config reads the data of the ConfigMap; one that does not exist has none.
	Config func(context.Context) (map[string]string, error)
	// Secrets reads the data of a Secret beside the controller.
	Secrets func(ctx context.Context, name string) (map[string][]byte, error)
	// Dir is where binaries are kept.
	Dir string
	// Log gets what plugins print.
	Log logr.Logger

	mu      sync.Mutex
	read    time.Time
	table   map[string]Entry
	running map[string]*process
	closed  bool
}

// Speaks tells which protocol a plugin speaks: 1 for net/rpc, Second for gRPC. One that has
// not told yet is started.
func (r *Registry) Speaks(ctx context.Context, name string) (int, error) {
	p, err := r.of(ctx, name)
	if err != nil {
		return 0, err
	}
	return p.speaks(ctx)
}

// Call calls a method of a plugin that speaks net/rpc, which is started if it is not running.
// reply must not be used after an error, as a late answer may still be written to it.
func (r *Registry) Call(ctx context.Context, name, method string, args, reply any) error {
	p, err := r.of(ctx, name)
	if err != nil {
		return err
	}
	return p.call(ctx, method, args, reply)
}

// of is the process of a plugin.
func (r *Registry) of(ctx context.Context, name string) (*process, error) {
	entry, err := r.entry(ctx, name)
	if err != nil {
		return nil, err
	}
	return r.process(entry)
}

// entry finds a plugin in the ConfigMap.
func (r *Registry) entry(ctx context.Context, name string) (Entry, error) {
	r.mu.Lock()
	table, age := r.table, time.Since(r.read)
	r.mu.Unlock()
	if table == nil || age > fresh {
		data, err := r.Config(ctx)
		switch {
		case err == nil:
			if table, err = Parse(r.Kind.Key, data[r.Kind.Key]); err == nil {
				r.mu.Lock()
				r.table, r.read = table, time.Now()
				r.mu.Unlock()
			}
		case table != nil && age < stale:
			err = nil // what it was a moment ago will do
		}
		if err != nil {
			return Entry{}, fmt.Errorf("plugin %s: %w", name, err)
		}
	}
	e, ok := table[name]
	switch {
	case !ok:
		return e, fmt.Errorf("plugin %s %w in configmap", name, ErrUnknown)
	case e.Err != nil:
		return e, fmt.Errorf("plugin %s: %w", name, e.Err)
	case e.Disabled:
		return e, fmt.Errorf("plugin %s is %w in ConfigMap %s", name, ErrDisabled, ConfigMap)
	}
	return e, nil
}

// process is the plugin's process, which need not run. One that was made for another entry
// is ended.
func (r *Registry) process(e Entry) (*process, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fmt.Errorf("plugin %s: the controller is ending", e.Name)
	}
	p := r.running[e.Name]
	if p != nil && equal(p.entry, e) {
		return p, nil
	}
	if p != nil {
		go p.end()
	}
	if r.running == nil {
		r.running = map[string]*process{}
	}
	p = newProcess(r, e)
	r.running[e.Name] = p
	return p, nil
}

// Close ends all plugins.
func (r *Registry) Close() {
	r.mu.Lock()
	r.closed = true
	running := r.running
	r.running = nil
	r.mu.Unlock()
	var all sync.WaitGroup
	for _, p := range running {
		all.Go(p.end)
	}
	all.Wait()
}
