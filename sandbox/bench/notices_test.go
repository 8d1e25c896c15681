package bench

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
)

// TestMessagesOfKilledControllers: N1, small.
//
// Covers: outage 41.
func TestMessagesOfKilledControllers(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Penstock: program(t, "controller"), Workloads: []string{"N1"}, Out: &out, Err: io.Discard, kills: 3}); err != nil {
		t.Fatal(err)
	}
	var r Notices
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Kills != 3 || r.Due != 6 || r.Delivered != 6 || r.Lost != 0 {
		t.Errorf("%s: %v", out.String(), err)
	}
}

// TestTheTallySeesWhatIsWrong keeps the bench itself honest.
func TestTheTallySeesWhatIsWrong(t *testing.T) {
	box := &mailbox{got: map[string][]string{"a": {"1", "1", "2"}, "c": {"3"}, "nobody asked": {"4"}}}
	var r Notices
	box.tally(map[string]bool{"a": true, "b": true, "c": true}, &r)
	if r != (Notices{Due: 3, Delivered: 2, Lost: 1, Duplicates: 2, Known: 1}) {
		t.Errorf("%+v", r)
	}
}
