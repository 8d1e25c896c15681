package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/rpc"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	goplugin "github.com/hashicorp/go-plugin"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	v2 "github.com/penstock-io/penstock/plugin/v2"
)

// TestMain lets this program be the plugin: go-plugin sets the cookie for it.
func TestMain(m *testing.M) {
	if os.Getenv(cookieKey) == Step.Cookie {
		v2.Serve(v2.OfStep(second{}))
		return
	}
	if cookie := os.Getenv(cookieKey); cookie != "" {
		goplugin.Serve(&goplugin.ServeConfig{
			HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: cookieKey, MagicCookieValue: cookie},
			Plugins:         goplugin.PluginSet{"toy": served{}},
		})
		return
	}
	os.Exit(m.Run())
}

type served struct{}

func (served) Server(*goplugin.MuxBroker) (any, error) { return &toy{}, nil }

func (served) Client(*goplugin.MuxBroker, *rpc.Client) (any, error) {
	return nil, errors.New("not here")
}

// toy is the plugin; its first argument says what is wrong with it.
type toy struct{}

func fault() string {
	if len(os.Args) > 1 {
		return os.Args[1]
	}
	return ""
}

func (*toy) InitPlugin(_ any, reply *Error) error {
	if fault() == "refuses" {
		reply.ErrorString = "no licence"
	}
	if fault() == "hangs at first" {
		select {}
	}
	return nil
}

func (*toy) Type(_ any, reply *string) error { *reply = fmt.Sprint(os.Getpid()); return nil }

func (*toy) Die(_ any, _ *string) error { os.Exit(3); return nil }

func (*toy) Hang(_ any, _ *string) error { select {} }

func (*toy) Stop(_ any, _ *string) error {
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		return err
	}
	select {}
}

func (*toy) No(_ any, _ *string) error { return errors.New("no") }

// binary is this program, and its sum.
func binary(t *testing.T) (path, sum string) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if sum, err = sumOf(path); err != nil {
		t.Fatal(err)
	}
	return path, sum
}

// having makes a registry whose ConfigMap has this list.
func having(t *testing.T, list string) *Registry {
	t.Helper()
	r := &Registry{
		Kind: Kind{Name: "toy", Key: "toys", Cookie: "toycookie", Dispense: "toy"}, Dir: t.TempDir(), Log: logr.Discard(),
		Config:  func(context.Context) (map[string]string, error) { return map[string]string{"toys": list}, nil },
		Secrets: func(context.Context, string) (map[string][]byte, error) { return nil, errors.New("no such Secret") },
	}
	t.Cleanup(r.Close)
	return r
}

func item(name, location, sum string, args ...string) string {
	text := fmt.Sprintf("- name: %q\n  location: %q\n  sha256: %q\n", name, location, sum)
	if len(args) > 0 {
		text += fmt.Sprintf("  args: [%q]\n", args[0])
	}
	return text
}

// ask calls a method within limit.
func ask(r *Registry, method string, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var reply string
	err := r.Call(ctx, "a/toy", method, new(any), &reply)
	if err != nil {
		return "", err
	}
	return reply, nil
}

const long = time.Minute

func TestAPluginIsStartedOnceAndAgainAfterACrash(t *testing.T) {
	path, sum := binary(t)
	r := having(t, item("a/toy", "file://"+path, sum))
	first, err := ask(r, "Type", long)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := ask(r, "Type", long); err != nil || second != first {
		t.Errorf("the second call met %s, not %s: %v", second, first, err)
	}
	if _, err := ask(r, "No", long); err == nil || err.Error() != "no" {
		t.Errorf("got %v", err)
	}
	// Covers: analysis edge 115.
	if _, err := ask(r, "Die", long); err == nil || !strings.HasPrefix(err.Error(), "plugin a/toy has died: ") {
		t.Errorf("got %v", err)
	}
	if third, err := ask(r, "Type", long); err != nil || third == first {
		t.Errorf("after the crash: %s, %v", third, err)
	}
}

