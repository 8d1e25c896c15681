package notify

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestAJournalKnowsWhatWasSent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	j, err := OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxJournal {
		j.Sent(fmt.Sprint("id-", i))
	}
	f, err := os.OpenFile(filepath.Join(dir, "sent"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("half of an i") // the process was killed
	again, err := OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	if last := fmt.Sprint("id-", 3*maxJournal-1); !again.Has(last) || again.Has("id-0") || again.Has("id") || len(again.order) > maxJournal {
		t.Errorf("it knows %d, the last %v, the first %v", len(again.order), again.Has(last), again.Has("id-0"))
	}
	var none *Journal
	if none.Sent("a"); none.Has("a") {
		t.Error("no journal knows something")
	}
	if _, err := OpenJournal(filepath.Join(dir, "sent", "below")); err == nil {
		t.Error("a directory that cannot be made is none")
	}
}

// TestNothingIsSentAgainAfterADeath between the delivery and the status.
func TestNothingIsSentAgainAfterADeath(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		st := pending("a")
		for life := range 2 {
			j, err := OpenJournal(dir)
			if err != nil {
				t.Fatal(err)
			}
			p := newPosting(t, nil)
			p.Journal = j
			p.post("u", st)
			synctest.Wait()
			time.Sleep(time.Second)
			if len(p.desk.received()) != 1-life || len(p.Settle(types.UID("u"), st).Pending) != 0 {
				t.Errorf("life %d: got %q, still pending %v", life, p.desk.received(), p.Settle(types.UID("u"), st).Pending)
			}
		}
	})
}
