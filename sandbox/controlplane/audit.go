package controlplane

import (
	"encoding/json"
	"fmt"
)

// Audit asks the API server for a log of who asked it what: one JSON object of kind
// Event (audit.k8s.io/v1) a line, without the contents of the objects.
type Audit struct {
	// Path of the log; it is made when it is missing, and stays after Stop.
	Path string
	// Users are whose requests are logged; none means everybody's, the controllers'
	// of the control plane included.
	Users []string
}

// flags writes the policy and returns what kube-apiserver needs to follow it.
func (a *Audit) flags(dir *stateDir) ([]string, error) {
	if a == nil {
		return nil, nil
	}
	rule := map[string]any{"level": "Metadata"}
	if len(a.Users) > 0 {
		rule["users"] = a.Users
	}
	text, err := json.Marshal(map[string]any{
		"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": []any{rule},
		// A request is told once, when it is answered; a watch twice, at both ends.
		"omitStages": []string{"RequestReceived"},
	})
	if err != nil {
		return nil, fmt.Errorf("write the audit policy: %w", err)
	}
	path, err := dir.write("audit-policy.yaml", text)
	if err != nil {
		return nil, err
	}
	// Without a large limit the log is cut into files of 100 MB.
	return []string{"--audit-policy-file=" + path, "--audit-log-path=" + a.Path, "--audit-log-maxsize=10000"}, nil
}
