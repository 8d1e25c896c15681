package lint

// report takes what a rule finds: the field, what is wrong, and a repair, "" for the one
// of the rule.
type report func(path, message, repair string)

// Rule is one row of the table.
type Rule struct {
	// ID never changes: manifests name it.
	ID       string
	Severity Severity
	// Title says in a line what the rule looks for, Why what happens otherwise, and Repair
	// what to do.
	Title, Why, Repair string
	// Check looks at one object, which may be of any kind.
	Check func(s *set, o *object, add report)
}

// Rules are all rules, in the order in which they look at an object.
var Rules []Rule

func init() { // the rules name the table, and Go allows no circle
	Rules = append(Rules, apiRules...)
	Rules = append(Rules, promqlRule)
	Rules = append(Rules, referenceRules...)
	Rules = append(Rules, adviceRules...)
}

// RuleByID finds a rule.
func RuleByID(id string) (Rule, bool) {
	for _, r := range Rules {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}