func TestAPluginThatHangs(t *testing.T) {
	path, sum := binary(t)
	r := having(t, item("a/toy", "file://"+path, sum))
	first, err := ask(r, "Type", long)
	if err != nil {
		t.Fatal(err)
	}
	for range patience {
		if _, err := ask(r, "Hang", 10*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "plugin a/toy: no answer to Hang in time") {
			t.Errorf("got %v", err)
		}
	}
	// It answers other calls meanwhile, and is started anew in the end.
	for deadline := time.Now().Add(long); ; {
		now, err := ask(r, "Type", long)
		if err == nil && now != first {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %s: %v", now, err)
		}
	}
}

func TestAChangedEntryStartsAnotherProgram(t *testing.T) {
	path, sum := binary(t)
	list := item("a/toy", "file://"+path, sum)
	r := having(t, "")
	r.Config = func(context.Context) (map[string]string, error) { return map[string]string{"toys": list}, nil }
	first, err := ask(r, "Type", long)
	if err != nil {
		t.Fatal(err)
	}
	list = item("a/toy", "file://"+path, sum, "another argument")
	r.read = time.Time{} // as after a while
	if second, err := ask(r, "Type", long); err != nil || second == first {
		t.Errorf("got %s, %v", second, err)
	}
	r.Close()
	if _, err := ask(r, "Type", long); err == nil || !strings.Contains(err.Error(), "the controller is ending") {
		t.Errorf("got %v", err)
	}
}

