package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"
)

func TestFlags(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string // in the error; "" for none
	}{
		"the version needs no cluster": {[]string{"--version"}, ""},
		"published flags are accepted": {[]string{"--version", "--experiment-threads=3", "--alb-ingress-classes=a", "--alb-ingress-classes=b",
			"--metricsport=1", "--self-service-notification-enabled", "--leader-election-lease-duration=20s", "--istio-api-version=v1"}, ""},
		"an unknown flag":                {[]string{"--no-such-flag"}, "no-such-flag"},
		"a log level that is none":       {[]string{"--loglevel=loud"}, "log level"},
		"a log format that is none":      {[]string{"--logformat=xml"}, "neither text nor json"},
		"analysis only":                  {[]string{"--controllers=analysis"}, "always runs all controllers"},
		"a network that is none":         {[]string{"--allow-metric-network=10.0.0.0/33"}, "neither a network"},
		"a kubeconfig that is not there": {[]string{"--kubeconfig=/no/such/file"}, "/no/such/file"},
		"words":                          {[]string{"now"}, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			cmd := newCommand(&out)
			cmd.SetArgs(c.args)
			cmd.SetOut(&out)
			err := cmd.ExecuteContext(t.Context())
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestFlagsWithoutEffectAreNamed(t *testing.T) {
	var out bytes.Buffer
	cmd := newCommand(&out)
	cmd.SetArgs([]string{"--ingress-api-version=x", "--controllers=analysis"})
	if err := cmd.ExecuteContext(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if !strings.Contains(out.String(), "--ingress-api-version") {
		t.Errorf("log: %s", out.String())
	}
}

// Covers: defect 24.
func TestTheIntervalOfVerification(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "30": 30 * time.Second, "1": time.Second, "0": 0, "-5": 0, "10s": 0, "x": 0, "86401": 0, "99999999999999999999": 0,
	} {
		if got := verifyInterval(text, logr.Discard()); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestVerificationHasTwoFlags(t *testing.T) {
	for _, arg := range []string{"", "--aws-verify-target-group", "--alb-verify-weight"} {
		cmd, f := newCommand(io.Discard), &flags{without: pflag.NewFlagSet("", pflag.ContinueOnError)}
		s := pflag.NewFlagSet("", pflag.ContinueOnError)
		f.add(s)
		if err := s.Parse(slices.DeleteFunc([]string{arg}, func(a string) bool { return a == "" })); err != nil {
			t.Fatal(err)
		}
		if got := f.options.VerifyTargetGroups; got != (arg != "") || cmd.Flags().Lookup("alb-verify-weight") == nil {
			t.Errorf("%q: %v", arg, got)
		}
		if f.options.ALBTag != "ingress.k8s.aws/resource" || len(f.options.ALBClasses) != 1 {
			t.Errorf("%+v", f.options)
		}
	}
}

func TestWhereTheLeaseIs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, namespace: shop}}]\nclusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		pod, given, want string
	}{
		"outside of a cluster it is in the kubeconfig's namespace": {"", "", "shop"},
		"a flag decides": {"", "ops", "ops"},
		"in a pod the library finds the pod's namespace": {"10.0.0.1", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBERNETES_SERVICE_HOST", c.pod)
			f := &flags{rules: &clientcmd.ClientConfigLoadingRules{ExplicitPath: file}}
			f.options.LeaseNamespace = c.given
			o, err := f.toOptions(logr.Discard())
			if err != nil || o.LeaseNamespace != c.want {
				t.Errorf("namespace %q, error %v; want %q", o.LeaseNamespace, err, c.want)
			}
		})
	}
}
