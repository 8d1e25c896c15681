// Command lintrules writes docs/lint-rules.md from the table of rules.
//
// Usage: lintrules docs/lint-rules.md
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/penstock-io/penstock/internal/lint"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: lintrules FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(page(lint.Rules)), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "lintrules:", err)
		os.Exit(1)
	}
}

// page is the text: a table, then each rule with its reason and repair.
func page(rules []lint.Rule) string {
	var b strings.Builder
	b.WriteString("# Rules of lint\n\nWhat `kubectl penstock lint` looks for ([how to run it](lint.md)).\n" +
		"Generated from the table in `internal/lint`; do not edit.\n\n| Rule | | What holds |\n| --- | --- | --- |\n")
	for _, r := range rules {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", r.ID, r.ID, r.Severity, r.Title)
	}
	for _, r := range rules {
		fmt.Fprintf(&b, "\n## %s\n\n%s (%s).\n\nWhy: %s\n\nRepair: %s.\n", r.ID, r.Title, r.Severity, r.Why, r.Repair)
	}
	return b.String()
}
