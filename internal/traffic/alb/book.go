package alb

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	bookKey = v1alpha1.ManagedALBAnnotationsAnnotation
	// formerKey is the bookkeeping of older controllers: what it says of a rollout goes over
	// to bookKey with the first write for that rollout.
	formerKey = v1alpha1.ManagedALBActionsAnnotation
)

// book is what the bookkeeping says: by rollout, a list of keys of annotations.
type book map[string]json.RawMessage

func readBook(notes map[string]any, key string) (b book, problem string) {
	value, there := notes[key]
	if !there {
		return nil, ""
	}
	text, _ := value.(string)
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return nil, fmt.Sprintf("annotation %s cannot be read: %v; correct it, or remove it with the annotations that it lists", key, err)
	}
	return b, ""
}

// of are the keys of a rollout's annotations.
func (b book) of(rollout, key string) (keys []string, problem string) {
	if raw, there := b[rollout]; there {
		if err := json.Unmarshal(raw, &keys); err != nil {
			return nil, fmt.Sprintf("annotation %s cannot be read for %s: %v; correct it, or remove it with the annotations that it lists", key, rollout, err)
		}
	}
	return keys, ""
}

// listed are the annotations that both books say a rollout has written.
func listed(notes map[string]any, rollout string) (keys []string, problem string) {
	for _, key := range []string{bookKey, formerKey} {
		b, problem := readBook(notes, key)
		if problem != "" {
			return nil, problem
		}
		more, problem := b.of(rollout, key)
		if problem != "" {
			return nil, problem
		}
		keys = append(keys, more...)
	}
	slices.Sort(keys)
	return slices.Compact(keys), ""
}

// enter makes the book list a rollout's annotations; none takes the rollout out. The order
// of a list that has the same keys stays. Other rollouts' lists are kept.
func enter(notes map[string]any, rollout string, keys []string) {
	old, _ := readBook(notes, bookKey) // listed has read it before
	have, _ := old.of(rollout, bookKey)
	if former, _ := readBook(notes, formerKey); former[rollout] != nil {
		delete(former, rollout)
		put(notes, formerKey, former)
	}
	if sameSet(have, keys) && (len(keys) > 0) == (old[rollout] != nil) {
		return
	}
	b := maps.Clone(old)
	if b == nil {
		b = book{}
	}
	delete(b, rollout)
	if len(keys) > 0 {
		raw, _ := json.Marshal(keys) //nolint:errchkjson // strings have a form
		b[rollout] = raw
	}
	put(notes, bookKey, b)
}

func put(notes map[string]any, key string, b book) {
	if len(b) == 0 {
		delete(notes, key)
		return
	}
	for rollout, raw := range b {
		b[rollout] = compact(raw)
	}
	text, _ := json.Marshal(b) //nolint:errchkjson // what was read can be written
	notes[key] = string(text)
}

func sameSet(a, b []string) bool {
	set := func(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
	return len(a) == len(b) && reflect.DeepEqual(set(a), set(b))
}

// service is what an annotation's key is about: kind is "actions." or "conditions.".
func service(key, kind string) (name string, is bool) {
	_, name, _ = strings.Cut(key, "/")
	return strings.CutPrefix(name, kind)
}
