package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// audited is a line of an audit log, as kube-apiserver writes it.
func audited(at, stage, verb, object, code string) string {
	return `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a","stage":"` + stage + `","verb":"` + verb +
		`","user":{"username":"controller-under-test"},"userAgent":"controller/v1","objectRef":` + object +
		`,"responseStatus":{"metadata":{},"code":` + code + `},"requestReceivedTimestamp":"2026-11-23T10:00:` + at + `Z","stageTimestamp":"2026-11-23T10:00:59.000000Z"}` + "\n"
}

const (
	rollouts = `{"resource":"rollouts","namespace":"shop","name":"web","apiGroup":"argoproj.io","apiVersion":"v1alpha1"}`
	status   = `{"resource":"rollouts","namespace":"shop","name":"web","apiGroup":"argoproj.io","apiVersion":"v1alpha1","subresource":"status"}`
	sets     = `{"resource":"replicasets","namespace":"shop","name":"web-1","apiGroup":"apps","apiVersion":"v1"}`
	events   = `{"resource":"events","namespace":"shop","apiVersion":"v1"}`
	leases   = `{"resource":"leases","namespace":"home","name":"lock","apiGroup":"coordination.k8s.io","apiVersion":"v1"}`
)

func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return at
}

func tallied(t *testing.T, from time.Time, text string) tally {
	t.Helper()
	l := &auditLog{path: filepath.Join(t.TempDir(), "audit.log")}
	if err := os.WriteFile(l.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.read(); err != nil {
		t.Fatal(err)
	}
	return l.since(from)
}

func TestWhatIsCounted(t *testing.T) {
	begin := moment("2026-11-23T10:00:10Z")
	const done, started = "ResponseComplete", "ResponseStarted"
	for name, c := range map[string]struct {
		line string
		want tally
		as   string
	}{
		"a patch is a write":                             {audited("11.5", done, "patch", sets, "200"), tally{writes: 1}, "patch replicasets"},
		"a subresource is named":                         {audited("11.5", done, "patch", status, "200"), tally{writes: 1}, "patch rollouts/status"},
		"a refused write is one too, by its code":        {audited("11.5", done, "patch", sets, "409"), tally{writes: 1}, "patch replicasets (409)"},
		"an event is a write, and counted on its own":    {audited("11.5", done, "create", events, "201"), tally{writes: 1, events: 1}, "create events"},
		"a deletion is a write":                          {audited("11.5", done, "delete", sets, "200"), tally{writes: 1}, "delete replicasets"},
		"a get is a read":                                {audited("11.5", done, "get", sets, "404"), tally{gets: 1}, "get replicasets (404)"},
		"a list is a read":                               {audited("11.5", done, "list", sets, "200"), tally{lists: 1}, "list replicasets"},
		"a watch counts when it begins":                  {audited("11.5", started, "watch", rollouts, "200"), tally{watches: 1}, "watch rollouts"},
		"and not when it ends":                           {audited("11.5", done, "watch", rollouts, "200"), tally{}, ""},
		"a Lease is left out":                            {audited("11.5", done, "update", leases, "200"), tally{}, ""},
		"a request is counted once":                      {audited("11.5", "RequestReceived", "patch", sets, "0"), tally{}, ""},
		"one that came before the release is not":        {audited("09.9", done, "patch", sets, "200"), tally{}, ""},
		"what is about no object is not":                 {strings.Replace(audited("11.5", done, "get", "null", "200"), `"objectRef":null,`, "", 1), tally{}, ""},
		"a line that is being written is read next time": {strings.TrimSuffix(audited("11.5", done, "patch", sets, "200"), "\n"), tally{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := tallied(t, begin, c.line)
			c.want.names, c.want.agents = map[string]int{}, map[string]int{}
			if c.as != "" {
				c.want.names[c.as], c.want.agents["controller/v1"] = 1, 1
			}
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(tally{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAGrowingLogIsReadOnce(t *testing.T) {
	l := &auditLog{path: filepath.Join(t.TempDir(), "audit.log")}
	if err := l.read(); err != nil || !l.lastWrite().IsZero() {
		t.Fatalf("there is no log yet: %v", err)
	}
	text := audited("11.5", "ResponseComplete", "patch", sets, "200") + audited("12.5", "ResponseComplete", "create", events, "201") +
		audited("13.5", "ResponseComplete", "get", sets, "200")
	for n := 0; n <= len(text); n += 97 {
		if err := os.WriteFile(l.path, []byte(text[:n]), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := l.read(); err != nil {
			t.Fatalf("with %d bytes: %v", n, err)
		}
	}
	os.WriteFile(l.path, []byte(text), 0o600) //nolint:errcheck // read tells
	if err := l.read(); err != nil {
		t.Fatal(err)
	}
	got := l.since(time.Time{})
	if got.writes != 2 || got.events != 1 || got.gets != 1 || got.agents["controller/v1"] != 3 {
		t.Errorf("counted are %+v", got)
	}
	if at := l.lastWrite(); !at.Equal(moment("2026-11-23T10:00:12.5Z")) {
		t.Errorf("the last write is of %v", at)
	}
}

func TestABrokenLogIsAnError(t *testing.T) {
	l := &auditLog{path: filepath.Join(t.TempDir(), "audit.log")}
	os.WriteFile(l.path, []byte(audited("11.5", "ResponseComplete", "patch", sets, "200")+"{oops\n"), 0o600) //nolint:errcheck // read tells
	if err := l.read(); err == nil || !strings.HasPrefix(err.Error(), "read the audit log at byte ") {
		t.Errorf("the error is %v", err)
	}
}
