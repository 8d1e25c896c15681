package notify

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/argoproj/notifications-engine/pkg/api"
	"github.com/argoproj/notifications-engine/pkg/services"
	"github.com/argoproj/notifications-engine/pkg/subscriptions"
	"github.com/argoproj/notifications-engine/pkg/templates"
	"github.com/argoproj/notifications-engine/pkg/triggers"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
)

// The library logs to standard error in a form of its own; whatever matters it returns.
func init() { logrus.SetOutput(io.Discard) }

// Names of the published objects (surfaces.md §3.1), in the controller's namespace.
const (
	ConfigMapName = "argo-rollouts-notification-configmap"
	SecretName    = "argo-rollouts-notification-secret"
)

// Config is what can be used of a ConfigMap and a Secret.
type Config struct {
	Templates map[string]services.Notification
	Triggers  map[string][]triggers.Condition
	// Problems are the entries that were left out, or do not do what they seem to, in the order
	// of their keys.
	Problems []Problem

	namespace      string
	subscriptions  subscriptions.DefaultSubscriptions
	defaults       []string            // triggers of subscriptions that name none
	serviceDefault map[string][]string // the same, of a service
	services       map[string]services.NotificationService
	secrets        map[string][]byte
}

// Problem is something wrong with an entry.
type Problem struct {
	// Key is that of the ConfigMap, or the name of an object.
	Key, Text string
}

func (p Problem) String() string { return p.Key + ": " + p.Text }

// Parse reads the published objects; nil stands for one that is not there.
func Parse(cm *corev1.ConfigMap, secret *corev1.Secret) *Config {
	if cm == nil {
		cm = &corev1.ConfigMap{}
	}
	if secret == nil {
		secret = &corev1.Secret{}
	}
	c := &Config{Templates: map[string]services.Notification{}, Triggers: map[string][]triggers.Condition{},
		serviceDefault: map[string][]string{}, services: map[string]services.NotificationService{}, namespace: cm.Namespace}
	for _, key := range slices.Sorted(maps.Keys(cm.Data)) {
		one := cm.DeepCopy()
		one.Data = map[string]string{key: cm.Data[key]}
		parsed, err := api.ParseConfig(one, secret)
		if err == nil {
			err = c.take(parsed)
		}
		if err != nil {
			c.problem(key, "%v; it is left out", err)
		}
	}
	c.secrets = c.shareable(cm, secret)
	c.check()
	return c
}

func (c *Config) problem(key, format string, args ...any) {
	c.Problems = append(c.Problems, Problem{key, fmt.Sprintf(format, args...)})
}

// take adds what one key has brought, once it is known to work.
func (c *Config) take(one *api.Config) error {
	if _, err := templates.NewService(one.Templates); err != nil {
		return err
	}
	if _, err := triggers.NewService(one.Triggers); err != nil {
		return err
	}
	for name, make := range one.Services {
		s, err := make()
		if err != nil {
			return err
		}
		c.services[name] = s
	}
	maps.Copy(c.Templates, one.Templates)
	maps.Copy(c.Triggers, one.Triggers)
	maps.Copy(c.serviceDefault, one.ServiceDefaultTriggers)
	c.subscriptions = append(c.subscriptions, one.Subscriptions...)
	c.defaults = append(c.defaults, one.DefaultTriggers...)
	return nil
}

// check looks for names that lead nowhere.
func (c *Config) check() {
	for _, trigger := range slices.Sorted(maps.Keys(c.Triggers)) {
		for _, condition := range c.Triggers[trigger] {
			for _, name := range condition.Send {
				if _, there := c.Templates[name]; !there {
					c.problem("trigger."+trigger, "there is no template %q; it cannot be sent", name)
				}
			}
		}
	}
	for _, s := range c.subscriptions {
		for _, r := range s.Recipients {
			if name, _, _ := strings.Cut(r, ":"); c.services[name] == nil {
				c.problem("subscriptions", "recipient %q: there is no service %q", r, name)
			}
		}
		for _, trigger := range s.Triggers {
			if c.Triggers[trigger] == nil {
				c.problem("subscriptions", "there is no trigger %q", trigger)
			}
		}
	}
	slices.SortStableFunc(c.Problems, func(a, b Problem) int { return cmp.Compare(a.Key, b.Key) })
}

// reference is how the options of a service name a key of the Secret (surfaces.md §3.2).
var reference = regexp.MustCompile(`\$([\w-]+)`)

// shareable are the keys of the Secret that templates may see: not those that a service signs
// in with. A service that names a key which is not there is a problem.
func (c *Config) shareable(cm *corev1.ConfigMap, secret *corev1.Secret) map[string][]byte {
	kept := maps.Clone(secret.Data)
	for _, key := range slices.Sorted(maps.Keys(cm.Data)) {
		if !strings.HasPrefix(key, "service.") {
			continue
		}
		for _, m := range reference.FindAllStringSubmatch(cm.Data[key], -1) {
			if _, there := secret.Data[m[1]]; !there {
				c.problem(key, "$%s is no key of the Secret", m[1])
			}
			delete(kept, m[1])
		}
	}
	return kept
}

// Services are the names of the destinations that can be used, sorted.
func (c *Config) Services() []string { return slices.Sorted(maps.Keys(c.services)) }

// Revealed is a Secret as an API server would keep it: stringData is in data.
func Revealed(s *corev1.Secret) *corev1.Secret {
	s = s.DeepCopy()
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for k, v := range s.StringData {
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	return s
}
