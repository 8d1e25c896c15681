package traffic

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// ClaimAnnotation is where an adapter writes on a route object what is a rollout's on it
// and cannot be told from the object's own fields. Its value is a JSON map from the
// rollout, as "namespace/name", to its Claim, because several may share one object.
const ClaimAnnotation = "penstock.io/traffic"

// Claim is what one rollout has added to a route object. A person who copies, applies or
// restores the object with its annotations keeps the two together.
type Claim struct {
	// Extras are the Services of the destinations that were added.
	Extras []string `json:"extras,omitempty"`
	// Headers and Mirrors are the managed routes, where their form on the object does
	// not give them back.
	Headers []v1alpha1.SetHeaderRoute `json:"headers,omitempty"`
	Mirrors []v1alpha1.SetMirrorRoute `json:"mirrors,omitempty"`
	// Rules tell the rules that were added, by name or by content.
	Rules []string `json:"rules,omitempty"`
	// Moves says that the rollout is moving traffic, where the object is marked with that for
	// all its rollouts together.
	Moves bool `json:"moves,omitempty"`
}

// Key is under which the target's Claim stands.
func (t Target) Key() string { return t.Namespace + "/" + t.Name }

// experiment matches what follows the rollout's name in the name of a Service that belongs to
// an experiment step: pod template hash, revision and step (core.md §5.17).
var experiment = regexp.MustCompile(`^-[bcdfghjklmnpqrstvwxz2456789]{1,10}-[0-9]+-[0-9]+-.`)

// IsExperiment reports whether a Service has the name of a rollout's experiment. Destinations
// of such Services are the rollout's without a Claim: the published controller leaves none
// when it is replaced in the middle of a step.
func IsExperiment(rollout, service string) bool {
	rest, found := strings.CutPrefix(service, rollout)
	return found && rollout != "" && experiment.MatchString(rest)
}

// ClaimOn reads a rollout's Claim from a decoded object, which it does not change. One that
// cannot be read counts as lost, because an abort must not wait for whoever spoilt it: as
// people lose annotations anyway, what was added is also known by its form.
func ClaimOn(object map[string]any, key string) (c Claim) {
	all, _ := claims(object)
	if json.Unmarshal(all[key], &c) != nil {
		return Claim{}
	}
	return c
}

// OthersMove reports whether another rollout than that of the key is moving traffic.
func OthersMove(object map[string]any, key string) bool {
	all, _ := claims(object)
	for other, raw := range all {
		var c Claim
		if other != key && json.Unmarshal(raw, &c) == nil && c.Moves {
			return true
		}
	}
	return false
}

// Put writes the Claim on a decoded object, in place; the empty Claim takes away what
// there is. Other rollouts' claims stay, and one that says the same stays as it is.
func (c Claim) Put(object map[string]any, key string) (problem string) {
	all, annotations := claims(object)
	_, there := all[key]
	if empty := reflect.DeepEqual(c, Claim{}); there != empty && reflect.DeepEqual(ClaimOn(object, key), c) {
		return ""
	} else if delete(all, key); !empty {
		raw, err := json.Marshal(c)
		if err != nil {
			return unwritable(err)
		}
		all[key] = raw
	}
	meta, _ := object["metadata"].(map[string]any)
	switch {
	case len(all) == 0:
		if delete(annotations, ClaimAnnotation); annotations != nil && len(annotations) == 0 {
			delete(meta, "annotations")
		}
		return ""
	case meta == nil:
		return unwritable(errors.New("the object has no metadata"))
	case annotations == nil && meta["annotations"] != nil:
		return unwritable(errors.New("the annotations are not a map"))
	case annotations == nil:
		annotations = map[string]any{}
		meta["annotations"] = annotations
	}
	text, err := json.Marshal(all)
	if err != nil {
		return unwritable(err)
	}
	annotations[ClaimAnnotation] = string(text)
	return ""
}

// claims returns every rollout's claim that can be read, and the object's own map of
// annotations.
func claims(object map[string]any) (all map[string]json.RawMessage, annotations map[string]any) {
	meta, _ := object["metadata"].(map[string]any)
	annotations, _ = meta["annotations"].(map[string]any)
	text, _ := annotations[ClaimAnnotation].(string)
	if json.Unmarshal([]byte(text), &all) != nil || all == nil {
		all = map[string]json.RawMessage{}
	}
	return all, annotations
}

func unwritable(err error) string {
	return fmt.Sprintf("annotation %s cannot be written: %v", ClaimAnnotation, err)
}
