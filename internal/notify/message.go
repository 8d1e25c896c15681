package notify

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argoproj/notifications-engine/pkg/services"
	"github.com/argoproj/notifications-engine/pkg/templates"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Subject is what a message is about.
type Subject struct {
	// Rollout is the object as it is after the change.
	Rollout map[string]any
	// Runs are the AnalysisRuns of the current revision, newest first.
	Runs []*v1alpha1.AnalysisRun
	// Experiment is one, if the message is about it.
	Experiment map[string]any
	// Event is the sentence of the event that the message tells of, if it tells of one.
	Event string
}

// Vars are the variables of templates and conditions (surfaces.md §3.7), and our own:
// analysisRun, the run that failed, or else the newest, or an object without values; failure,
// what decided in it; links, experiment and event.
func (c *Config) Vars(s Subject) (map[string]any, error) {
	vars := map[string]any{"rollout": s.Rollout, "secrets": c.secrets, "analysisRuns": nil, "time": clock,
		"failure": Failure{}, "experiment": s.Experiment, "event": s.Event}
	annotations, _, _ := unstructured.NestedStringMap(s.Rollout, "metadata", "annotations")
	vars["links"] = links(annotations)
	chosen := any(map[string]any{"metadata": map[string]any{}, "spec": map[string]any{}, "status": map[string]any{}})
	var list []any
	for _, r := range s.Runs {
		tree, err := plain(r)
		if err != nil {
			return nil, fmt.Errorf("read analysisrun %s: %w", r.Name, err)
		}
		list = append(list, tree)
	}
	if len(list) > 0 {
		vars["analysisRuns"], chosen = list, list[0]
	}
	bad := func(r *v1alpha1.AnalysisRun) bool {
		return r.Status.Phase == v1alpha1.AnalysisPhaseFailed || r.Status.Phase == v1alpha1.AnalysisPhaseError
	}
	if i := slices.IndexFunc(s.Runs, bad); i >= 0 {
		chosen, vars["failure"] = list[i], failureOf(s.Runs[i])
	}
	vars["analysisRun"] = chosen
	return vars, nil
}

// clock is the published variable "time".
var clock = map[string]any{
	"Parse": func(text string) (time.Time, error) { return time.Parse(time.RFC3339, text) },
	"Now":   time.Now,
}

// plain is an object as JSON has it, which is what templates know.
func plain(o any) (tree map[string]any, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	return tree, json.Unmarshal(text, &tree)
}

// Message renders templates, which make one message together, for a destination.
func (c *Config) Message(names []string, s Subject, to Destination) (*services.Notification, error) {
	used := map[string]services.Notification{}
	for _, name := range names {
		t, there := c.Templates[name]
		if !there {
			return nil, fmt.Errorf("there is no template %q; there are %s", name, listed(sortedKeys(c.Templates)))
		}
		used[name] = t
	}
	vars, err := c.Vars(s)
	if err != nil {
		return nil, err
	}
	vars["serviceType"], vars["recipient"] = to.Service, to.Recipient
	engine, err := templates.NewService(used)
	if err != nil {
		return nil, fmt.Errorf("read template %s: %w", strings.Join(names, ", "), err)
	}
	n, err := engine.FormatNotification(vars, names...)
	if err != nil {
		return nil, fmt.Errorf("render template %s: %w", strings.Join(names, ", "), err)
	}
	return n, nil
}

// Send delivers a message under an ID, which services that know such a thing are told; "" for
// none. It may take as long as the service does.
func (c *Config) Send(id string, n *services.Notification, to Destination) error {
	s := c.services[to.Service]
	if s == nil {
		return fmt.Errorf("there is no service %q; there are %s", to.Service, listed(c.Services()))
	}
	if k, takes := s.(keyed); takes && id != "" {
		s = k.keyed(id)
	}
	if n.Opsgenie != nil && n.Opsgenie.Alias == "" {
		n.Opsgenie.Alias = id // under which there is one alert only
	}
	return s.Send(*n, to)
}

// Add makes a further service known, such as a console.
func (c *Config) Add(name string, s services.NotificationService) { c.services[name] = s }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Console prints messages as YAML.
func Console(out io.Writer) services.NotificationService { return services.NewConsoleService(out) }

// NewestFirst sorts runs as templates expect them.
func NewestFirst(runs []*v1alpha1.AnalysisRun) {
	slices.SortStableFunc(runs, func(a, b *v1alpha1.AnalysisRun) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
}