func TestBrokenConnections(t *testing.T) {
	for err, want := range map[error]bool{
		rpc.ServerError("EOF"): false, errors.New("gob: type not registered for interface"): false,
		rpc.ErrShutdown: true, io.ErrUnexpectedEOF: true, errors.New("session shutdown"): true, errors.New("reading body gob: wrong type"): true,
	} {
		if got := broken(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	if broken(nil) {
		t.Error("no error")
	}
}

func TestAConfigMapThatCannotBeReadAgain(t *testing.T) {
	path, sum := binary(t)
	r := having(t, item("a/toy", "file://"+path, sum))
	first, err := ask(r, "Type", long)
	if err != nil {
		t.Fatal(err)
	}
	r.Config = func(context.Context) (map[string]string, error) { return nil, errors.New("no API server") }
	r.read = time.Now().Add(-fresh - time.Second)
	if again, err := ask(r, "Type", long); err != nil || again != first {
		t.Errorf("%s, %v", again, err)
	}
	r.read = time.Now().Add(-stale)
	if _, err := ask(r, "Type", long); err == nil || err.Error() != "plugin a/toy: no API server" {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotBeUsed(t *testing.T) {
	path, sum := binary(t)
	other := strings.Repeat("ab", 32)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	textSum := sha256.Sum256([]byte("no program"))
	for name, c := range map[string]struct{ list, want string }{
		"not listed":          {"", "plugin a/toy not configured in configmap"},
		"no list":             {"a: b", "plugin a/toy: ConfigMap argo-rollouts-config, data[toys]: want a list of plugins"},
		"an odd name":         {item("a/toy", "file://"+path, sum) + item("odd", "file:///x", sum), ""},
		"twice":               {item("a/toy", "file://"+path, sum) + item("a/toy", "file:///x", sum), "plugin a/toy: ConfigMap argo-rollouts-config, data[toys][1].name: there are two of this name"},
		"no location":         {item("a/toy", "", sum), "plugin a/toy: ConfigMap argo-rollouts-config, data[toys][0].location: want an http, https or file URL"},
		"a sum of SHA-1":      {item("a/toy", "file://"+path, strings.Repeat("ab", 20)), "plugin a/toy: ConfigMap argo-rollouts-config, data[toys][0].sha256: want 64 hexadecimal digits, got 40 characters"},
		"no sum":              {item("a/toy", "file://"+path, ""), "plugin a/toy: sha256 is not set; if you trust what is at file://" + path + " now, set it to " + sum},
		"another sum":         {item("a/toy", "file://"+path, other), "plugin a/toy: sha256 is " + other + ", but file://" + path + " has " + sum + ": it is not executed"},
		"no such file":        {item("a/toy", "file:///no/such/file", sum), "plugin a/toy: location: open /no/such/file: "},
		"another scheme":      {item("a/toy", "ftp://x/y", sum), "plugin a/toy: location: want an http, https or file URL"},
		"disabled":            {item("a/toy", "file://"+path, sum) + "  disabled: true\n", "plugin a/toy is disabled in ConfigMap argo-rollouts-config"},
		"a server that is no": {item("a/toy", "http://127.0.0.1:1/x", sum), "plugin a/toy: fetch the binary: "},
		"no program":          {item("a/toy", "file://"+text, hex.EncodeToString(textSum[:])), "plugin a/toy: start: "},
		"it refuses":          {item("a/toy", "file://"+path, sum, "refuses"), "plugin a/toy: InitPlugin: no licence"},
		"its Secret is gone":  {item("a/toy", "http://127.0.0.1:1/x", sum) + "  headersFrom: [{secretRef: {name: s}}]\n", "plugin a/toy: headersFrom: no such Secret"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(having(t, c.list), "Type", long)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	t.Run("it hangs while it starts", func(t *testing.T) {
		_, err := ask(having(t, item("a/toy", "file://"+path, sum, "hangs at first")), "Type", 100*time.Millisecond)
		if err == nil || !strings.HasPrefix(err.Error(), "plugin a/toy: wait for its start: context deadline exceeded") {
			t.Errorf("got %v", err)
		}
	})
}

// TestTheManifestOfTheDocs: docs/analysis.md shows what can be read.
func TestTheManifestOfTheDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/analysis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "kind: ConfigMap\n")
	text, _, closed := strings.Cut(text, "```")
	config := &corev1.ConfigMap{}
	if err := yaml.Unmarshal([]byte(text), config); err != nil || !ok || !closed || config.Name != ConfigMap {
		t.Fatalf("%v: %+v", err, config)
	}
	table, err := Parse(Metric.Key, config.Data[Metric.Key])
	if e := table["argoproj-labs/sample-prometheus"]; err != nil || e.Err != nil || len(e.HeadersFrom) != 1 || len(e.Args) != 1 {
		t.Errorf("got %+v, %v", e, err)
	}
}

// TestDownload: headers of the Secret go with the request, but not to another host.
func TestDownload(t *testing.T) {
	path, sum := binary(t)
	var tokens []string
	asked := 0
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		tokens = append(tokens, r.Header.Get("X-Token"))
		http.ServeFile(w, r, path)
	}))
	defer there.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens = append(tokens, r.Header.Get("X-Token"))
		http.Redirect(w, r, there.URL, http.StatusFound)
	}))
	defer first.Close()
	r := having(t, item("a/toy", first.URL, sum)+"  headersFrom: [{secretRef: {name: s}}]\n")
	r.Secrets = func(_ context.Context, name string) (map[string][]byte, error) {
		return map[string][]byte{"X-Token": []byte("of " + name + "\n")}, nil
	}
	if _, err := ask(r, "Type", long); err != nil {
		t.Fatal(err)
	}
	if len(tokens) != 2 || tokens[0] != "of s" || tokens[1] != "" {
		t.Errorf("tokens %q", tokens)
	}
	again := having(t, item("a/toy", first.URL, sum))
	again.Dir = r.Dir
	if _, err := ask(again, "Type", long); err != nil || asked != 1 {
		t.Errorf("what is here already was fetched again: %d, %v", asked, err)
	}
}

// FuzzParse: whatever stands in the ConfigMap, there is no panic, and no entry without a
// name and a place is taken for good.
func FuzzParse(f *testing.F) {
	f.Add("- name: a/b\n  location: file:///x\n  sha256: ab\n")
	f.Add("[{}, null, 1]")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := Parse("k", text)
		if err != nil {
			return
		}
		for name, e := range table {
			if e.Err == nil && (!nameForm.MatchString(name) || e.Location == "") {
				t.Errorf("%q: %+v", text, e)
			}
		}
	})
}
