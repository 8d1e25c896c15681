package metric

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Redacted stands where a secret stood.
const Redacted = "*****"

// Redact replaces every secret in text, also in its URL-escaped and quoted forms.
// Secrets that overlap in the text go together, so that none leaves a rest; secrets
// shorter than four characters are replaced only as whole words, since "1" would
// otherwise wipe out every number.
func Redact(text string, secrets []string) string {
	var hidden []bool
	for _, secret := range secrets {
		for _, s := range forms(secret) {
			hidden = hide(text, s, hidden)
		}
	}
	if hidden == nil {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			b.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString(Redacted)
		}
	}
	return b.String()
}

// forms are the spellings in which a secret can show up in a text.
func forms(secret string) []string {
	if secret == "" {
		return nil
	}
	all := []string{secret}
	add := func(s string) {
		for _, known := range all {
			if s == known {
				return
			}
		}
		all = append(all, s)
	}
	add(url.QueryEscape(secret))
	add(url.PathEscape(secret))
	quoted := strconv.Quote(secret)
	add(quoted[1 : len(quoted)-1])
	if raw, err := json.Marshal(secret); err == nil {
		add(string(raw[1 : len(raw)-1]))
	}
	return all
}

// hide marks where word stands in text, overlapping places included.
func hide(text, word string, hidden []bool) []bool {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return hidden
		}
		start := from + i
		end := start + len(word)
		from = start + 1
		if len(word) < 4 && (start > 0 && wordByte(text[start-1]) || end < len(text) && wordByte(text[end])) {
			continue
		}
		if hidden == nil {
			hidden = make([]bool, len(text))
		}
		for j := end - 1; j >= start; j-- {
			hidden[j] = true
		}
	}
}

func wordByte(c byte) bool {
	return c == '_' || c == '.' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// Credentials lists what must never come out of a measurement: the secrets of the run,
// and the credentials that are written into the metric itself, in its authentication, its
// headers and the user part of its address, also as basic auth encodes them.
func (r Request) Credentials(auth v1alpha1.Authentication, headers []v1alpha1.WebMetricHeader, address string) []string {
	all := append([]string(nil), r.Secrets...)
	all = append(all, auth.OAuth2.ClientSecret)
	if b := auth.BasicAuth; b.Password != "" {
		all = append(all, b.Password, base64.StdEncoding.EncodeToString([]byte(b.Username+":"+b.Password)))
	}
	for _, h := range headers {
		if strings.EqualFold(h.Key, "Authorization") {
			all = append(all, h.Value)
			if _, token, ok := strings.Cut(h.Value, " "); ok {
				all = append(all, token)
			}
		}
	}
	if u, err := url.Parse(address); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok {
			all = append(all, password, base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
		}
	}
	return all
}

// Cut is text of a server for an error: at most so many bytes, without secrets. It redacts
// before it cuts, as a cut inside a secret would leave a part that nobody recognizes.
func Cut(text string, most int, secrets []string) string {
	text = Redact(text, secrets)
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// Redact returns the Result without secrets in any of its texts; maps and lists are changed
// in place.
func (r Result) Redact(secrets []string) Result {
	r.Display, r.Why, r.Message = Redact(r.Display, secrets), Redact(r.Why, secrets), Redact(r.Message, secrets)
	for k, v := range r.Metadata {
		r.Metadata[k] = Redact(v, secrets)
	}
	for i, name := range r.Names {
		r.Names[i] = Redact(name, secrets)
	}
	return r
}

// Asked is what Describe returns for a query: under the published form of the key,
// ResolvedPrometheusQuery for Prometheus, without secrets.
func Asked(kind, query string, secrets []string) map[string]string {
	return map[string]string{"Resolved" + kind + "Query": Redact(query, secrets)}
}

// Sentence is an error in one line without secrets; nil stays nil.
func Sentence(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	return errors.New(Redact(strings.Join(strings.Fields(err.Error()), " "), secrets))
}
