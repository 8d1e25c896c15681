package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/argoproj/notifications-engine/pkg/services"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// Published annotations (surfaces.md §3.3).
const (
	subscribePrefix     = "notifications.argoproj.io/subscribe."
	subscriptionsPrefix = "notifications.argoproj.io/subscriptions"
)

// subscribes reports whether an annotation is a subscription.
func subscribes(key string) bool {
	return strings.HasPrefix(key, subscribePrefix) || strings.HasPrefix(key, subscriptionsPrefix)
}

// Destination is a service and a recipient there, "" where the service needs none.
type Destination = services.Destination

// Destinations are who is told about an object, by trigger: those of its annotations and those
// of the ConfigMap, each once, in a steady order. Problems are subscriptions that nobody can
// serve.
func (c *Config) Destinations(o metav1.Object) (all map[string][]Destination, problems []Problem) {
	all = map[string][]Destination{}
	add := func(triggers []string, d Destination) {
		if len(triggers) == 0 {
			if triggers = c.serviceDefault[d.Service]; triggers == nil {
				triggers = c.defaults
			}
		}
		for _, t := range triggers {
			if !slices.Contains(all[t], d) {
				all[t] = append(all[t], d)
			}
		}
	}
	for key, value := range o.GetAnnotations() {
		problems = append(problems, c.subscribe(key, value, add)...)
	}
	for _, s := range c.subscriptions {
		if s.Selector != nil && !s.Selector.Matches(labels.Set(o.GetLabels())) {
			continue
		}
		for _, r := range s.Recipients {
			name, recipient, _ := strings.Cut(r, ":")
			add(s.Triggers, Destination{Service: name, Recipient: recipient})
		}
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b Destination) int {
			return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Recipient, b.Recipient))
		})
	}
	slices.SortFunc(problems, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Text, b.Text)) })
	return all, problems
}

// subscribe reads one annotation.
func (c *Config) subscribe(key, value string, add func([]string, Destination)) (problems []Problem) {
	known := func(triggers []string, d Destination) {
		if c.services[d.Service] == nil {
			problems = append(problems, Problem{key, fmt.Sprintf("there is no service %q; there are %s", d.Service, listed(c.Services()))})
			return
		}
		for _, t := range triggers {
			if c.Triggers[t] == nil {
				problems = append(problems, Problem{key, fmt.Sprintf("there is no trigger %q", t)})
			}
		}
		add(triggers, d)
	}
	if rest, is := strings.CutPrefix(key, subscribePrefix); is {
		trigger, service := c.split(rest)
		var triggers []string
		if trigger != "" {
			triggers = []string{trigger}
		}
		for _, r := range recipients(value) {
			known(triggers, Destination{Service: service, Recipient: r})
		}
		return problems
	}
	if !strings.HasPrefix(key, subscriptionsPrefix) {
		return nil
	}
	var list []struct {
		Trigger      []string `json:"trigger"`
		Destinations []struct {
			Service    string   `json:"service"`
			Recipients []string `json:"recipients"`
		} `json:"destinations"`
	}
	if err := yaml.Unmarshal([]byte(value), &list); err != nil {
		why := err.Error()
		if strings.Contains(why, "cannot unmarshal") { // which speaks of Go
			why = "want [{trigger: [NAME], destinations: [{service: NAME, recipients: [NAME]}]}]"
		}
		return []Problem{{key, "it is no list of subscriptions: " + why}}
	}
	for i, s := range list {
		if len(s.Destinations) == 0 {
			problems = append(problems, Problem{key, fmt.Sprintf("[%d] has no destinations", i)})
		}
		for _, d := range s.Destinations {
			for _, r := range d.Recipients {
				known(s.Trigger, Destination{Service: d.Service, Recipient: r})
			}
		}
	}
	return problems
}

// split takes "trigger.service" or "service" apart. Either may have dots: the longest service
// that there is counts, and else the last dot.
func (c *Config) split(text string) (trigger, service string) {
	if c.services[text] != nil {
		return "", text
	}
	for i := range text {
		if text[i] == '.' && c.services[text[i+1:]] != nil {
			return text[:i], text[i+1:]
		}
	}
	if i := strings.LastIndexByte(text, '.'); i >= 0 {
		return text[:i], text[i+1:]
	}
	return "", text
}

// recipients are separated by semicolons; nothing at all is one recipient without a name.
func recipients(value string) (all []string) {
	if value == "" {
		return []string{""}
	}
	for r := range strings.SplitSeq(value, ";") {
		if r = strings.TrimSpace(r); r != "" {
			all = append(all, r)
		}
	}
	return all
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
