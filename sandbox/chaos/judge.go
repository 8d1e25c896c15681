package chaos

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
)

// judge answers the analyses of all Rollouts: how many percent of requests fail.
type judge struct {
	*httptest.Server
	mu  sync.Mutex
	bad map[string]bool
}

func newJudge() *judge {
	j := &judge{bad: map[string]bool{}}
	j.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j.mu.Lock()
		defer j.mu.Unlock()
		percent := 0
		if j.bad[r.URL.Path[1:]] {
			percent = 9
		}
		fmt.Fprintf(w, `{"percent":%d}`, percent)
	}))
	return j
}

func (j *judge) sentence(name string, bad bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.bad[name] = bad
}

// template is what the Rollouts' analyses name.
func (j *judge) template() string {
	return `
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: verdict}
spec:
  args: [{name: name}]
  metrics:
  - name: errors
    interval: 1s
    count: 2
    successCondition: result <= 5
    provider: {web: {url: "` + j.URL + `/{{args.name}}", jsonPath: "{$.percent}"}}
`
}
