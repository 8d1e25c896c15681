package lint

import (
	"cmp"
	"slices"
)

// Severity is what a finding means for the exit code.
type Severity string

// The severities.
const (
	// Error is what the controller refuses.
	Error Severity = "error"
	// Advice is what it accepts, and what has hurt others.
	Advice Severity = "advice"
)

// Finding is one thing that a rule has to say about one object.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	// Line counts from 1 in the file; it is that of the nearest field that is there.
	Line int `json:"line"`
	// Object is its kind and name, such as Rollout/web.
	Object string `json:"object"`
	// Path is the field, such as spec.strategy.canary.steps[0]; "" for the whole object.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Repair says what to change; "" where that is not known.
	Repair string `json:"repair,omitempty"`
}

// Source is one text to look at, YAML or JSON with any number of documents.
type Source struct {
	// Name is the name of the file as findings give it.
	Name string
	Data []byte
}

// Check lists what the rules find in the sources, which are taken together: an object of
// one may name an object of another. Findings come by source and line. The error tells of
// a text that is no YAML, with its file and line.
func Check(sources []Source) ([]Finding, error) {
	s, err := read(sources)
	if err != nil {
		return nil, err
	}
	var all []Finding
	for _, o := range s.objects {
		for _, r := range Rules {
			if _, silent := o.ignored[r.ID]; silent && r.ID != ignoreRule {
				continue
			}
			r.Check(s, o, func(path, message, repair string) {
				if repair == "" {
					repair = r.Repair
				}
				all = append(all, Finding{Rule: r.ID, Severity: r.Severity, File: o.file, Line: o.line(path),
					Object: o.String(), Path: path, Message: message, Repair: repair})
			})
		}
	}
	order := map[string]int{}
	for i, src := range sources {
		order[src.Name] = i
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(order[a.File]-order[b.File], a.Line-b.Line)
	})
	return all, nil
}
