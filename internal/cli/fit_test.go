package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Whoever watches on a narrow terminal sees every line whole enough to act on.
func TestAPictureFitsTheTerminal(t *testing.T) {
	w := pictures()["canary"]
	for _, p := range pictures()["trial"].pods {
		p.Name = strings.Replace(p.Name, "web-", "recommendations-of-the-day-service-", 1)
		w.pods = append(w.pods, p)
	}
	w.rollout.Status.Message = "a message that has many words, 也有宽的字符在这里, which no narrow terminal could show in one line"
	for _, columns := range []int{40, 60, 80} {
		for _, colour := range []paint{false, true} {
			got := render(w, style{colour: colour, columns: columns})
			for l := range strings.Lines(got) {
				if l = strings.TrimSuffix(l, "\n"); width(l) > columns {
					t.Errorf("%d columns: %q takes %d", columns, l, width(l))
				}
				if colour && strings.Count(l, "\x1b[") != 2*strings.Count(l, plain) {
					t.Errorf("%d columns: %q leaves a colour on", columns, l)
				}
			}
			if !colour {
				golden(t, fmt.Sprintf("canary-%d", columns), got)
			}
		}
	}
}

// A terminal shows a limited number of lines: calm pods are counted, all others stay.
func TestAPictureOfManyPodsFitsTheTerminal(t *testing.T) {
	w := pictures()["canary"]
	for i := range 200 {
		var mods []func(*corev1.Pod)
		if i == 77 {
			mods = append(mods, func(p *corev1.Pod) { p.Status.ContainerStatuses[0].Ready = false })
		}
		w.pods = append(w.pods, *givenPod("web-old", fmt.Sprintf("p%03d", i), time.Hour, mods...))
	}
	got := render(w, style{columns: 80, lines: 40})
	if lines := strings.Count(got, "\n"); lines > 40 || !strings.Contains(got, "web-old-p077") || !strings.Contains(got, "□ 202 pods") {
		t.Errorf("%d lines:\n%s", lines, got)
	}
	if tiny := render(w, style{columns: 80, lines: 10}); strings.Count(tiny, "\n") > 10 || !strings.Contains(tiny, "lines more") {
		t.Errorf("of ten lines:\n%s", tiny)
	}
	if all := render(w, style{}); strings.Count(all, "□") != 204 {
		t.Errorf("in a pipe there are %d pods", strings.Count(all, "□"))
	}
}

func TestNamesAreShortenedInTheirMiddle(t *testing.T) {
	for name, want := range map[string]string{"short": "short", "└──□ recommendations-6f7d9-q8zxm": "└──□ recomm…d9-q8zxm"} {
		mustEqual(t, name, shorten(name, 20), want)
	}
}
