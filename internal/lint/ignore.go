package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// IgnoreAnnotation silences rules on the object that has it, each with a reason:
// "rule-id: reason; other-id: reason".
const IgnoreAnnotation = "lint.penstock.io/ignore"

// ignoreRule is the rule about the annotation, which nothing silences.
const ignoreRule = "ignore"

// reasons reads the annotation. A rule without a reason has "".
func reasons(text string) map[string]string {
	all := map[string]string{}
	for _, entry := range strings.Split(text, ";") {
		id, reason, _ := strings.Cut(entry, ":")
		if id = strings.TrimSpace(id); id != "" {
			all[id] = strings.TrimSpace(reason)
		}
	}
	return all
}

func checkIgnore(_ *set, o *object, add report) {
	at := "metadata.annotations[" + IgnoreAnnotation + "]"
	for _, id := range slices.Sorted(maps.Keys(o.ignored)) {
		switch _, known := RuleByID(id); {
		case !known:
			add(at, fmt.Sprintf("there is no rule %q", id), "")
		case id == ignoreRule:
			add(at, fmt.Sprintf("rule %q cannot be silenced", id), "")
		case o.ignored[id] == "":
			add(at, fmt.Sprintf("rule %q is silenced without a reason", id), "")
		}
	}
}
