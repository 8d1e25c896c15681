package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/PagerDuty/go-pagerduty"
	"github.com/argoproj/notifications-engine/pkg/services"
	outbound "github.com/argoproj/notifications-engine/pkg/util/http"
	yaml3 "go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// keyed is a service that can be told the ID of a message, so that whoever gets it twice knows.
type keyed interface {
	keyed(id string) services.NotificationService
}

// replace puts services of our own in the place of the library's, where those cannot carry an ID.
func (c *Config) replace(key, text string, secret *corev1.Secret) error {
	parts := strings.Split(key, ".")
	if parts[0] != "service" || len(parts) > 3 {
		return nil
	}
	name := parts[len(parts)-1]
	switch parts[1] {
	case "webhook":
		w := webhook{}
		if err := options(text, secret, &w.options); err != nil {
			return err
		}
		var err error
		w.client, err = outbound.NewServiceHTTPClient(w.options.TransportOptions, w.options.InsecureSkipVerify, w.options.URL, name)
		c.services[name] = &w
		return err
	case "pagerdutyv2":
		p := pagerDuty{}
		c.services[name] = &p
		return options(text, secret, &p)
	}
	return nil
}

// options reads the options of a service, with $key in texts taken from the Secret.
func options(text string, secret *corev1.Secret, into any) error {
	var node yaml3.Node
	if err := yaml3.Unmarshal([]byte(text), &node); err != nil {
		return err
	}
	fill(&node, secret.Data)
	filled, err := yaml3.Marshal(&node)
	if err != nil {
		return err
	}
	return yaml.Unmarshal(filled, into)
}

func fill(node *yaml3.Node, secrets map[string][]byte) {
	if node.Kind == yaml3.ScalarNode && node.Tag == "!!str" {
		node.Value = reference.ReplaceAllStringFunc(node.Value, func(ref string) string {
			if v, there := secrets[ref[1:]]; there {
				return string(v)
			}
			return ref
		})
	}
	for _, n := range node.Content {
		fill(n, secrets)
	}
}

// pagerDuty sends events of version 2 (developer.pagerduty.com/docs/events-api-v2-overview). The
// library's speaks for another product, cannot be told where to send, and takes no ID.
type pagerDuty struct {
	ServiceKeys map[string]string `json:"serviceKeys"`
	// URL is https://events.pagerduty.com, or https://events.eu.pagerduty.com for accounts there.
	URL string `json:"url"`
	id  string
}

// pagerDutyTimeout bounds one event.
const pagerDutyTimeout = 30 * time.Second

func (p *pagerDuty) Send(n services.Notification, to services.Destination) error {
	routing, there := p.ServiceKeys[to.Recipient]
	if !there {
		return fmt.Errorf("no API key configured for recipient %s", to.Recipient)
	}
	m := n.PagerDutyV2
	if m == nil {
		return errors.New("the template has no part pagerdutyv2")
	}
	e := pagerduty.V2Event{
		RoutingKey: routing, Action: "trigger", DedupKey: m.DedupKey, Client: "Penstock", ClientURL: m.URL,
		Payload: &pagerduty.V2Payload{Summary: m.Summary, Severity: m.Severity, Source: m.Source, Component: m.Component, Group: m.Group, Class: m.Class},
	}
	if e.DedupKey == "" {
		e.DedupKey = p.id
	}
	var o []pagerduty.ClientOptions
	if p.URL != "" {
		o = append(o, pagerduty.WithV2EventsAPIEndpoint(strings.TrimSuffix(p.URL, "/")))
	}
	ctx, cancel := context.WithTimeout(context.Background(), pagerDutyTimeout)
	defer cancel()
	_, err := pagerduty.NewClient("", o...).ManageEventWithContext(ctx, &e)
	return err
}

func (p *pagerDuty) keyed(id string) services.NotificationService {
	k := *p
	k.id = id
	return &k
}
