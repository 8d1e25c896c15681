package job

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/penstock-io/penstock/internal/metric"
)

// hashLength is in hexadecimal digits.
const hashLength = 8

// nameOf names the Job of a measurement: <run UID>.<metric>.<number>, of at most 63
// characters, since pods carry it in a label. A metric whose name has to be cut or altered
// for that gets a hash of the whole name behind it, as others may look the same then.
func nameOf(r metric.Request) string {
	prefix, suffix := string(r.RunUID)+".", "."+strconv.Itoa(r.Number)
	name := prefix + r.Metric + suffix
	if len(name) <= validation.LabelValueMaxLength && len(validation.IsDNS1123Subdomain(name)) == 0 {
		return name
	}
	sum := sha256.Sum256([]byte(r.Metric))
	hash := hex.EncodeToString(sum[:])[:hashLength]
	room := max(0, validation.LabelValueMaxLength-len(prefix)-len(suffix)-len("-")-len(hash))
	kept := strings.Map(fit, strings.ToLower(r.Metric))
	kept = strings.Trim(kept[:min(room, len(kept))], "-")
	if kept != "" {
		kept += "-"
	}
	return prefix + kept + hash + suffix
}

// fit puts a dash for what must not be, or not everywhere, in a name.
func fit(c rune) rune {
	if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
		return c
	}
	return '-'
}

// numberOf is the number of the measurement in a Job's name, 0 for a foreign form of name.
func numberOf(name string) int {
	n, err := strconv.Atoi(name[strings.LastIndexByte(name, '.')+1:])
	if err != nil {
		return 0
	}
	return n
}
