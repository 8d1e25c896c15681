package main

import (
	"strings"
	"testing"

	"github.com/penstock-io/penstock/internal/lint"
)

func TestThePageHasEveryRuleWithItsReasonAndRepair(t *testing.T) {
	text, seen := page(lint.Rules), map[string]bool{}
	for _, r := range lint.Rules {
		if seen[r.ID] || r.Title == "" || r.Why == "" || r.Repair == "" || r.Check == nil {
			t.Errorf("rule %q is not whole, or there twice", r.ID)
		}
		seen[r.ID] = true
		for _, want := range []string{"\n## " + r.ID + "\n", "\nWhy: " + r.Why + "\n", "\nRepair: " + r.Repair + ".\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q", want)
			}
		}
	}
}
