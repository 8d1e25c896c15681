package cli

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestAWrongNameGetsAHint(t *testing.T) {
	for name, c := range map[string]struct {
		objects    []client.Object
		args, want string
	}{
		"a letter too many":       {someRollouts(), "get rollout webb", "Did you mean \"web\"?\n"},
		"letters exchanged":       {someRollouts(), "abort aip", "Did you mean \"api\"?\n"},
		"the beginning":           {[]client.Object{givenRollout(named("recommendations", "shop"))}, "promote reco", "Did you mean \"recommendations\"?\n"},
		"another namespace":       {someRollouts(), "status a-rollout-with-a-long-name", "There is one in namespace \"bank\": use -n bank.\n"},
		"other namespaces":        {namesakes("a", "b", "bank", "c", "d", "e"), "get rollout web", "There are 6 in other namespaces, \"a\", \"b\", \"bank\", \"c\", \"d\" and 1 more: use -n a.\n"},
		"an empty namespace":      {nil, "get rollout web", "There are no rollouts in namespace \"shop\".\n"},
		"nothing like it":         {someRollouts(), "get rollout payments", ""},
		"an experiment":           {[]client.Object{givenExperiment()}, "terminate exp web-trail", "Did you mean \"web-trial\"?\n"},
		"a workload is not there": {[]client.Object{givenRollout(refersTo("apps/v1", "Deployment"))}, "set image web web=2", "There are no deployments in namespace \"shop\".\n"},
	} {
		got := newServer(t, c.objects...).call(t.Context(), strings.Fields(c.args)...)
		_, hint, _ := strings.Cut(got.err, " not found\n")
		if got.code == 0 || got.out != "" || hint != c.want {
			t.Errorf("%s: %+v, want the hint %q", name, got, c.want)
		}
	}
}

func namesakes(namespaces ...string) (all []client.Object) {
	for _, ns := range namespaces {
		all = append(all, givenRollout(named("web", ns)))
	}
	return all
}

// Whatever is wrong with the cluster or the way to it is said in one sentence.
func TestWhatIsWrongWithTheClusterIsSaid(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	answers := func(code int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			w.Write([]byte(body)) //nolint:errcheck // a test sees what comes
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // that a client turns away is what is asked for
	tls.StartTLS()
	t.Cleanup(tls.Close)
	empty := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ args, want string }{
		"no cluster answers":  {"--server http://" + closed.Addr().String(), "cannot reach the cluster at http://" + closed.Addr().String() + ": connection refused; is it up, and is it the right --context?"},
		"nobody is named":     {"--kubeconfig " + empty, "no kubeconfig names a cluster: set KUBECONFIG, or --kubeconfig and --context"},
		"expired credentials": {"--server " + answers(401, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401,"message":"Unauthorized"}`), "the cluster does not accept your credentials, which may have expired: log in again"},
		"no such kind":        {"--server " + answers(404, "404 page not found"), "the cluster does not know the kinds of argoproj.io: their CustomResourceDefinitions are not installed"},
		"a foreign authority": {"--server " + tls.URL, "do not trust the cluster at " + tls.URL},
		"no API server":       {"--server " + answers(200, "<html>"), "get rollout shop/web: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", empty)
			t.Setenv("HOME", t.TempDir())
			for _, command := range []string{"promote web", "list rollouts", "get rollout web", "status web --watch=false"} {
				var out, errs bytes.Buffer
				args := append([]string{"kubectl-penstock", "-n=shop"}, strings.Fields(command+" "+c.args)...)
				code := Run(t.Context(), Options{Args: args, Out: &out, Err: &errs})
				want := c.want
				if name == "no API server" && command != "promote web" {
					want = ""
				}
				if code == 0 || out.Len() > 0 || !strings.HasPrefix(errs.String(), "Error: "+want) || strings.Count(errs.String(), "\n") != 1 {
					t.Errorf("%s: exit code %d, output %q, errors %q", command, code, &out, &errs)
				}
			}
		})
	}
}
