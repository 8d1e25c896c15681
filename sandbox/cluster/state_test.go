package cluster

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPortsFree(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for offset := range ports {
		if err := portsFree(port - offset); err == nil || !strings.Contains(err.Error(), "in use by another program") {
			t.Errorf("with port %d of three taken: %v", offset+1, err)
		}
	}
	if err := portsFree(0); err != nil {
		t.Errorf("free ports: %v", err)
	}
	for _, base := range []int{-1, 65534, 1 << 20} {
		if err := portsFree(base); err == nil || !strings.Contains(err.Error(), "is not between") {
			t.Errorf("base %d: %v", base, err)
		}
	}
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestStateRemovesWhatItMade(t *testing.T) {
	tests := map[string]struct {
		there []string // before
		write bool     // the sandbox logged something
		keep  bool
		want  []string // below the parent, afterwards
	}{
		"a directory that it made":             {write: true},
		"a directory that was there":           {there: []string{"state"}, write: true, want: []string{"state"}},
		"a directory with a file of the user":  {there: []string{"state", "state/mine"}, write: true, want: []string{"state", "state/mine"}},
		"logs that are kept":                   {write: true, keep: true, want: []string{"state", "state/sandbox.log"}},
		"a directory that another sandbox has": {there: []string{"state", "state/prometheus"}, want: []string{"state", "state/prometheus"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			for _, d := range test.there {
				if err := os.MkdirAll(filepath.Join(parent, d), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			s, err := newState(filepath.Join(parent, "state"))
			if err != nil {
				t.Fatal(err)
			}
			log := s.log("sandbox.log")
			if test.write {
				if err := os.MkdirAll(s.path("prometheus"), 0o700); err != nil {
					t.Fatal(err)
				}
				if _, err := log.Write([]byte("started\n")); err != nil {
					t.Fatal(err)
				}
			}
			if test.keep {
				s.keepLogs()
			}
			s.remove()
			if n, err := log.Write([]byte("late\n")); n != 5 || err != nil {
				t.Errorf("a late line: %d, %v", n, err)
			}
			var got []string
			for _, d := range names(t, parent) {
				got = append(got, d)
				for _, f := range names(t, filepath.Join(parent, d)) {
					got = append(got, d+"/"+f)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("left are %v, want %v", got, test.want)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	text := "# nothing\n---\nkind: Kustomization\n---\nkind: A\nmetadata: {name: a}\n---\n---\n{\"kind\": \"B\"}\n"
	objects, err := Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, o := range objects {
		kinds = append(kinds, o.GetKind()+o.GetName())
	}
	if want := []string{"Aa", "B"}; !slices.Equal(kinds, want) {
		t.Errorf("decoded %v, want %v", kinds, want)
	}
	if _, err := Decode([]byte("kind: A\n---\nkind: [\n")); err == nil || !strings.Contains(err.Error(), "decode document 2") {
		t.Errorf("of a broken second document it says %v", err)
	}
}
