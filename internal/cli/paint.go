package cli

import (
	"regexp"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// paint says whether colours are wanted.
type paint bool

// Select-graphic-rendition codes.
const (
	green, red, yellow, blue = "32", "31", "33", "94"
)

// plain ends a colour.
const plain = "\x1b[0m"

var escape = regexp.MustCompile("\x1b\\[[0-9;]*m")

func (p paint) with(code, text string) string {
	if !p || code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + plain
}

func pad(painted string, to int) string {
	return painted + strings.Repeat(" ", max(0, to-width(painted)))
}

// icon draws one of the published status icons.
func (p paint) icon(icon string) string {
	switch icon {
	case iconOK:
		return p.with(green, icon)
	case iconBad, iconWarning:
		return p.with(red, icon)
	case iconWaiting, iconUnknown:
		return p.with(yellow, icon)
	case iconProgressing:
		return p.with(blue, icon)
	}
	return icon
}

// status is an icon and a word; a status without icon is the word alone.
func (p paint) status(icon, word string) string {
	return strings.TrimSpace(p.icon(icon) + " " + word)
}

// roles joins roles, each in its colour.
func (p paint) roles(roles []string, separator string) string {
	painted := make([]string, len(roles))
	for i, role := range roles {
		switch role {
		case "stable", "active":
			painted[i] = p.with(green, role)
		case "canary":
			painted[i] = p.with(yellow, role)
		case "preview", "ping", "pong":
			painted[i] = p.with(blue, role)
		default:
			painted[i] = role
		}
	}
	return strings.Join(painted, separator)
}

// The published icons.
const (
	iconOK          = "✔"
	iconProgressing = "◌"
	iconWaiting     = "◷"
	iconPaused      = "॥"
	iconBad         = "✖"
	iconWarning     = "⚠"
	iconUnknown     = "?"
	iconNeutral     = "•"
)

func rolloutIcon(p v1alpha1.RolloutPhase) string {
	switch p {
	case v1alpha1.RolloutPhaseHealthy:
		return iconOK
	case v1alpha1.RolloutPhaseProgressing:
		return iconProgressing
	case v1alpha1.RolloutPhasePaused:
		return iconPaused
	case v1alpha1.RolloutPhaseDegraded:
		return iconBad
	}
	return iconUnknown
}

func analysisIcon(p v1alpha1.AnalysisPhase) string {
	switch p {
	case v1alpha1.AnalysisPhaseSuccessful:
		return iconOK
	case v1alpha1.AnalysisPhaseRunning:
		return iconProgressing
	case v1alpha1.AnalysisPhasePending:
		return iconWaiting
	case v1alpha1.AnalysisPhaseFailed:
		return iconBad
	case v1alpha1.AnalysisPhaseError:
		return iconWarning
	case v1alpha1.AnalysisPhaseInconclusive:
		return iconUnknown
	}
	return ""
}

// podIcon looks at the reason behind "Init:" first, so that a failing init container
// does not look like one that is busy.
func podIcon(status string) string {
	reason, initializing := strings.CutPrefix(status, "Init:")
	switch {
	case reason == "Running", reason == "Completed":
		return iconOK
	case reason == "Failed", reason == "InvalidImageName", reason == "CrashLoopBackOff",
		strings.HasPrefix(reason, "Signal:"), strings.HasPrefix(reason, "ExitCode:"):
		return iconBad
	case reason == "ImagePullBackOff", reason == "RegistryUnavailable",
		strings.HasSuffix(reason, "Error"), strings.HasPrefix(reason, "Err"):
		return iconWarning
	case initializing, reason == "Pending", reason == "Terminating", reason == "ContainerCreating", reason == "PodInitializing":
		return iconProgressing
	case reason == "Unknown":
		return iconUnknown
	}
	return ""
}
