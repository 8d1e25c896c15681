package guard

import (
	"bytes"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	// BreakGlass is the label that lets anybody change an object's shares, with any value. It
	// stands in the API server's audit log who set it.
	BreakGlass = "penstock.io/break-glass"
	// Account is the user that Penstock is where it was installed with the manifests of config.
	Account = "system:serviceaccount:penstock-system:penstock-controller"
)

// Policy is the policy of a kind and its binding. Account is Penstock's user name, as the API
// server knows it.
func Policy(k Kind, account string) (*admissionv1.ValidatingAdmissionPolicy, *admissionv1.ValidatingAdmissionPolicyBinding) {
	name := "penstock-guard-" + k.Name
	meta := metav1.ObjectMeta{Name: name, Labels: map[string]string{"app.kubernetes.io/part-of": "penstock"}}
	ignore, all, allow := admissionv1.Ignore, admissionv1.AllScopes, admissionv1.AllowAction
	same := "variables.before == variables.after"
	if k.Unordered {
		same = "sets.equivalent(variables.before, variables.after)"
	}
	p := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		FailurePolicy: &ignore,
		ParamKind:     &admissionv1.ParamKind{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Rollout"},
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Update},
			Rule:       admissionv1.Rule{APIGroups: []string{k.Group}, APIVersions: []string{"*"}, Resources: []string{k.Resource}, Scope: &all},
		}}}},
		MatchConditions: []admissionv1.MatchCondition{
			{Name: "not-penstock", Expression: fmt.Sprintf("request.userInfo.username != '%s'", account)},
			{Name: "no-broken-glass", Expression: fmt.Sprintf("!has(object.metadata.labels) || !('%s' in object.metadata.labels)", BreakGlass)},
		},
		Variables: []admissionv1.Variable{
			{Name: "under_way", Expression: "has(params.status) && has(params.status.currentPodHash) && has(params.status.stableRS) && params.status.stableRS != ''" +
				" && params.status.currentPodHash != params.status.stableRS"},
			{Name: "routed", Expression: "has(params.spec.strategy.canary) && has(params.spec.strategy.canary.trafficRouting)"},
			{Name: "routing", Expression: "params.spec.strategy.canary.trafficRouting"},
			{Name: "services", Expression: "[has(params.spec.strategy.canary.stableService) ? params.spec.strategy.canary.stableService : ''," +
				" has(params.spec.strategy.canary.canaryService) ? params.spec.strategy.canary.canaryService : '']" +
				" + (has(params.spec.strategy.canary.pingPong) ? [params.spec.strategy.canary.pingPong.pingService, params.spec.strategy.canary.pingPong.pongService] : [])"},
			{Name: "labels", Expression: "has(oldObject.metadata.labels) ? oldObject.metadata.labels : {}"},
			{Name: "before", Expression: strings.ReplaceAll(k.Shares, "OBJECT", "oldObject")},
			{Name: "after", Expression: strings.ReplaceAll(k.Shares, "OBJECT", "object")},
		},
		Validations: []admissionv1.Validation{{
			Expression: fmt.Sprintf("!(variables.under_way && variables.routed && %s && (%s)) || %s", k.Has, k.Ours, same),
			MessageExpression: "'rollout ' + params.metadata.name + ' is moving traffic over this object: its shares are not to be changed until the update is over." +
				" Promote or abort the rollout, or set the label " + BreakGlass + " on the object'",
		}},
	}}
	b := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName:        name,
		ParamRef:          &admissionv1.ParamRef{Selector: &metav1.LabelSelector{}, ParameterNotFoundAction: &allow},
		ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	gvk := func(kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: kind}
	}
	p.TypeMeta, b.TypeMeta = gvk("ValidatingAdmissionPolicy"), gvk("ValidatingAdmissionPolicyBinding")
	return p, b
}

// Manifest is a policy and its binding as YAML.
func Manifest(k Kind, account string) ([]byte, error) {
	p, b := Policy(k, account)
	var out bytes.Buffer
	for _, o := range []any{p, b} {
		text, err := yaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("write the policy of %s: %w", k.Name, err)
		}
		out.WriteString("---\n")
		out.Write(bytes.Replace(text, []byte("status: {}\n"), nil, 1))
	}
	return bytes.ReplaceAll(out.Bytes(), []byte("  creationTimestamp: null\n"), nil), nil
}
