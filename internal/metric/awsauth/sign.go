package awsauth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

// services are the parts of AWS host names whose services answer with somebody's own data,
// and the names that their signatures carry. All others, such as those that hand out
// secrets, would do for a namespace what only the controller may.
var services = []struct{ part, name string }{
	{"aps-workspaces.", "aps"},
	{".execute-api.", "execute-api"},
	{".lambda-url.", "lambda"},
	{".vpc-lattice-svcs.", "vpc-lattice-svcs"},
	{".es.", "es"},
	{".aoss.", "aoss"},
}

// Service is the name for which a request to an AWS host is signed.
func Service(host string) (string, error) {
	host = strings.ToLower(host)
	if strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".on.aws") || strings.HasSuffix(host, ".amazonaws.com.cn") {
		for _, s := range services {
			if strings.Contains(host, s.part) {
				return s.name, nil
			}
		}
	}
	return "", fmt.Errorf("sigv4 signs for hosts of API Gateway (execute-api), Lambda (lambda-url), VPC Lattice, Amazon Managed Prometheus (aps-workspaces) and OpenSearch (es, aoss) only, not for %s", host)
}

// Signer signs requests for one service.
type Signer struct {
	credentials     aws.Credentials
	service, region string
	now             func() time.Time
}

// Signer fetches credentials within limit, unless those at hand are still good.
func (s *Source) Signer(ctx context.Context, c v1alpha1.Sigv4Config, service string, limit time.Duration) (*Signer, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	settings, found, err := s.Login(limited, c)
	if err != nil {
		return nil, outbound.Explain(ctx, limited, "sign for AWS", limit, err)
	}
	return &Signer{credentials: found, service: service, region: settings.Region, now: time.Now}, nil
}

// Sign puts the signature on the request, in place, with what else AWS wants to see: the
// hash of the body, and the token of a session.
func (g *Signer) Sign(r *http.Request) error {
	body, err := read(r)
	if err != nil {
		return fmt.Errorf("read the body to sign: %w", err)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	r.Header.Del("Authorization")
	// A header without values is not sent, but tells net/http something; it is not signed.
	for name, values := range r.Header {
		if len(values) == 0 {
			delete(r.Header, name)
			defer func() { r.Header[name] = values }()
		}
	}
	if err := v4.NewSigner().SignHTTP(r.Context(), g.credentials, r, hash, g.service, g.region, g.now()); err != nil {
		return fmt.Errorf("sign for AWS: %w", err)
	}
	return nil
}

// Secrets are what must not come out of a measurement.
func (g *Signer) Secrets() []string {
	return []string{g.credentials.SecretAccessKey, g.credentials.SessionToken}
}

// read returns the body and leaves it to be read again.
func read(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Body.Close(); err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}
