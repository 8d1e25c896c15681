package lint

import (
	"fmt"
	"strings"
)

// Text is the findings for people: two lines each.
//
//	rollout.yaml:12: Rollout/web: spec.replicas: Invalid value: … [rollout]
//	  repair: set spec.replicas to 0 or more
func Text(all []Finding) string {
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintf(&b, "%s:%d: %s: ", f.File, f.Line, f.Object)
		if f.Severity == Advice {
			b.WriteString("advice: ")
		}
		if f.Path != "" && !strings.HasPrefix(f.Message, "spec.") {
			b.WriteString(f.Path + ": ")
		}
		fmt.Fprintf(&b, "%s [%s]\n", f.Message, f.Rule)
		if f.Repair != "" {
			fmt.Fprintf(&b, "  repair: %s\n", f.Repair)
		}
	}
	return b.String()
}
