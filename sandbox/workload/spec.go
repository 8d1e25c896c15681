package workload

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Annotations of a pod that override what its image tag says.
const (
	// AnnotationErrorRate is the share of failing requests, as "5%" or "0.05".
	AnnotationErrorRate = "sandbox.penstock.io/error-rate"
	// AnnotationLatency is the median latency as a Go duration, as "300ms".
	AnnotationLatency = "sandbox.penstock.io/latency"
)

// DefaultLatency is the median latency of a server whose image and annotations
// name none.
const DefaultLatency = 5 * time.Millisecond

// maxLatency bounds the latency, so that a mistyped unit cannot hang a demo.
const maxLatency = 30 * time.Second

// repository is the end of every image reference that this package serves.
const repository = "penstock/demo"

// Spec says what one server answers. Equal Specs give equal sequences of
// answers.
type Spec struct {
	// Service is the value of the service label; Parse takes it from the pod
	// label app, else app.kubernetes.io/name, else "demo".
	Service string
	// Version is the version part of the image tag.
	Version string
	// Pod is the pod's name. It is in every answer and seeds the sequence of
	// faults; Parse leaves it to the caller.
	Pod string
	// ErrorRate is the share of requests answered with status 500, 0 to 1,
	// kept to one millionth.
	ErrorRate float64
	// Latency is the median time to answer.
	Latency time.Duration
}

// Parse reads the Spec of a pod from the image of its container, its
// annotations and its labels. The returned ok is false for an image that is
// not the demo image. An error means that it is the demo image but its tag or
// an annotation breaks the grammar in the package documentation.
func Parse(image string, annotations, labels map[string]string) (spec Spec, ok bool, err error) {
	tag, ok := demoTag(image)
	if !ok {
		return Spec{}, false, nil
	}
	spec, err = parseTag(tag)
	if err != nil {
		return Spec{}, true, fmt.Errorf("image %q: %w", image, err)
	}
	spec.Service = serviceOf(labels)
	if v, set := annotations[AnnotationErrorRate]; set {
		if spec.ErrorRate, err = parseRate(v); err != nil {
			return Spec{}, true, fmt.Errorf("annotation %s: %w", AnnotationErrorRate, err)
		}
	}
	if v, set := annotations[AnnotationLatency]; set {
		if spec.Latency, err = parseLatency(v); err != nil {
			return Spec{}, true, fmt.Errorf("annotation %s: %w", AnnotationLatency, err)
		}
	}
	return spec, true, nil
}

func serviceOf(labels map[string]string) string {
	for _, key := range []string{"app", "app.kubernetes.io/name"} {
		if v := labels[key]; v != "" {
			return v
		}
	}
	return "demo"
}

// demoTag returns the tag of a reference to the demo image, "latest" when it
// has none. A digest is ignored.
func demoTag(image string) (tag string, ok bool) {
	image, _, _ = strings.Cut(image, "@")
	name, tag := image, "latest"
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		name, tag = image[:colon], image[colon+1:]
	}
	return tag, name == repository || strings.HasSuffix(name, "/"+repository)
}

// parseTag splits a tag into its version and its faults. Words before the
// first fault belong to the version (v2-rc1); after it every word must be one.
func parseTag(tag string) (Spec, error) {
	spec := Spec{Latency: DefaultLatency}
	words := strings.Split(tag, "-")
	var version []string
	faulty := false
	for len(words) > 0 {
		used, err := takeFault(&spec, words)
		switch {
		case err != nil:
			return Spec{}, fmt.Errorf("tag %q: %w", tag, err)
		case used > 0:
			faulty = true
		case faulty:
			return Spec{}, fmt.Errorf("tag %q: word %q is no fault, write e<percent>, l<duration>, fails-<percent>pct or slow-<duration>", tag, words[0])
		default:
			version, used = append(version, words[0]), 1
		}
		words = words[used:]
	}
	spec.Version = strings.Join(version, "-")
	if spec.Version == "" {
		return Spec{}, fmt.Errorf("tag %q has no version before its faults", tag)
	}
	return spec, nil
}

// takeFault reads one fault from the front of words and tells how many words
// it used, 0 when there is none.
func takeFault(spec *Spec, words []string) (used int, err error) {
	word := words[0]
	switch {
	case word == "errors" || word == "latency":
		return 0, fmt.Errorf("the word %q is not in the grammar, write fails-<percent>pct or slow-<duration>", word)
	case word == "fails" || word == "slow":
		if len(words) < 2 {
			return 0, fmt.Errorf("%q needs a value after it", word)
		}
		if word == "slow" {
			spec.Latency, err = parseLatency(words[1])
			return 2, err
		}
		percent, found := strings.CutSuffix(words[1], "pct")
		if !found {
			return 0, fmt.Errorf("%q needs a value such as 5pct, got %q", word, words[1])
		}
		spec.ErrorRate, err = parseRate(percent + "%")
		return 2, err
	case startsWithDigit(word, "e"):
		if _, err := strconv.ParseFloat(word[1:], 64); err != nil {
			return 0, nil // such as the e2e of v1-e2e
		}
		spec.ErrorRate, err = parseRate(word[1:] + "%")
		return 1, err
	case startsWithDigit(word, "l"):
		spec.Latency, err = parseLatency(word[1:])
		return 1, err
	}
	return 0, nil
}

func startsWithDigit(word, prefix string) bool {
	rest, found := strings.CutPrefix(word, prefix)
	return found && rest != "" && rest[0] >= '0' && rest[0] <= '9'
}

// parseRate reads "5%" or "0.05".
func parseRate(s string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	rate, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no rate, write a percentage such as 5%% or a share such as 0.05", s)
	}
	if percent {
		rate /= 100
	}
	if !(rate >= 0 && rate <= 1) { // also refuses NaN
		return 0, fmt.Errorf("rate %q is outside 0%% to 100%%", s)
	}
	return rate, nil
}

func parseLatency(s string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return 0, fmt.Errorf("%q is no latency, write a duration such as 300ms", s)
	}
	if d < 0 || d > maxLatency {
		return 0, fmt.Errorf("latency %q is outside 0s to %s", s, maxLatency)
	}
	return d, nil
}
