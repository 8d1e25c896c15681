package lint

import (
	"bytes"
	"encoding/json"
)

// JSON is the findings as one object with a list, which is empty for none.
func JSON(all []Finding) (string, error) {
	if all == nil {
		all = []Finding{}
	}
	return encode(map[string]any{"findings": all})
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifRule struct {
	ID      string    `json:"id"`
	Short   sarifText `json:"shortDescription"`
	Full    sarifText `json:"fullDescription"`
	Help    sarifText `json:"help"`
	Default struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
}

type sarifResult struct {
	Rule      string          `json:"ruleId"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			Line int `json:"startLine"`
		} `json:"region"`
	} `json:"physicalLocation"`
	Logical []sarifLogical `json:"logicalLocations"`
}

type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
}

// level is a severity in the words of SARIF.
func level(s Severity) string {
	if s == Error {
		return "error"
	}
	return "note"
}

// SARIF is the findings in version 2.1.0 of the format, with all rules.
func SARIF(all []Finding) (string, error) {
	rules := make([]sarifRule, len(Rules))
	for i, r := range Rules {
		rules[i] = sarifRule{ID: r.ID, Short: sarifText{r.Title}, Full: sarifText{r.Why}, Help: sarifText{r.Repair}}
		rules[i].Default.Level = level(r.Severity)
	}
	results := make([]sarifResult, len(all))
	for i, f := range all {
		text := f.Message
		if f.Repair != "" {
			text += " (repair: " + f.Repair + ")"
		}
		var at sarifLocation
		at.Physical.Artifact.URI, at.Physical.Region.Line = f.File, f.Line
		name := f.Object
		if f.Path != "" {
			name += "/" + f.Path
		}
		at.Logical = []sarifLogical{{name}}
		results[i] = sarifResult{f.Rule, level(f.Severity), sarifText{text}, []sarifLocation{at}}
	}
	return encode(map[string]any{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []any{map[string]any{
			"tool":    map[string]any{"driver": map[string]any{"name": "penstock lint", "rules": rules}},
			"results": results,
		}},
	})
}

func encode(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.String(), err
}
