package web

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric/awsauth"
)

func TestSigv4(t *testing.T) {
	var signed, body string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body) // shows in the comparison
		body, signed = string(raw), r.Header.Get("Authorization")
		_, _ = io.WriteString(w, `"pass `+r.Header.Get("X-Amz-Security-Token")+`"`)
	}))
	defer s.Close()
	p := New(Options{
		Service: func(string) (string, error) { return "execute-api", nil },
		AWS: awsauth.New(func(_ context.Context, _, region string) (aws.Config, error) {
			return aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider("AKID", "key", "session-token")}, nil
		}),
	})
	m := v1alpha1.WebMetric{URL: s.URL + "/verdict?a=b", Method: "POST", JSONBody: []byte(`{"a": 1}`), Authentication: v1alpha1.Authentication{
		Sigv4: v1alpha1.Sigv4Config{Region: "eu-west-1"}, BasicAuth: v1alpha1.BasicAuthConfig{Username: "u", Password: "p"}}}
	got, err := p.Measure(context.Background(), requestOf(m))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(signed, "AWS4-HMAC-SHA256 Credential=AKID/") || !strings.Contains(signed, "/eu-west-1/execute-api/aws4_request, SignedHeaders=content-length;content-type;host;") {
		t.Errorf("signed %q", signed)
	}
	if body != `{"a":1}` {
		t.Errorf("body %q", body)
	}
	if got.Display != `"pass *****"` {
		t.Errorf("the session's token comes out: %s", got.Display)
	}
}
