package alb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// action is the value of an actions annotation, in the published order of keys. The load
// balancer controller takes the keys in upper and lower case, and so does encoding/json.
type action struct {
	Type          string
	ForwardConfig forward
}

type forward struct {
	TargetGroups                []target
	TargetGroupStickinessConfig *stickiness `json:",omitempty"`
}

type target struct {
	ServiceName string
	ServicePort port
	Weight      *int64 `json:",omitempty"`
}

type stickiness struct {
	Enabled         bool
	DurationSeconds int64
}

// port is a number or a name; it is written as text, as published.
type port string

// UnmarshalJSON takes a number too.
func (p *port) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*p = port(text)
		return nil
	}
	var number json.Number
	if err := json.Unmarshal(data, &number); err != nil {
		return errors.New("a port is neither a number nor a name")
	}
	*p = port(number)
	return nil
}

// condition is one of a conditions annotation.
type condition struct {
	Field            string       `json:"field"`
	HTTPHeaderConfig headerConfig `json:"httpHeaderConfig"`
}

type headerConfig struct {
	HTTPHeaderName string   `json:"httpHeaderName"`
	Values         []string `json:"values"`
}

// to is an action with so many targets.
func to(targets ...target) action {
	return action{Type: "forward", ForwardConfig: forward{TargetGroups: targets}}
}

func (d desk) target(service string, weight int32) target {
	w := int64(weight)
	return target{ServiceName: service, ServicePort: d.port, Weight: &w}
}

// shares is the action of a split: canary first, stable last.
func (d desk) shares(s traffic.Split) action {
	targets := []target{d.target(d.CanaryService, s.Weight(traffic.Canary))}
	for _, x := range s.Extras() {
		targets = append(targets, d.target(x.Service, x.Weight))
	}
	a := to(append(targets, d.target(d.StableService, s.Weight(traffic.Stable)))...)
	if c := d.section.StickinessConfig; c != nil && c.Enabled {
		a.ForwardConfig.TargetGroupStickinessConfig = &stickiness{Enabled: true, DurationSeconds: c.DurationSeconds}
	}
	return a
}

// found is the split that an action makes. What is not there, or cannot be read, sends
// nothing to the canary; it is written anew in any case. The root Service stands for
// stable: that is where an action that a rollout has let go of leads.
func (d desk) found(text string) traffic.Split {
	var a action
	if json.Unmarshal([]byte(text), &a) != nil {
		a = action{}
	}
	var stable, canary int64
	var extras []traffic.Destination
	for _, t := range a.ForwardConfig.TargetGroups {
		parts := int64(1) // a single target needs no weight
		if t.Weight != nil {
			parts, _ = traffic.Parts(*t.Weight)
		}
		switch t.ServiceName {
		case d.CanaryService:
			canary += parts
		case d.StableService, d.root:
			stable += parts
		default:
			extras = append(extras, traffic.Destination{Service: t.ServiceName, Weight: int32(parts)})
		}
	}
	if stable+canary == 0 && len(extras) == 0 {
		stable = int64(traffic.DefaultTotal)
	}
	return traffic.Found(traffic.DefaultTotal, traffic.Destination{Service: d.StableService}, traffic.Destination{Service: d.CanaryService}, stable, canary, extras...)
}

// says reports whether a text has the meaning of a value, however it is formatted.
func says[T any](text string, want T) bool {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	var got T
	if dec.Decode(&got) != nil {
		return false
	}
	_, err := dec.Token()
	return errors.Is(err, io.EOF) && reflect.DeepEqual(got, want)
}

// write puts a value into an annotation, unless what is there has its meaning.
func write[T any](notes map[string]any, key string, want T) {
	if text, _ := notes[key].(string); says(text, want) {
		return
	}
	text, _ := json.Marshal(want) //nolint:errchkjson // texts and numbers have a form
	notes[key] = string(text)
}

// stickinessProblem says why the user's stickiness cannot be written.
func stickinessProblem(c *v1alpha1.StickinessConfig) string {
	if c == nil || !c.Enabled || c.DurationSeconds >= 1 && c.DurationSeconds <= 604800 {
		return ""
	}
	return fmt.Sprintf("%s.stickinessConfig.durationSeconds: Invalid value: %d: ", path, c.DurationSeconds) + "TargetGroupStickinessConfig's duration must be between 1 and 604800 seconds (7 days)!"
}

// compact is JSON without the spaces that a person may have put between.
func compact(raw json.RawMessage) json.RawMessage {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return raw
	}
	return out.Bytes()
}
