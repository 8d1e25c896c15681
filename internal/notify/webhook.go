package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/argoproj/notifications-engine/pkg/services"
)

// Bounds of one call of a webhook.
const (
	webhookTimeout = 30 * time.Second
	maxAnswer      = 300 // bytes of it in an error
)

// webhook sends requests as the library's does. That one carries no ID, writes its addresses,
// which may be secret, to standard error, and tries again while others wait.
type webhook struct {
	options services.WebhookOptions
	client  *http.Client
	id      string
}

func (w *webhook) keyed(id string) services.NotificationService {
	k := *w
	k.id = id
	return &k
}

func (w *webhook) Send(n services.Notification, to services.Destination) error {
	method, address, body := http.MethodGet, w.options.URL, n.Message
	if part, there := n.Webhook[to.Service]; there {
		method, body = cmp.Or(part.Method, method), part.Body
		if part.Path != "" {
			address = strings.TrimRight(address, "/") + "/" + strings.TrimLeft(part.Path, "/")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), webhookTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return bare(err)
	}
	if w.id != "" { // draft-ietf-httpapi-idempotency-key-header
		r.Header.Set("Idempotency-Key", w.id)
	}
	for _, h := range w.options.Headers {
		r.Header.Set(h.Name, h.Value)
	}
	if b := w.options.BasicAuth; b != nil {
		r.SetBasicAuth(b.Username, b.Password)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return bare(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("the service answers %s: %s", answer.Status, strings.TrimSpace(string(text)))
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
	return nil
}

// bare is an error of a request without its address, which may be secret.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
