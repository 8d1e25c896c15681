package istio

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// readRule tells which revision each of the two subsets selects; a subset without the
// hash label gives "". It also checks that the object can be written.
func readRule(object map[string]any, p plan) (stable, canary, problem string) {
	if owner := annotation(object); owner != "" && owner != p.name {
		return "", "", fmt.Sprintf("%s is managed by another Rollout, %q: give each Rollout a DestinationRule of its own, "+
			"or remove the annotation %s", p.ruleRef, owner, v1alpha1.ManagedByAnnotation)
	}
	if _, _, err := unstructured.NestedMap(object, "metadata", "annotations"); err != nil {
		return "", "", fmt.Sprintf("%s has annotations that are not a map: %v", p.ruleRef, err)
	}
	for _, c := range []struct {
		side
		hash *string
	}{{p.stable, &stable}, {p.canary, &canary}} {
		found := subset(object, c.subset)
		if len(found) == 0 {
			return "", "", fmt.Sprintf("%s has no subset %q: add it to spec.subsets", p.ruleRef, c.subset)
		}
		for i, s := range found {
			labels, isMap := s["labels"].(map[string]any)
			if s["labels"] != nil && !isMap {
				return "", "", fmt.Sprintf("%s has labels on the subset %q that are not a map", p.ruleRef, c.subset)
			}
			hash, _ := labels[v1alpha1.PodTemplateHashLabel].(string)
			if i > 0 && hash != *c.hash {
				return "", "", fmt.Sprintf("%s has the subset %q twice: remove one", p.ruleRef, c.subset)
			}
			*c.hash = hash
		}
	}
	return stable, canary, ""
}

// renderRule points the subsets at the split's revisions and signs the object, in place. An
// empty hash takes the label away; remove takes the signature away as well. Each extra
// destination has a subset, named as its Service, that tells its revision. The object has
// passed readRule.
func renderRule(object map[string]any, p place, s traffic.Split, remove bool) error {
	if problem := p.renderExtras(object, s); problem != "" && !remove {
		return errors.New(problem)
	}
	for role, name := range map[traffic.Role]string{traffic.Stable: p.stable.subset, traffic.Canary: p.canary.subset} {
		d, _ := s.Of(role)
		for _, sub := range subset(object, name) {
			setHash(sub, d.Hash)
		}
	}
	if !remove {
		return unstructured.SetNestedField(object, p.name, "metadata", "annotations", v1alpha1.ManagedByAnnotation)
	}
	unstructured.RemoveNestedField(object, "metadata", "annotations", v1alpha1.ManagedByAnnotation)
	if all, found, _ := unstructured.NestedMap(object, "metadata", "annotations"); found && len(all) == 0 {
		unstructured.RemoveNestedField(object, "metadata", "annotations")
	}
	return nil
}

// renderExtras adds, points and removes the subsets of extra destinations.
func (p place) renderExtras(object map[string]any, s traffic.Split) (problem string) {
	spec := asMap(object["spec"])
	list, _ := spec["subsets"].([]any)
	left := map[string]string{}
	var claim traffic.Claim
	for _, x := range s.Extras() {
		left[x.Service] = x.Hash
		claim.Extras = append(claim.Extras, x.Service)
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(e any) bool {
		sub, _ := e.(map[string]any)
		name, _ := sub["name"].(string)
		hash, wanted := left[name]
		if !p.ownSubset(sub) {
			if wanted {
				problem = fmt.Sprintf("%s has a subset %q already, and not by Penstock: remove it, or name the experiment's Service otherwise", p.ruleRef, name)
			}
			return false
		}
		if wanted {
			setHash(sub, hash)
			delete(left, name)
		}
		return !wanted
	})
	if problem != "" {
		return problem
	}
	for _, x := range s.Extras() {
		if hash, missing := left[x.Service]; missing {
			sub := map[string]any{"name": x.Service}
			setHash(sub, hash)
			kept = append(kept, sub)
		}
	}
	if len(kept) != len(list) || len(left) > 0 {
		spec["subsets"] = kept
	}
	if problem := claim.Put(object, p.key()); problem != "" {
		return p.ruleRef.String() + ": " + problem
	}
	return ""
}

// ownSubset reports whether the subset was added for an extra destination.
func (p place) ownSubset(subset map[string]any) bool {
	name, _ := subset["name"].(string)
	return name != "" && name != p.stable.subset && name != p.canary.subset && p.claims(name) &&
		!slices.Contains(p.rule.AdditionalSubsetNames, name)
}

// readExtras puts the revisions of the extra destinations into the split. A subset whose
// destination is gone is an extra one that nobody is sent to.
func (p place) readExtras(object map[string]any, s *traffic.Split) {
	list, _ := asMap(object["spec"])["subsets"].([]any)
	for _, sub := range objects.Entries(list) {
		if !p.ownSubset(sub) {
			continue
		}
		name, _ := sub["name"].(string)
		hash, _ := asMap(sub["labels"])[v1alpha1.PodTemplateHashLabel].(string)
		i := slices.IndexFunc(s.Destinations, func(d traffic.Destination) bool { return d.Role == traffic.Extra && d.Service == name })
		if i < 0 {
			*s = traffic.Widest(*s, traffic.Split{Headers: s.Headers, Mirrors: s.Mirrors,
				Destinations: []traffic.Destination{{Role: traffic.Extra, Service: name, Hash: hash}}})
			continue
		}
		s.Destinations[i].Hash = hash
	}
}

func setHash(subset map[string]any, hash string) {
	labels := asMap(subset["labels"])
	if hash != "" {
		if labels == nil {
			labels = map[string]any{}
			subset["labels"] = labels
		}
		labels[v1alpha1.PodTemplateHashLabel] = hash
		return
	}
	if _, ours := labels[v1alpha1.PodTemplateHashLabel]; !ours {
		return
	}
	delete(labels, v1alpha1.PodTemplateHashLabel)
	if len(labels) == 0 {
		delete(subset, "labels")
	}
}

// subset returns the object's own maps of the subsets with the name.
func subset(object map[string]any, name string) []map[string]any {
	v, _, _ := unstructured.NestedFieldNoCopy(object, "spec", "subsets")
	var found []map[string]any
	for _, s := range objects.Entries(v) {
		if s["name"] == name {
			found = append(found, s)
		}
	}
	return found
}

func annotation(object map[string]any) string {
	v, _, _ := unstructured.NestedString(object, "metadata", "annotations", v1alpha1.ManagedByAnnotation)
	return v
}

// ruleHost is the full name of the host that the DestinationRule is about; "" where it has
// none or a wildcard, and the subset name alone must do.
func ruleHost(object map[string]any, namespace string) string {
	host, _, _ := unstructured.NestedString(object, "spec", "host")
	if host == "" || host[0] == '*' {
		return ""
	}
	return full(host, namespace)
}
