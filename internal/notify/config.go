package notify

import (
	"cmp"
	"errors"
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
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// The library logs to standard error in a form of its own; whatever matters it returns.
func init() { logrus.SetOutput(io.Discard) }

// Names of the published objects (surfaces.md §3.1), in the controller's namespace.
const (
	ConfigMapName = "argo-rollouts-notification-configmap"
	SecretName    = "argo-rollouts-notification-secret"
)

// TemplateKind is that of objects with one template each.
var TemplateKind = schema.GroupVersionKind{Group: "notifications.argoproj.io", Version: "v1alpha1", Kind: "NotificationTemplate"}

// Sources are the objects that a configuration is made of; nil stands for one that is not there.
type Sources struct {
	ConfigMap *corev1.ConfigMap
	Secret    *corev1.Secret
	// Misplaced is a ConfigMap under the Secret's name, as some textbooks have it.
	Misplaced *corev1.ConfigMap
	// Templates are NotificationTemplate objects.
	Templates []*unstructured.Unstructured
}

// Config is what can be used of them.
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
	engine         triggers.Service
	hidden         []string // the values of the Secret
}

// Problem is something wrong with an entry.
type Problem struct {
	// Key is that of the ConfigMap, or the name of an object.
	Key, Text string
}

func (p Problem) String() string { return p.Key + ": " + p.Text }

// Parse reads the objects.
func Parse(from Sources) *Config {
	c := &Config{Templates: map[string]services.Notification{}, Triggers: map[string][]triggers.Condition{},
		serviceDefault: map[string][]string{}, services: map[string]services.NotificationService{}}
	secret := c.credentials(from)
	cm := from.ConfigMap
	if cm == nil {
		cm = &corev1.ConfigMap{}
	}
	c.namespace = cm.Namespace
	for _, key := range slices.Sorted(maps.Keys(cm.Data)) {
		one := cm.DeepCopy()
		one.Data = map[string]string{key: cm.Data[key]}
		parsed, err := api.ParseConfig(one, secret)
		if err == nil {
			err = c.take(parsed)
		}
		if err == nil {
			err = c.replace(key, cm.Data[key], secret)
		}
		if err != nil {
			c.problem(key, "%v; it is left out", err)
		}
	}
	for _, t := range from.Templates {
		if err := c.takeTemplate(t); err != nil {
			c.problem("notificationtemplate "+t.GetName(), "%v; it is left out", err)
		}
	}
	c.secrets = c.shareable(cm, secret)
	for _, v := range secret.Data {
		c.hidden = append(c.hidden, string(v))
	}
	c.check()
	engine, err := triggers.NewService(c.Triggers)
	if err != nil { // each was compiled alone before
		c.problem("trigger", "%v", err)
	}
	c.engine = engine
	return c
}

// credentials are the Secret, with what stands in a ConfigMap instead.
func (c *Config) credentials(from Sources) *corev1.Secret {
	secret := &corev1.Secret{Data: map[string][]byte{}}
	if from.Misplaced != nil {
		c.problem(SecretName, "it is a ConfigMap: everybody who may read ConfigMaps reads these tokens; make it a Secret")
		for k, v := range from.Misplaced.Data {
			secret.Data[k] = []byte(v)
		}
	}
	if from.Secret != nil {
		maps.Copy(secret.Data, Revealed(from.Secret).Data)
	}
	return secret
}

// takeTemplate adds a NotificationTemplate, whose spec is what a template's entry in the
// ConfigMap is. Two of one name are one too many.
func (c *Config) takeTemplate(o *unstructured.Unstructured) error {
	if _, there := c.Templates[o.GetName()]; there {
		return errors.New("there is a template of this name already")
	}
	spec, found, err := unstructured.NestedMap(o.Object, "spec")
	if err != nil || !found {
		return errors.New("it has no spec")
	}
	text, err := yaml.Marshal(spec)
	if err != nil {
		return err
	}
	n := services.Notification{}
	if err := yaml.UnmarshalStrict(text, &n); err != nil {
		return err
	}
	return c.take(&api.Config{Templates: map[string]services.Notification{o.GetName(): n}})
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
