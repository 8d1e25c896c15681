package event

import (
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// remembered is how many Event objects are known, to count in them when the same is
// said again.
const remembered = 2048

// said is what makes two events the same.
type said struct {
	uid                   types.UID
	namespace, name       string
	kind, reason, message string
}

// posted is an Event object that the API server has.
type posted struct {
	name  string
	count int
}

// memory holds the newest Event objects. It is safe for use by several.
type memory struct {
	mu    sync.Mutex
	known map[said]posted
	order []said // a ring
	next  int
}

func newMemory() *memory { return &memory{known: map[said]posted{}} }

func (m *memory) get(k said) (p posted, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok = m.known[k]
	return p, ok
}

func (m *memory) put(k said, p posted) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.known[k]; !ok {
		if len(m.order) < remembered {
			m.order = append(m.order, k)
		} else {
			delete(m.known, m.order[m.next])
			m.order[m.next] = k
			m.next = (m.next + 1) % remembered
		}
	}
	m.known[k] = p
}

// object names the Event object.
func (p posted) object(e *entry) *corev1.Event {
	return &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: p.name, Namespace: e.about.Namespace}}
}

func (p posted) patch(last time.Time) []byte {
	return fmt.Appendf(nil, `{"count":%d,"lastTimestamp":%q}`, p.count, last.UTC().Format(time.RFC3339))
}
