package main

import (
	"bytes"
	"strings"
	"testing"
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
	cmd.SetArgs([]string{"--traefik-api-group=x", "--controllers=analysis"})
	if err := cmd.ExecuteContext(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if !strings.Contains(out.String(), "--traefik-api-group") {
		t.Errorf("log: %s", out.String())
	}
}
