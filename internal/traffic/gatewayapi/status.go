package gatewayapi

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// proof is what the gateways say about a route.
type proof int

// From the weakest to the strongest.
const (
	// silent: no gateway says anything.
	silent proof = iota
	// behind: a gateway reports, but not about this generation.
	behind
	// followed: every gateway accepts this generation and resolves its backends.
	followed
)

// status looks at status.parents. A condition that is False for the route's present
// generation is a problem; one for an older generation says nothing about this one.
func (p place) status() (pr proof, problem string) {
	v, _, _ := unstructured.NestedFieldNoCopy(p.object, "status", "parents")
	parents := objects.Entries(v)
	if len(parents) == 0 {
		return silent, ""
	}
	meta, _, _ := unstructured.NestedFieldNoCopy(p.object, "metadata", "generation")
	generation, _ := traffic.Parts(meta)
	pr = followed
	for _, parent := range parents {
		met := map[any]bool{}
		for _, c := range objects.Entries(parent["conditions"]) {
			kind := c["type"]
			seen, _ := traffic.Parts(c["observedGeneration"])
			if kind != "Accepted" && kind != "ResolvedRefs" || seen != generation {
				continue
			}
			if c["status"] == "False" && problem == "" {
				problem = fmt.Sprintf("%s: %s says %s is False, %s: %s", p.title(), parentName(parent), kind,
					text(c["reason"]), text(c["message"]))
			}
			met[kind] = c["status"] == "True"
		}
		if !met["Accepted"] || !met["ResolvedRefs"] {
			pr = behind
		}
	}
	return pr, problem
}

// parentName describes a parent: "Gateway infra/public, section https".
func parentName(parent map[string]any) string {
	ref, _ := parent["parentRef"].(map[string]any)
	kind, name := text(ref["kind"]), text(ref["name"])
	if kind == "" {
		kind = "Gateway"
	}
	if ns := text(ref["namespace"]); ns != "" {
		name = ns + "/" + name
	}
	if section := text(ref["sectionName"]); section != "" {
		name += ", section " + section
	}
	return kind + " " + name
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
