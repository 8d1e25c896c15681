package mesh

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReportsAboutHTTPRoutes(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for name, tc := range map[string]struct {
		rules    string
		accepted string
		resolved string
	}{
		"a good route":                  {"\n- backendRefs: [{name: web-stable, port: 80}]", "True Accepted", "True ResolvedRefs"},
		"a missing backend":             {"\n- backendRefs: [{name: gone, port: 80}]", "True Accepted", "False BackendNotFound"},
		"a missing port":                {"\n- backendRefs: [{name: web-stable, port: 81}]", "True Accepted", "False BackendNotFound"},
		"a backend elsewhere":           {"\n- backendRefs: [{name: web-stable, namespace: other, port: 80}]", "True Accepted", "False RefNotPermitted"},
		"a backend of other kind":       {"\n- backendRefs: [{name: web-stable, kind: Bucket, port: 80}]", "True Accepted", "False InvalidKind"},
		"a filter we do not have":       {"\n- filters: [{type: URLRewrite}]\n  backendRefs: [{name: web-stable, port: 80}]", "False UnsupportedValue", "True ResolvedRefs"},
		"a regex that is broken":        {"\n- matches: [{path: {type: RegularExpression, value: '('}}]\n  backendRefs: [{name: web-stable, port: 80}]", "False UnsupportedValue", "True ResolvedRefs"},
		"a ready-less backend":          {"\n- backendRefs: [{name: web-canary, port: 80}]", "True Accepted", "True ResolvedRefs"},
		"a mirror to a missing service": {"\n- filters: [{type: RequestMirror, requestMirror: {backendRef: {name: gone, port: 80}}}]\n  backendRefs: [{name: web-stable, port: 80}]", "True Accepted", "False BackendNotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).apply(httpRoute(tc.rules)).service("web-stable", pod{name: "s1"}).service("web-canary")
			w.HTTPRoutes[0].Status.Parents = append(w.HTTPRoutes[0].Status.Parents, foreignParent())
			parents := Build(w.Objects, nil).reports[0].parents(now)
			if len(parents) != 2 || parents[0].ControllerName != "other.example/controller" || parents[1].ControllerName != ControllerName {
				t.Fatalf("parents = %+v, want the foreign one and ours", parents)
			}
			for i, want := range []string{tc.accepted, tc.resolved} {
				c := parents[1].Conditions[i]
				if got := fmt.Sprintf("%s %s", c.Status, c.Reason); got != want || c.ObservedGeneration != 3 {
					t.Errorf("condition %s = %s of generation %d, want %s of 3", c.Type, got, c.ObservedGeneration, want)
				}
			}
			// A second look at what was written changes nothing, even later.
			w.HTTPRoutes[0].Status.Parents = parents
			again := Build(w.Objects, nil).reports[0].parents(now.Add(time.Hour))
			if !sameParents(parents, again) {
				t.Errorf("parents change without a change:\n%s", cmp.Diff(parents, again))
			}
			w.HTTPRoutes[0].Generation = 4
			if sameParents(parents, Build(w.Objects, nil).reports[0].parents(now)) {
				t.Error("a new generation changes nothing")
			}
		})
	}
}
