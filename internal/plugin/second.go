package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	// maxAnswer bounds what a plugin may send back, in bytes; etcd takes less.
	maxAnswer = 4 << 20
	// maxSentence bounds what people are shown of an error, in bytes.
	maxSentence = 1 << 10
)

// Conn is the connection to a plugin of the second protocol, for the clients of
// plugin/v2/wire. The program is started if it is not running. path is where its
// configuration stands, for errors.
func (r *Registry) Conn(name, path string) grpc.ClientConnInterface { return conn{r, name, path} }

type conn struct {
	registry   *Registry
	name, path string
}

// Invoke implements grpc.ClientConnInterface. Options are the registry's own.
func (c conn) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	p, err := c.registry.of(ctx, c.name)
	if err != nil {
		return err
	}
	err = p.invoke(ctx, method, args, reply)
	if s, ok := err.(interface{ GRPCStatus() *status.Status }); ok { //nolint:errorlint // what is it wraps says what ours does
		return refusal{Sentence(c.name, c.path, s.GRPCStatus()), s.GRPCStatus()}
	}
	return err
}

// NewStream implements grpc.ClientConnInterface: the protocol has none.
func (conn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "plugins have no streams")
}

// refusal is an error that a plugin has answered.
type refusal struct {
	text   string
	status *status.Status
}

func (r refusal) Error() string { return r.text }

// GRPCStatus lets the code be told.
func (r refusal) GRPCStatus() *status.Status { return r.status }

// wrapped is what Go prints of a status inside another error.
var wrapped = regexp.MustCompile(`rpc error: code = \w+ desc = `)

// Sentence is a status for a person on call: the plugin's name, its message, and which
// fields of the configuration, which stands at path, it cannot use.
func Sentence(name, path string, s *status.Status) string {
	text := wrapped.ReplaceAllString(s.Message(), "")
	if strings.TrimSpace(text) == "" {
		text = "it answers " + s.Code().String() + " and gives no reason"
	}
	for _, d := range s.Details() {
		bad, ok := d.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for i, v := range bad.GetFieldViolations() {
			text += [...]string{": ", "; "}[min(i, 1)] + under(path, v.GetField()) + ": " + v.GetDescription()
		}
	}
	return Line(fmt.Sprintf("plugin %s: %s", name, text))
}

// Line is a text of a plugin as people are shown it: one line, cut to maxSentence.
func Line(text string) string { return cut(text, maxSentence) }

// under joins the path of a configuration and of a field in it.
func under(path, field string) string {
	switch {
	case field == "":
		return path
	case strings.HasPrefix(field, "["):
		return path + field
	}
	return path + "." + field
}

// Seconds is a time that a plugin has told: 0 for what is none, a day at most.
func Seconds(s float64) time.Duration {
	const day = 24 * 60 * 60
	if math.IsNaN(s) || s <= 0 {
		return 0
	}
	return time.Duration(min(s, day) * float64(time.Second))
}

// Rollout is a Rollout as plugins of the second protocol get it: as JSON, with its kind, and
// with the template and selector of its workload filled in.
func Rollout(ro *v1alpha1.Rollout) ([]byte, error) {
	if ro == nil {
		ro = &v1alpha1.Rollout{}
	}
	out := *ro
	out.APIVersion, out.Kind, out.ManagedFields = v1alpha1.GroupVersion.String(), "Rollout", nil
	out.Spec.TemplateResolvedFromRef, out.Spec.SelectorResolvedFromRef = false, false
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("write the Rollout as JSON: %w", err)
	}
	return raw, nil
}
