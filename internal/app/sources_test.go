package app

import (
	"net/netip"
	"slices"
	"testing"

	"k8s.io/client-go/rest"
)

func TestMetricsMayNotAskTheAPIServer(t *testing.T) {
	none := func(string) string { return "" }
	for name, c := range map[string]struct {
		host string
		env  func(string) string
		want []string
	}{
		"by the address of the kubeconfig": {"https://127.0.0.1:6443", none, []string{"127.0.0.1:6443"}},
		"https has a port of its own":      {"https://10.0.0.1", none, []string{"10.0.0.1:443"}},
		"and http":                         {"http://10.0.0.1", none, []string{"10.0.0.1:80"}},
		"IPv6":                             {"https://[fd00::1]:6443", none, []string{"[fd00::1]:6443"}},
		"in a pod by its Service too": {"https://10.0.0.1:6443", func(k string) string {
			return map[string]string{"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "8443"}[k]
		}, []string{"10.0.0.1:6443", "10.96.0.1:8443"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := guard(&rest.Config{Host: c.host}, nil, c.env)
			var got []string
			for _, a := range g.APIServer {
				got = append(got, a.String())
				if g.Check(a) == nil {
					t.Errorf("%s may be asked", a)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("refused are %v, want %v", got, c.want)
			}
		})
	}
	g := guard(&rest.Config{Host: "https://127.0.0.1:6443"}, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, none)
	if err := g.Check(netip.MustParseAddrPort("127.0.0.1:6443")); err != nil {
		t.Errorf("allowed by flag: %v", err)
	}
}

func TestWhereTheControllersSecretsAre(t *testing.T) {
	if got := ownNamespace(func(string) string { return "ops" }, "kubeconfig"); got != "ops" {
		t.Error(got)
	}
	if got := ownNamespace(func(string) string { return "" }, "lease"); got != "lease" {
		t.Errorf("got %s", got)
	}
	if got := ownNamespace(func(string) string { return "" }, ""); got != "argo-rollouts" {
		t.Error(got)
	}
}
