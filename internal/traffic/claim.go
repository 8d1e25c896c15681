package traffic

import (
	"encoding/json"
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

// ClaimOn reads a rollout's Claim from a decoded object, which it does not change. The
// problem says why it could not be read, with the mend.
func ClaimOn(object map[string]any, key string) (c Claim, problem string) {
	all, _, problem := claims(object)
	if problem != "" || all[key] == nil {
		return c, problem
	}
	if err := json.Unmarshal(all[key], &c); err != nil {
		return Claim{}, unreadable(err)
	}
	return c, ""
}

// Renew takes a Claim that cannot be read off an object that is all ours, so that it can be
// written anew.
func Renew(object map[string]any) {
	if _, annotations, problem := claims(object); problem != "" {
		delete(annotations, ClaimAnnotation)
	}
}

// OthersMove reports whether another rollout than that of the key is moving traffic.
func OthersMove(object map[string]any, key string) bool {
	all, _, _ := claims(object)
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
	all, annotations, problem := claims(object)
	if problem != "" {
		return problem
	}
	old, problem := ClaimOn(object, key)
	if problem == "" && reflect.DeepEqual(old, c) {
		return ""
	}
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	delete(all, key)
	if !reflect.DeepEqual(c, Claim{}) {
		raw, err := json.Marshal(c)
		if err != nil {
			return unreadable(err)
		}
		all[key] = raw
	}
	meta, _ := object["metadata"].(map[string]any)
	switch {
	case len(all) == 0:
		if delete(annotations, ClaimAnnotation); len(annotations) == 0 {
			delete(meta, "annotations")
		}
		return ""
	case meta == nil:
		return unreadable(fmt.Errorf("the object has no metadata"))
	case annotations == nil:
		annotations = map[string]any{}
		meta["annotations"] = annotations
	}
	text, err := json.Marshal(all)
	if err != nil {
		return unreadable(err)
	}
	annotations[ClaimAnnotation] = string(text)
	return ""
}

// claims returns every rollout's claim and the object's own map of annotations.
func claims(object map[string]any) (all map[string]json.RawMessage, annotations map[string]any, problem string) {
	meta, _ := object["metadata"].(map[string]any)
	annotations, isMap := meta["annotations"].(map[string]any)
	if meta["annotations"] != nil && !isMap {
		return nil, nil, unreadable(fmt.Errorf("the annotations are not a map"))
	}
	text, there := annotations[ClaimAnnotation]
	if !there {
		return nil, annotations, ""
	}
	s, _ := text.(string)
	if err := json.Unmarshal([]byte(s), &all); err != nil {
		return nil, annotations, unreadable(err)
	}
	return all, annotations, ""
}

func unreadable(err error) string {
	return fmt.Sprintf("annotation %s cannot be read: %v; remove it, and the destinations and routes that it told of", ClaimAnnotation, err)
}
