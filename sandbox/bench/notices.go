package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/notify"
)

const (
	// deaths is how often the controller is killed, lifetime the longest that it lives: it takes
	// about a second to fill its caches, so that some die before they have told anything.
	deaths   = 100
	lifetime = 3 * time.Second
	// lateNotices is how long messages may take once nobody is killed any more.
	lateNotices = 2 * time.Minute
)

// Notices says whether messages arrive while the controller is killed.
type Notices struct {
	Workload string `json:"workload"`
	Kills    int    `json:"kills"`
	// Due are the messages that releases made due, Delivered those of them that arrived, Lost
	// those that did not. Duplicates arrived once more; under the same ID of them, Known.
	Due        int `json:"due"`
	Delivered  int `json:"delivered"`
	Lost       int `json:"lost"`
	Duplicates int `json:"duplicates"`
	Known      int `json:"duplicates_of_known_id"`
}

// mailbox is a webhook that counts what it gets.
type mailbox struct {
	mu  sync.Mutex
	got map[string][]string // IDs by text
}

func (m *mailbox) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it was cut off; the sender will say it again
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got[string(body)] = append(m.got[string(body)], r.Header.Get("Idempotency-Key"))
}

// tally compares what arrived with what was due.
func (m *mailbox) tally(due map[string]bool, r *Notices) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Due, r.Delivered, r.Duplicates, r.Known = len(due), 0, 0, 0
	for text, ids := range m.got {
		if due[text] {
			r.Delivered++
			r.Duplicates += len(ids) - 1
			slices.Sort(ids)
			r.Known += len(ids) - len(slices.Compact(slices.Clone(ids)))
		}
	}
	r.Lost = r.Due - r.Delivered
}

// notices is workload N1: Rollouts are released, two messages each, while the controller is killed
// at random.
func (b *sandbox) notices(ctx context.Context, all []candidate, o Options, last bool) error {
	const namespace = "n1"
	if err := b.namespace(ctx, namespace); err != nil {
		return err
	}
	box := &mailbox{got: map[string][]string{}}
	server := httptest.NewServer(box)
	defer server.Close()
	if err := b.subscribeTo(ctx, server.URL); err != nil {
		return err
	}
	r, err := b.killed(ctx, all[0], namespace, box, o)
	if err != nil {
		return err
	}
	if err := printJSON(o.Out, r); err != nil || last {
		return err
	}
	return b.clear(ctx, namespace)
}

// subscribeTo configures two triggers that lead to an address.
func (b *sandbox) subscribeTo(ctx context.Context, url string) error {
	cm := &corev1.ConfigMap{Data: map[string]string{
		"service.webhook.box": "url: " + url,
		"subscriptions":       "- recipients: [box]\n  triggers: [on-rollout-updated, on-rollout-completed]",
		"template.told":       "message: told\nwebhook: {box: {method: POST, body: '{{.rollout.metadata.name}}: {{.event}}'}}",
	}}
	for _, trigger := range []string{"on-rollout-updated", "on-rollout-completed"} {
		cm.Data["trigger."+trigger] = "- send: [told]"
	}
	cm.Namespace, cm.Name = home, notify.ConfigMapName
	return b.client.Create(ctx, cm)
}

// killed creates one Rollout in each life of a controller, and ends with one that lives.
func (b *sandbox) killed(ctx context.Context, c candidate, namespace string, box *mailbox, o Options) (*Notices, error) {
	c.flags = append(slices.Clone(c.flags), "--data-dir", filepath.Join(b.dir, "data"))
	due, kills := map[string]bool{}, o.kills
	for i := range kills {
		p, err := b.start(ctx, c, o)
		if err != nil {
			return nil, err
		}
		hash, err := b.deploy(ctx, namespace, appName(i))
		if err != nil {
			p.Stop()
			return nil, err
		}
		due[appName(i)+": Rollout updated to revision 1"] = true
		due[fmt.Sprintf("%s: Rollout completed update to revision 1 (%s): Initial deploy", appName(i), hash)] = true
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.Int64N(int64(lifetime)))):
		}
		if p.Kill(); ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	p, err := b.start(ctx, c, o)
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	r := &Notices{Workload: "N1", Kills: kills}
	fmt.Fprintf(o.Err, "N1: the controller was killed %d times; the last one stays\n", kills)
	limit := time.Now().Add(lateNotices)
	for box.tally(due, r); r.Lost > 0 && time.Now().Before(limit); box.tally(due, r) {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(poll):
		}
	}
	select { // for the duplicates that may still come
	case <-ctx.Done():
	case <-time.After(lifetime):
	}
	box.tally(due, r)
	for _, text := range slices.Sorted(maps.Keys(due)) {
		if box.got[text] == nil {
			fmt.Fprintln(o.Err, "N1: nobody was told:", text)
		}
	}
	return r, nil
}

// deploy creates a Rollout of one pod, and returns the hash of its template.
func (b *sandbox) deploy(ctx context.Context, namespace, name string) (hash string, err error) {
	ro := basic(namespace, name, 1)
	if err := b.client.Create(ctx, ro); err != nil {
		return "", fmt.Errorf("create: %w", err)
	}
	return v1alpha1.PodTemplateHash(&ro.Spec.Template, nil), nil
}
