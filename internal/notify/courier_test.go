package notify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/argoproj/notifications-engine/pkg/services"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// desk is a service that keeps what it gets, and answers as it is told.
type desk struct {
	mu     sync.Mutex
	got    []string
	answer func(text string) error
}

func (d *desk) Send(n services.Notification, to services.Destination) error {
	if d.answer != nil {
		if err := d.answer(n.Message); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, to.Recipient+" "+n.Message)
	return nil
}

func (d *desk) received() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.got)
}

var webKey = types.NamespacedName{Namespace: "shop", Name: "web"}

// posting is a courier with a desk, and what it woke and complained of.
type posting struct {
	*Courier
	desk     *desk
	woken    atomic.Int32
	troubles []string
}

func newPosting(t *testing.T, answer func(string) error) *posting {
	p := &posting{desk: &desk{answer: answer}}
	b := booked(map[string]string{"template.said": `message: "{{.event}}"`})
	b.of("").Add("desk", p.desk)
	p.Courier = NewCourier(b, func(string, types.NamespacedName) { p.woken.Add(1) }, time.Now)
	p.Trouble = func(_ *Letter, text string) { p.troubles = append(p.troubles, text) }
	t.Cleanup(p.Close)
	return p
}

func pending(texts ...string) *v1alpha1.NotificationStatus {
	st := &v1alpha1.NotificationStatus{}
	for _, text := range texts {
		st.Pending = append(st.Pending, v1alpha1.PendingNotification{ID: text, Trigger: "on-rollout-aborted", Templates: []string{"said"}, Service: "desk",
			Recipient: "web", Event: text, At: metav1.NewTime(time.Now())})
	}
	return st
}

func (p *posting) post(uid types.UID, st *v1alpha1.NotificationStatus) {
	p.Post("Rollout", webKey, uid, st, subject)
}

// TestALetterArrivesOnce, however often passes come by before the status says that it did.
func TestALetterArrivesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPosting(t, nil)
		st := pending("a", "b")
		for range 3 {
			p.post("u", st)
			synctest.Wait()
		}
		if want := []string{"web a", "web b"}; !slices.Equal(p.desk.received(), want) || p.woken.Load() != 2 {
			t.Errorf("got %q, woken %d times", p.desk.received(), p.woken.Load())
		}
		settled := p.Settle("u", st)
		if len(settled.Pending) != 0 || len(st.Pending) != 2 {
			t.Errorf("settled are %v, of %v", settled.Pending, st.Pending)
		}
		p.post("u", settled)
		if len(p.fates) != 0 {
			t.Errorf("it still knows %v", p.fates)
		}
	})
}

// TestALetterIsTriedAgain until the service takes it, in order, and says so once.
func TestALetterIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := time.Now().Add(10 * time.Minute)
		p := newPosting(t, func(string) error {
			if time.Now().Before(until) {
				return errors.New("503, token t is fine")
			}
			return nil
		})
		st := pending("a", "b")
		p.post("u", st)
		synctest.Wait()
		if got := p.Settle("u", st); len(got.Pending) != 2 || !strings.HasPrefix(got.Pending[0].Failure, "503") {
			t.Errorf("the status says %+v", got.Pending)
		}
		if p.woken.Load() != 1 || len(p.troubles) != 1 || p.troubles[0] != "Could not tell desk:web of on-rollout-aborted: 503, token ***** is fine; it is tried again for 6h0m0s." {
			t.Errorf("woken %d times: %q", p.woken.Load(), p.troubles)
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if want := []string{"web a", "web b"}; !slices.Equal(p.desk.received(), want) || len(p.troubles) != 1 {
			t.Errorf("got %q, troubles %q", p.desk.received(), p.troubles)
		}
	})
}

// TestALetterIsGivenUp after hours, which is said too, and the next one goes.
func TestALetterIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPosting(t, func(text string) error {
			if text == "a" {
				return errors.New("no")
			}
			return nil
		})
		p.post("u", pending("a", "b"))
		time.Sleep(7 * time.Hour)
		synctest.Wait()
		if !slices.Equal(p.desk.received(), []string{"web b"}) || len(p.troubles) != 2 || !strings.HasSuffix(p.troubles[1], "it was tried for 6h0m0s and is given up.") {
			t.Errorf("got %q, troubles %q", p.desk.received(), p.troubles)
		}
	})
}

// TestAServiceThatHangsHoldsUpNobodyElse: not other services, and after a while not even itself.
func TestAServiceThatHangsHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		p := newPosting(t, func(text string) error {
			if strings.HasPrefix(text, "slow") {
				<-hang
			}
			return nil
		})
		other := &desk{}
		p.Book.of("").Add("other", other)
		for i := range lanes {
			p.post(types.UID(fmt.Sprint(i)), pending(fmt.Sprint("slow", i)))
		}
		st := pending("x")
		st.Pending[0].Service = "other"
		p.post("x", st)
		synctest.Wait()
		p.post("y", pending("y"))
		synctest.Wait()
		if !slices.Equal(other.received(), []string{"web x"}) || len(p.desk.received()) != 0 {
			t.Errorf("the other got %q, this one %q", other.received(), p.desk.received())
		}
		time.Sleep(patience + time.Second)
		synctest.Wait()
		if !slices.Equal(p.desk.received(), []string{"web y"}) {
			t.Errorf("after a minute it got %q", p.desk.received())
		}
		close(hang)
		synctest.Wait()
		if len(p.desk.received()) != lanes+1 {
			t.Errorf("in the end it got %q", p.desk.received())
		}
	})
}

// TestWhatCannotBeMadeHoldsUpNothingElse to the same recipient.
func TestWhatCannotBeMadeHoldsUpNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPosting(t, nil)
		st := pending("a", "b")
		st.Pending[0].Templates = []string{"gone"}
		p.post("u", st)
		synctest.Wait()
		if got := p.desk.received(); !slices.Equal(got, []string{"web b"}) {
			t.Errorf("got %q", got)
		}
		if left := p.Settle("u", st).Pending; len(left) != 1 || !strings.HasPrefix(left[0].Failure, `there is no template "gone"`) {
			t.Errorf("pending are %+v", left)
		}
	})
}

// TestANewConfigurationIsTriedAtOnce: nobody waits for the next try after a token was mended.
func TestANewConfigurationIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var good atomic.Bool
		p := newPosting(t, func(string) error {
			if !good.Load() {
				return errors.New("401")
			}
			return nil
		})
		p.post("u", pending("a"))
		time.Sleep(time.Hour)
		synctest.Wait()
		good.Store(true)
		at := time.Now()
		p.Retry()
		synctest.Wait()
		if len(p.desk.received()) != 1 || time.Since(at) != 0 {
			t.Errorf("got %q after %s", p.desk.received(), time.Since(at))
		}
	})
}

// TestALateLetterSaysWhatWas: the object has changed since.
func TestALateLetterSaysWhatWas(t *testing.T) {
	step := int32(3)
	s := subject().at(v1alpha1.PendingNotification{Phase: "Paused", Message: "CanaryPauseStep", Step: &step, Event: "it waits"})
	status, _ := s.Rollout["status"].(map[string]any)
	if status["phase"] != "Paused" || status["message"] != "CanaryPauseStep" || status["currentStepIndex"] != 3.0 || s.Event != "it waits" {
		t.Errorf("%v", s)
	}
	if was, _ := subject().Rollout["status"].(map[string]any); was["phase"] != "Degraded" {
		t.Errorf("the object itself was changed: %v", was)
	}
}
