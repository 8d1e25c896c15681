package mesh

import (
	"regexp"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"
)

// nginxCanary is what the annotations of a canary Ingress ask for. The header
// is asked first; where it decides nothing, the weight of the total does.
type nginxCanary struct {
	header        string
	always, never text // nil when no value of the header means that
	weight, total int64
}

// headerHolds is false for a request without the header.
func (c nginxCanary) headerHolds(holds text) func(*request) bool {
	return func(r *request) bool {
		value, present := r.header(c.header)
		return present && holds(value)
	}
}

// canaryOf reads the annotations. What is malformed counts as left out, as with
// ingress-nginx, and is a problem.
func (b *builder) canaryOf(ingress *networkingv1.Ingress) (c nginxCanary, isCanary bool) {
	note := func(name string) string { return ingress.Annotations[nginxPrefix+name] }
	wrong := func(name, why string) {
		b.problem("Ingress %s/%s: annotation %s %q: %s", ingress.Namespace, ingress.Name, name, note(name), why)
	}
	if text := note("canary"); text != "" {
		var err error
		if isCanary, err = strconv.ParseBool(text); err != nil {
			wrong("canary", "want true or false")
		}
	}
	if !isCanary {
		return c, false
	}
	number := func(name string, least, missing int64) int64 {
		text := note(name)
		if text == "" {
			return missing
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < least {
			wrong(name, "want a whole number from "+strconv.FormatInt(least, 10))
			return missing
		}
		return n
	}
	c.total = number("canary-weight-total", 1, 100)
	c.weight = min(number("canary-weight", 0, 0), c.total)
	if note("canary-by-cookie") != "" {
		wrong("canary-by-cookie", "it is not supported")
	}
	c.header = note("canary-by-header")
	value, pattern := note("canary-by-header-value"), note("canary-by-header-pattern")
	switch {
	case c.header == "":
	case value != "":
		c.always = exact(value)
	case pattern != "":
		re, err := regexp.Compile(pattern)
		if err != nil {
			wrong("canary-by-header-pattern", err.Error())
			break
		}
		c.always = re.MatchString // anywhere in the value
	default:
		c.always, c.never = exact("always"), exact("never")
	}
	return c, true
}
