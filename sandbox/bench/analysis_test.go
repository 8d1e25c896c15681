package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhichWorkloads(t *testing.T) {
	for given, want := range map[string]string{
		"": "W1", "W1": "W1", "w1": "W1", "analysis": "A1 A2 A3", "A2, a1": "A1 A2", "A3,A3,W1": "W1 A3", "Analysis,A1": "A1 A2 A3", "traffic": "W2 W3 W4", "c1,W1": "W1 C1", "w4,W1,traffic": "W1 W2 W3 W4",
	} {
		var names []string
		if given != "" {
			names = strings.Split(given, ",")
		}
		todo, err := workloads(names)
		if err != nil {
			t.Errorf("%q: %v", given, err)
		}
		var got []string
		for _, w := range todo {
			got = append(got, w.name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q gives %q, want %q", given, got, want)
		}
	}
	if _, err := workloads([]string{"W1", "A4"}); err == nil || !strings.Contains(err.Error(), `"A4"`) {
		t.Errorf("A4: %v", err)
	}
}

func TestWindowsAreComparedOursByTheirs(t *testing.T) {
	ours := Window{Workload: "A2", Controller: "penstock", Runs: 10, Cores: .1, RSS: 60, Requests: 20, Writes: 10, StartCPU: 1, StartRSS: 70,
		Measured: &Measured{Measurements: 60}}
	other := Window{Workload: "A2", Controller: "other", Runs: 10, Cores: .4, RSS: 120, Requests: 80, Writes: 0, StartCPU: 4, StartRSS: 140,
		Measured: &Measured{Measurements: 30}}
	want := WindowRatio{Workload: "A2", Runs: 10, Ours: "penstock", Other: "other", Cores: .25, RSS: .5, Requests: .25, Writes: 0,
		StartCPU: .25, StartRSS: .5, Measurements: 2}
	if d := cmp.Diff(want, compareWindows(ours, other)); d != "" {
		t.Error(d)
	}
}

// Lines of A1 have no fields that are about measurements.
func TestTheFieldsOfAWindow(t *testing.T) {
	w := Window{Workload: "A1", Controller: "penstock", Runs: 3, Seconds: 30}
	w.take(tally{writes: 5, events: 2, gets: 1, lists: 2, watches: 3, names: map[string]int{"patch analysisruns": 3, "create events": 2}})
	if w.Requests != 11 || w.Writes != 5 || w.Events != 2 {
		t.Errorf("counted are %+v", w)
	}
	var line, table bytes.Buffer
	if err := printJSON(&line, w); err != nil || strings.Contains(line.String(), "measurements") {
		t.Errorf("printed is %s (%v)", line.String(), err)
	}
	if w.table(&table); !strings.Contains(table.String(), "3  patch analysisruns\n         2  create events") {
		t.Errorf("the table is\n%s", table.String())
	}
	w.Measured = measured(w, 8, 10*time.Second)
	if w.Measurements != 8 || w.Due != 9 || w.WritesPerRunMinute != 3.333 {
		t.Errorf("measured is %+v", w.Measured)
	}
	var fields map[string]any
	line.Reset()
	printJSON(&line, w) //nolint:errcheck // the fields tell
	if err := json.Unmarshal(line.Bytes(), &fields); err != nil || fields["due"] != 9. || fields["still_running"] != 0. {
		t.Errorf("printed is %s (%v)", line.String(), err)
	}
}

func TestWhenAControllerHasSettled(t *testing.T) {
	// Each number is CPU time in ms, one second after the other.
	for name, c := range map[string]struct {
		cpu  []int
		calm bool
		busy int
	}{
		"one that was never seen":               {nil, false, 0},
		"too early to tell":                     {[]int{0, 900, 900, 900, 900}, false, 1},
		"it rests after a second":               {[]int{0, 900, 900, 900, 900, 900, 900}, true, 1},
		"a little is no work":                   {[]int{0, 900, 950, 950, 1000, 1000, 1000}, true, 2},
		"it works on":                           {[]int{0, 900, 1800, 2700, 3600, 4500, 5400}, false, 6},
		"it has begun again":                    {[]int{0, 900, 900, 900, 900, 900, 2000}, false, 6},
		"the beginning does not count for good": {[]int{0, 900, 900, 2000, 2000, 2000, 2000, 2000, 2000}, true, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var u usage
			for i, ms := range c.cpu {
				u = append(u, sample{time.Duration(i) * time.Second, time.Duration(ms) * time.Millisecond})
			}
			if u.calm() != c.calm || u.busy() != time.Duration(c.busy)*time.Second {
				t.Errorf("calm is %v, busy until %s", u.calm(), u.busy())
			}
		})
	}
}

func TestTheMachinesCPU(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"cpu  100 20 30 9999 888 7 6 5 4 3\ncpu0 1 1 1": 1630 * time.Millisecond, // stolen time is nobody's, guests are in user and nice
		"cpu  1 2": 30 * time.Millisecond,
		"":         0,
		"cpu x":    0,
	} {
		if got := busyCPU(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	for given, want := range map[string]time.Duration{"": 0, "5": 5, "9 1 5": 5, "4 1 3 2": 3} {
		var all []time.Duration
		for _, word := range strings.Fields(given) {
			var d int
			fmt.Sscan(word, &d) //nolint:errcheck // a constant
			all = append(all, time.Duration(d))
		}
		if got := median(all); got != want {
			t.Errorf("the median of %q is %d", given, got)
		}
	}
}
