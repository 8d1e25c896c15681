package objects

import (
	"fmt"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// WeightsOnly is a Refuse for routers that carry weights of stable and canary and nothing
// else.
func WeightsOnly(s traffic.Split) string {
	switch {
	case len(s.Extras()) > 0:
		return fmt.Sprintf("the destination %q of an experiment cannot be given a weight", s.Extras()[0].Service)
	case len(s.Headers) > 0:
		return fmt.Sprintf("header route %q cannot be set", s.Headers[0].Name)
	case len(s.Mirrors) > 0:
		return fmt.Sprintf("mirror route %q cannot be set", s.Mirrors[0].Name)
	}
	return ""
}

// Two checks what a router needs that tells stable and canary apart by their Services.
func Two(t traffic.Target) (problem string) {
	switch {
	case t.StableService == "" || t.CanaryService == "":
		return "Canary service and Stable service must to be set to use Traffic Routing"
	case t.StableService == t.CanaryService:
		return "This rollout uses the same service for the stable and canary services, but two different services are required."
	}
	return ""
}

// Entries are the maps of a decoded JSON list; what is no map is left out.
func Entries(list any) (out []map[string]any) {
	all, _ := list.([]any)
	for _, e := range all {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// Give writes a weight where it differs.
func Give(entry map[string]any, key string, weight int32) {
	if parts, exact := traffic.Parts(entry[key]); !exact || parts != int64(weight) {
		entry[key] = int64(weight)
	}
}

// Missing is what is read where an object that the router makes is not there: everything on
// stable, and an entry of no weight that no wanted split has, so that the object is made.
func Missing(total int32, t traffic.Target) traffic.Split {
	s := traffic.Two(total, 0, traffic.Destination{Service: t.StableService}, traffic.Destination{Service: t.CanaryService})
	s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra})
	return s
}

// Owner is the reference of an object to the Rollout that it is made for.
func Owner(t traffic.Target) map[string]any {
	return map[string]any{"apiVersion": v1alpha1.GroupVersion.String(), "kind": "Rollout", "name": t.Name, "uid": string(t.UID),
		"controller": true, "blockOwnerDeletion": true}
}

// Owned reports whether the Rollout controls an object. A Rollout that was deleted and made
// again has another UID, and its old objects go with the old one.
func Owned(object map[string]any, t traffic.Target) bool {
	meta, _ := object["metadata"].(map[string]any)
	for _, o := range Entries(meta["ownerReferences"]) {
		if o["controller"] == true && o["kind"] == "Rollout" && o["uid"] == string(t.UID) {
			return true
		}
	}
	return false
}
