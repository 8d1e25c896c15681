package v1alpha1

import (
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// alphabet has no vowels and no digits that look like letters, so that no word appears.
const alphabet = "bcdfghjklmnpqrstvwxz2456789"

// PodTemplateHash is the hash under which a revision of the template is known: FNV-1a
// over the template's JSON, and over the collision count if there is one (core.md §3.1).
func PodTemplateHash(template *corev1.PodTemplateSpec, collisionCount *int32) string {
	data, err := json.Marshal(template)
	if err != nil {
		// A stored quantity that cannot be encoded: its error text is as unique.
		data = []byte(err.Error())
	}
	if collisionCount != nil {
		data = binary.LittleEndian.AppendUint64(data, uint64(uint32(*collisionCount)))
	}
	return encode(data)
}

// StepHash is the hash of the list of steps: FNV-1a over its JSON (core.md §3.2).
func StepHash(steps []CanaryStep) string {
	data, err := json.Marshal(steps)
	if err != nil {
		data = []byte(err.Error())
	}
	return encode(data)
}

func encode(data []byte) string {
	h := fnv.New32a()
	h.Write(data)
	decimal := []byte(strconv.FormatUint(uint64(h.Sum32()), 10))
	for i, c := range decimal {
		decimal[i] = alphabet[int(c)%len(alphabet)]
	}
	return string(decimal)
}
