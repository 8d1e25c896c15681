package awsauth

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// session is the name of the sessions of roles, as AWS's own logs show it.
const session = "penstock"

// maxKnown bounds the settings that are kept: they come out of manifests.
const maxKnown = 128

// Load finds the settings of a profile; "" is the default one, and no region the profile's.
type Load func(ctx context.Context, profile, region string) (aws.Config, error)

// Source finds credentials and keeps them until they expire. It is safe for concurrent use.
type Source struct {
	load  Load
	mu    sync.Mutex
	known map[v1alpha1.Sigv4Config]aws.Config
}

// New makes a Source; a nil load is the SDK's default chain.
func New(load Load) *Source {
	if load == nil {
		load = standard
	}
	return &Source{load: load, known: map[v1alpha1.Sigv4Config]aws.Config{}}
}

func standard(ctx context.Context, profile, region string) (aws.Config, error) {
	return config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile), config.WithRegion(region), config.WithLogger(logging.Nop{}))
}

// config returns the settings for what a metric asks; the zero value is the default chain
// with the region of the environment.
func (s *Source) config(ctx context.Context, c v1alpha1.Sigv4Config) (aws.Config, error) {
	s.mu.Lock()
	found, ok := s.known[c]
	s.mu.Unlock()
	if ok {
		return found, nil
	}
	found, err := s.load(ctx, c.Profile, c.Region)
	switch {
	case err != nil:
		return aws.Config{}, fmt.Errorf("find the settings of AWS: %w", err)
	case found.Region == "":
		return aws.Config{}, errors.New("there is no AWS region: set sigv4.region, or AWS_REGION for the controller")
	}
	if c.RoleARN != "" {
		role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(found), c.RoleARN, func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = session })
		found.Credentials = aws.NewCredentialsCache(role)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	s.known[c] = found
	return found, nil
}

// Login returns the settings and credentials that are good now. Fetching them may take a
// while: ctx bounds it.
func (s *Source) Login(ctx context.Context, c v1alpha1.Sigv4Config) (aws.Config, aws.Credentials, error) {
	settings, err := s.config(ctx, c)
	if err != nil {
		return settings, aws.Credentials{}, err
	}
	if settings.Credentials == nil {
		return settings, aws.Credentials{}, errors.New("find the credentials of AWS: there are none")
	}
	found, err := settings.Credentials.Retrieve(ctx)
	if err != nil {
		return settings, found, fmt.Errorf("find the credentials of AWS: %w", err)
	}
	return settings, found, nil
}
