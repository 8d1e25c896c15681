package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Refuse is the error for a configuration that cannot be used: which field, as in
// "timeout" or "probe.url", and what is wrong with it. People read it with the field's
// whole path in the Rollout or the AnalysisRun before it.
func Refuse(field, why string) error {
	s, err := status.New(codes.InvalidArgument, "the configuration cannot be used").WithDetails(&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: why}}})
	if err != nil {
		return errors.New(field + ": " + why)
	}
	return s.Err()
}

// ReadConfig reads a configuration, which is empty where there is none. A field that into
// does not have, and one of another type, is refused.
func ReadConfig(config json.RawMessage, into any) error {
	if len(config) == 0 {
		return nil
	}
	strict := json.NewDecoder(bytes.NewReader(config))
	strict.DisallowUnknownFields()
	err := strict.Decode(into)
	var other *json.UnmarshalTypeError
	if errors.As(err, &other) {
		return Refuse(other.Field, fmt.Sprintf("want %s, got %s", other.Type, other.Value))
	}
	if err == nil {
		return nil
	}
	if field, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return Refuse(strings.Trim(field, `"`), "there is no such field")
	}
	return Refuse("", err.Error())
}
