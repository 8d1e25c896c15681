package guard

import (
	"strings"
	"testing"
)

// What the expressions mean is tested on a real API server (sandbox/e2e/guard_test.go).
func TestEveryKindHasOnePolicyOfItsName(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds {
		p, b := Policy(k, "me")
		if seen[p.Name] || b.Spec.PolicyName != p.Name || p.Name != "penstock-guard-"+k.Name {
			t.Errorf("policy %s, binding of %s", p.Name, b.Spec.PolicyName)
		}
		seen[p.Name] = true
		text, err := Manifest(k, "me")
		if err != nil || strings.Contains(string(text), "OBJECT") || strings.Contains(string(text), "status") != strings.Contains(string(text), "params.status") ||
			!strings.Contains(string(text), "request.userInfo.username != 'me'") {
			t.Errorf("%v\n%s", err, text)
		}
	}
}
