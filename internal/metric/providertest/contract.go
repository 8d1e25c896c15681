package providertest

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/penstock-io/penstock/internal/metric"
)

// Secret is the credential that the fixture's request must send.
const Secret = "s3cr3t/t0ken+&\"x"

// Answer is what the pretend source says, and what the provider makes of it.
type Answer struct {
	// Status is the HTTP status, 200 when zero.
	Status int
	Header map[string]string
	Body   string
	// Want is the expected Result. For NoData answers only Value and Why are compared,
	// Why when it is not empty.
	Want metric.Result
	// WantErr must be part of the error; for answers that are an error.
	WantErr string
}

// Wire is the request as the source must receive it, byte for byte.
type Wire struct {
	Method, Path, Query, Body string
	// Header lists the headers that must have these values; "" is for absent.
	Header map[string]string
}

// Fixture describes one provider to the contract.
type Fixture struct {
	New func() metric.Provider
	// Request makes a request to the source at url, with limit, in whole seconds, as its
	// time limit, and Secret as credential and in Secrets.
	Request func(url string, limit time.Duration) metric.Request
	Wire    Wire
	// Anonymous is for sources that take no credential at all.
	Anonymous bool
	// Values, NoData and Broken are answers by an English sentence.
	Values, NoData, Broken map[string]Answer
	// Echo is a good answer that repeats text wherever the protocol can carry it.
	Echo func(text string) Answer
}

// Check is one clause of the contract.
type Check struct {
	Name string
	Run  func(Fixture) error
}

// Run runs the whole contract.
func Run(t *testing.T, f Fixture) {
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if err := c.Run(f); err != nil {
				t.Error(err)
			}
		})
	}
}

// Checks lists the clauses.
func Checks() []Check {
	return []Check{
		{"answers become values", checkValues},
		{"an answer that holds nothing is no data", checkNoData},
		{"a broken answer is an error that names the cause", checkBroken},
		{"a server error is an error with its status", checkStatus},
		{"an unreachable source is an error", checkUnreachable},
		{"a slow source is an error within the time limit, which it names", checkSlow},
		{"a source that stalls in the middle of its answer is an error within the time limit", checkStall},
		{"an endless answer is an error", checkEndless},
		{"the request is right, byte for byte", checkWire},
		{"no secret comes out, even when the source echoes it", checkSecrets},
		{"text of the source that is cut leaves no part of a secret", checkCuts},
		{"what is asked can be told", checkDescribe},
		{"a cancelled context ends the call at once", checkCancel},
		{"concurrent calls do not disturb each other", checkConcurrent},
	}
}

func each(answers map[string]Answer, check func(name string, a Answer) error) error {
	names := make([]string, 0, len(answers))
	for name := range answers {
		names = append(names, name)
	}
	if len(names) == 0 {
		return fmt.Errorf("the fixture has no answers for this check")
	}
	slices.Sort(names)
	for _, name := range names {
		if err := check(name, answers[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (a Answer) write(w http.ResponseWriter) {
	for k, v := range a.Header {
		w.Header().Set(k, v)
	}
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	_, _ = w.Write([]byte(a.Body)) // a client that has gone is the client's matter
}
