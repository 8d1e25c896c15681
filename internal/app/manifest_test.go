package app

import (
	"path/filepath"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests builds config/default as kubectl apply -k does, by "Kind name".
func manifests(t *testing.T) map[string][]byte {
	t.Helper()
	dir := filepath.Join("..", "..", "config", "default")
	list, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("build %s: %v", dir, err)
	}
	out := map[string][]byte{}
	for _, r := range list.Resources() {
		data, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		out[r.GetKind()+" "+r.GetName()] = data
	}
	return out
}

func TestInstallationIsComplete(t *testing.T) {
	built := manifests(t)
	for _, want := range []string{
		"CustomResourceDefinition rollouts.argoproj.io", "CustomResourceDefinition analysisruns.argoproj.io",
		"CustomResourceDefinition analysistemplates.argoproj.io", "CustomResourceDefinition clusteranalysistemplates.argoproj.io",
		"Namespace penstock-system", "ServiceAccount penstock-controller", "Deployment penstock-controller",
		"ClusterRole penstock-controller", "ClusterRoleBinding penstock-controller", "Role penstock-controller", "RoleBinding penstock-controller",
	} {
		if built[want] == nil {
			t.Errorf("no %s", want)
		}
	}
}

func TestRolesGiveNoMoreThanNamed(t *testing.T) {
	for name, data := range manifests(t) {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal(data, &role); err != nil {
			t.Fatal(err)
		}
		if role.Kind != "ClusterRole" && role.Kind != "Role" {
			continue
		}
		for _, rule := range role.Rules {
			for _, list := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs} {
				if slices.Contains(list, "*") {
					t.Errorf("%s gives everything: %v", name, rule)
				}
			}
			named := role.Kind == "Role" && len(rule.ResourceNames) > 0 && !slices.Contains(rule.Verbs, "patch")
			if slices.Contains(rule.Resources, "secrets") && !slices.Equal(rule.Verbs, []string{"get"}) && !named {
				t.Errorf("%s may %v secrets", name, rule.Verbs)
			}
			if role.Kind == "ClusterRole" && slices.Contains(rule.Resources, "leases") {
				t.Errorf("%s may change leases in every namespace", name)
			}
		}
	}
}

func TestDeploymentFitsTheRestrictedPodSecurity(t *testing.T) {
	var d appsv1.Deployment
	if err := yaml.UnmarshalStrict(manifests(t)["Deployment penstock-controller"], &d); err != nil {
		t.Fatal(err)
	}
	pod := d.Spec.Template.Spec
	if pod.SecurityContext == nil || pod.SecurityContext.RunAsNonRoot == nil || !*pod.SecurityContext.RunAsNonRoot ||
		pod.SecurityContext.SeccompProfile == nil || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("pod: %+v", pod.SecurityContext)
	}
	c := pod.Containers[0].SecurityContext
	if c == nil || c.AllowPrivilegeEscalation == nil || *c.AllowPrivilegeEscalation || c.Capabilities == nil ||
		!slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) || c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem {
		t.Errorf("container: %+v", c)
	}
	if pod.TerminationGracePeriodSeconds == nil || *pod.TerminationGracePeriodSeconds <= int64(shutdownGrace.Seconds()) {
		t.Error("the pod is killed before the controller has stopped gracefully")
	}
}
