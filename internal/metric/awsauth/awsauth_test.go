package awsauth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// TestSign looks at a request as AWS sees it, and works the signature out again.
func TestSign(t *testing.T) {
	var seen *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = r
		body, _ = io.ReadAll(r.Body) // shows in the hash
	}))
	defer server.Close()
	r, err := http.NewRequest(http.MethodPost, server.URL+"/workspaces/ws-1/api/v1/query?b=2&a=1%2F1", strings.NewReader("query=up"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer of another")
	r.Header.Set("X-Scope", "team")
	r.Header["Idempotency-Key"] = nil // as the client of Prometheus sets it: never sent
	g := &Signer{credentials: aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: key, SessionToken: "tok"},
		service: "aps", region: "us-east-1", now: func() time.Time { return time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC) }}
	if err := g.Sign(r); err != nil {
		t.Fatal(err)
	}
	if _, kept := r.Header["Idempotency-Key"]; !kept {
		t.Error("the header that tells net/http that the request may be repeated is gone")
	}
	if _, err := http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	if string(body) != "query=up" || seen.Header.Get("X-Amz-Security-Token") != "tok" {
		t.Errorf("body %q, headers %v", body, seen.Header)
	}
	if got, want := seen.Header.Get("Authorization"), expected(seen, body); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// expected is the Authorization of a request under Signature Version 4, worked out from
// what arrived by the rules of AWS's "Create a signed AWS API request".
func expected(r *http.Request, body []byte) string {
	const scope = "20150830/us-east-1/aps/aws4_request"
	sum := func(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	headers := map[string]string{"host": r.Host, "content-length": strconv.FormatInt(r.ContentLength, 10)}
	for _, name := range []string{"X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Security-Token", "X-Scope"} {
		headers[strings.ToLower(name)] = r.Header.Get(name)
	}
	names := slices.Sorted(maps.Keys(headers))
	canonical := r.Method + "\n" + r.URL.Path + "\na=1%2F1&b=2\n"
	for _, name := range names {
		canonical += name + ":" + headers[name] + "\n"
	}
	signed := strings.Join(names, ";")
	canonical += "\n" + signed + "\n" + sum(body)
	toSign := "AWS4-HMAC-SHA256\n20150830T123600Z\n" + scope + "\n" + sum([]byte(canonical))
	k := []byte("AWS4" + key)
	for _, part := range strings.Split(scope, "/") {
		k = mac(k, part)
	}
	return fmt.Sprintf("AWS4-HMAC-SHA256 Credential=AKID/%s, SignedHeaders=%s, Signature=%x", scope, signed, mac(k, toSign))
}

func TestService(t *testing.T) {
	for host, want := range map[string]string{
		"aps-workspaces.eu-west-1.amazonaws.com":        "aps",
		"abc123.execute-api.us-east-1.amazonaws.com":    "execute-api",
		"xyz.lambda-url.eu-west-1.on.aws":               "lambda",
		"SEARCH-logs.eu-west-1.ES.amazonaws.com":        "es",
		"id.aoss.eu-west-1.amazonaws.com":               "aoss",
		"secretsmanager.eu-west-1.amazonaws.com":        "",
		"sts.amazonaws.com":                             "",
		"x.execute-api.evil.example":                    "",
		"my-bucket.s3.eu-west-1.amazonaws.com":          "",
		"aps-workspaces.eu-west-1.amazonaws.com.evil":   "",
		"svc.7d67968.vpc-lattice-svcs.eu-west-1.on.aws": "vpc-lattice-svcs",
	} {
		got, err := Service(host)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v", host, got, err)
		}
	}
}

func TestSettingsAreKeptAndErrorsAreNot(t *testing.T) {
	asked := 0
	s := New(func(_ context.Context, profile, region string) (aws.Config, error) {
		if asked++; asked == 1 {
			return aws.Config{}, errors.New("no such\nprofile")
		}
		return aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider(profile, "key", "")}, nil
	})
	want := v1alpha1.Sigv4Config{Region: "eu-west-1", Profile: "metrics"}
	if _, err := s.Signer(context.Background(), want, "aps", time.Minute); err == nil || err.Error() != "sign for AWS: find the settings of AWS: no such profile" {
		t.Errorf("got %v", err)
	}
	for range 3 {
		if _, err := s.Signer(context.Background(), want, "aps", time.Minute); err != nil {
			t.Error(err)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	if _, err := s.Signer(context.Background(), v1alpha1.Sigv4Config{}, "aps", time.Minute); err == nil || !strings.Contains(err.Error(), "there is no AWS region") {
		t.Errorf("got %v", err)
	}
}

// TestSlowCredentials: who waits for them must not wait for ever.
func TestSlowCredentials(t *testing.T) {
	s := New(func(context.Context, string, string) (aws.Config, error) {
		return aws.Config{Region: "r", Credentials: aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			<-ctx.Done()
			return aws.Credentials{}, ctx.Err()
		})}, nil
	})
	if _, err := s.Signer(context.Background(), v1alpha1.Sigv4Config{}, "aps", time.Millisecond); err == nil || err.Error() != "sign for AWS: no answer within the timeout of 1ms" {
		t.Errorf("got %v", err)
	}
}

// TestTheDefaultChain reads a profile as the SDK does, and takes on a role at a pretend STS.
func TestTheDefaultChain(t *testing.T) {
	var body string
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body) // shows in the comparison
		body = string(raw)
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>k</SecretAccessKey><SessionToken>role-token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`)
	}))
	defer sts.Close()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("[profile metrics]\naws_access_key_id = AK\naws_secret_access_key = SK\nregion = eu-north-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"AWS_CONFIG_FILE": file, "AWS_SHARED_CREDENTIALS_FILE": file, "AWS_ENDPOINT_URL_STS": sts.URL,
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_REGION": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(k, v)
	}
	s := New(nil)
	g, err := s.Signer(context.Background(), v1alpha1.Sigv4Config{Profile: "metrics"}, "aps", time.Minute)
	if err != nil || g.region != "eu-north-1" || g.credentials.AccessKeyID != "AK" {
		t.Fatalf("got %+v, %v", g, err)
	}
	g, err = s.Signer(context.Background(), v1alpha1.Sigv4Config{Profile: "metrics", RoleARN: "arn:aws:iam::1:role/reader"}, "aps", time.Minute)
	if err != nil || g.credentials.AccessKeyID != "ROLE" || g.credentials.SessionToken != "role-token" {
		t.Fatalf("got %+v, %v", g, err)
	}
	for _, want := range []string{"Action=AssumeRole", "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Freader", "RoleSessionName=penstock"} {
		if !strings.Contains(body, want) {
			t.Errorf("the request has no %s: %s", want, body)
		}
	}
	if _, err := s.Signer(context.Background(), v1alpha1.Sigv4Config{Region: "r"}, "aps", time.Minute); err == nil || !strings.HasPrefix(err.Error(), "sign for AWS: find the credentials of AWS: ") {
		t.Errorf("got %v", err)
	}
}
