package notify

import (
	"fmt"

	"github.com/argoproj/notifications-engine/pkg/triggers"
)

// Condition is one condition of a trigger, and what it says of an object.
type Condition struct {
	triggers.Condition
	// Met is its result; one without an expression is met by its event.
	Met bool
	// Key is the published name of its state, Once what its oncePer gives.
	Key, Once string
}

// Conditions evaluates a trigger. The error names those that there are, or what the
// expression lacks.
func (c *Config) Conditions(name string, vars map[string]any) (all []Condition, err error) {
	if c.Triggers[name] == nil {
		return nil, fmt.Errorf("there is no trigger %q; there are %s", name, listed(sortedKeys(c.Triggers)))
	}
	results, err := c.engine.Run(name, vars)
	if err != nil {
		return nil, fmt.Errorf("evaluate trigger %s: %w", name, err)
	}
	for i, condition := range c.Triggers[name] {
		all = append(all, Condition{condition, condition.When == "" || results[i].Triggered, results[i].Key, results[i].OncePer})
	}
	return all, nil
}
