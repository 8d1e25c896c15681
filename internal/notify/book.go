package notify

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Book holds the configurations: the controller's, and where namespaces serve themselves, theirs
// beside it. It is safe for use by several.
type Book struct {
	mu    sync.RWMutex
	known map[string]*Config // by namespace; "" is the controller's
}

// Set replaces the configuration of a namespace, "" for the controller's own.
func (b *Book) Set(namespace string, c *Config) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		b.known = map[string]*Config{}
	}
	b.known[namespace] = c
}

// Scoped is a configuration and the namespace that it is of, "" for the controller's.
type Scoped struct {
	*Config
	Namespace string
}

// For are the configurations that count for a namespace.
func (b *Book) For(namespace string) (all []Scoped) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, n := range []string{"", namespace} {
		if c := b.known[n]; c != nil && (n != "" || len(all) == 0) {
			all = append(all, Scoped{c, n})
		}
	}
	return all
}

// of is the configuration that a message was decided by.
func (b *Book) of(namespace string) *Config {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if c := b.known[namespace]; c != nil {
		return c
	}
	return Parse(Sources{})
}

// Concerns reports whether anybody may want to hear of an object.
func (b *Book) Concerns(o metav1.Object) bool { return concerns(b.For(o.GetNamespace()), o) }

// concerns reports whether anybody may want to hear of an object.
func concerns(configs []Scoped, o metav1.Object) bool {
	for _, c := range configs {
		if len(c.subscriptions) > 0 {
			return true
		}
	}
	for key := range o.GetAnnotations() {
		if subscribes(key) {
			return true
		}
	}
	return false
}
