package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// policies are the names of the policies in a text of manifests.
func policies(t *testing.T, text string) (names []string) {
	t.Helper()
	for _, doc := range strings.Split(text, "---\n") {
		var o struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		if o.Kind == "ValidatingAdmissionPolicy" {
			names = append(names, strings.TrimPrefix(o.Metadata.Name, "penstock-guard-"))
		}
	}
	return names
}

func TestGuardIsForTheRoutersOfTheCluster(t *testing.T) {
	s := newServer(t)
	s.groups = []string{"apps", "networking.istio.io", "traefik.io"}
	got := s.call(t.Context(), "guard")
	if d := cmp.Diff([]string{"istio", "istio-subsets", "traefik"}, policies(t, got.out)); d != "" || got.code != 0 {
		t.Errorf("code %d, %s\n%s", got.code, d, got.err)
	}
	got = s.call(t.Context(), "guard", "--router", "smi,nginx", "--account", "system:serviceaccount:x:y")
	if d := cmp.Diff([]string{"smi", "nginx"}, policies(t, got.out)); d != "" || strings.Count(got.out, "username != ''system:serviceaccount:x:y''") == 0 &&
		strings.Count(got.out, "username != 'system:serviceaccount:x:y'") != 2 {
		t.Errorf("%s\n%s", d, got.out)
	}
}

func TestGuardSaysWhatItCannotDo(t *testing.T) {
	s := newServer(t)
	got := s.call(t.Context(), "guard", "--router", "envoy")
	if got.code != 1 || !strings.Contains(got.err, `--router: there is no "envoy"; there are istio, istio-subsets, nginx`) {
		t.Errorf("code %d: %s", got.code, got.err)
	}
	got = s.call(t.Context(), "guard") // it serves no list of groups
	if got.code != 1 || !strings.Contains(got.err, "ask the cluster which kinds it serves") {
		t.Errorf("code %d: %s", got.code, got.err)
	}
}
