package alb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/time/rate"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	// perSecond and burst bound the requests of this process, repeated ones included: the
	// account's quota is shared with the load balancer's own controller.
	perSecond, burst = 5, 10
	// tagsAtOnce is how many resources DescribeTags takes.
	tagsAtOnce = 20
	// maxKnown bounds the host names that are remembered.
	maxKnown = 1024
)

// cloud asks Elastic Load Balancing. It is safe for concurrent use.
type cloud struct {
	config func(context.Context) (aws.Config, error)
	limit  *rate.Limiter

	mu     sync.Mutex
	client *elb.Client
	// known are the load balancers by host name, which they keep for life.
	known map[string]v1alpha1.AwsResourceRef
}

func newCloud(config func(context.Context) (aws.Config, error)) *cloud {
	return &cloud{config: config, limit: rate.NewLimiter(perSecond, burst), known: map[string]v1alpha1.AwsResourceRef{}}
}

// limited lets requests through at the rate that is allowed.
type limited struct {
	next  aws.HTTPClient
	limit *rate.Limiter
}

// Do implements aws.HTTPClient.
func (l limited) Do(r *http.Request) (*http.Response, error) {
	if err := l.limit.Wait(r.Context()); err != nil {
		return nil, fmt.Errorf("wait for a turn to ask AWS: %w", err)
	}
	return l.next.Do(r) //nolint:wrapcheck // the SDK reads it
}

// api is the client, made when it is first needed: only then are there credentials to find.
func (c *cloud) api(ctx context.Context) (*elb.Client, error) {
	c.mu.Lock()
	found := c.client
	c.mu.Unlock()
	if found != nil {
		return found, nil
	}
	settings, err := c.config(ctx)
	if err != nil {
		return nil, asked("find the credentials of AWS", err)
	}
	if settings.HTTPClient == nil {
		settings.HTTPClient = awshttp.NewBuildableClient()
	}
	settings.HTTPClient = limited{settings.HTTPClient, c.limit}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		c.client = elb.NewFromConfig(settings)
	}
	return c.client, nil
}

// failure is why AWS gave no answer, in words that stay the same when it fails the same way
// again: without the ids of requests and the ports of connections.
type failure struct {
	act   string
	cause error
}

func asked(act string, err error) error { return failure{act, err} }

// Error implements error.
func (f failure) Error() string {
	var said smithy.APIError
	var lost *net.OpError
	var odd *smithyhttp.ResponseError
	switch {
	case errors.As(f.cause, &said):
		return fmt.Sprintf("%s: %s: %s", f.act, said.ErrorCode(), said.ErrorMessage())
	case errors.Is(f.cause, context.DeadlineExceeded):
		return f.act + ": no answer in time"
	case errors.As(f.cause, &lost):
		return fmt.Sprintf("%s: %s: %v", f.act, lost.Op, lost.Err)
	case errors.As(f.cause, &odd):
		return fmt.Sprintf("%s: HTTP status %d: %v", f.act, odd.HTTPStatusCode(), odd.Err)
	}
	return fmt.Sprintf("%s: %v", f.act, f.cause)
}

// Unwrap lets the cause be found.
func (f failure) Unwrap() error { return f.cause }

// balancer is one load balancer as AWS tells of it.
type balancer struct {
	v1alpha1.AwsResourceRef
	// groups are its target groups by the value of the tag that names their Service.
	groups map[string][]v1alpha1.AwsResourceRef
	// shares are the weights of each rule that has several target groups, by ARN.
	shares []map[string]int32
}

// errNoBalancer means that AWS has no load balancer of a host name.
var errNoBalancer = errors.New("no load balancer has this host name")

// balancer tells everything about the load balancer of a host name.
func (c *cloud) balancer(ctx context.Context, host, tag string) (b balancer, err error) {
	api, err := c.api(ctx)
	if err != nil {
		return b, err
	}
	if b.AwsResourceRef, err = c.find(ctx, api, host); err != nil {
		return b, err
	}
	if b.groups, err = groups(ctx, api, b.ARN, tag); err == nil {
		b.shares, err = shares(ctx, api, b.ARN)
	}
	var gone *types.LoadBalancerNotFoundException
	if errors.As(err, &gone) { // and perhaps there is another one of the name
		c.mu.Lock()
		delete(c.known, host)
		c.mu.Unlock()
		return b, errNoBalancer
	}
	return b, err
}

// find looks a host name up. AWS cannot be asked for one, so all load balancers are listed.
func (c *cloud) find(ctx context.Context, api *elb.Client, host string) (ref v1alpha1.AwsResourceRef, err error) {
	c.mu.Lock()
	ref, ok := c.known[host]
	c.mu.Unlock()
	if ok {
		return ref, nil
	}
	for pages := elb.NewDescribeLoadBalancersPaginator(api, &elb.DescribeLoadBalancersInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return ref, asked("list load balancers", err)
		}
		for _, lb := range page.LoadBalancers {
			if !strings.EqualFold(aws.ToString(lb.DNSName), strings.TrimPrefix(host, "dualstack.")) {
				continue
			}
			ref = reference(lb.LoadBalancerName, lb.LoadBalancerArn)
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.known) >= maxKnown {
				clear(c.known)
			}
			c.known[host] = ref
			return ref, nil
		}
	}
	return ref, errNoBalancer
}

// reference names a resource; its full name is what metrics call it: "app/name/id" for a
// load balancer, "targetgroup/name/id" for a target group.
func reference(name, arn *string) v1alpha1.AwsResourceRef {
	r := v1alpha1.AwsResourceRef{Name: aws.ToString(name), ARN: aws.ToString(arn)}
	r.FullName = r.ARN[strings.LastIndexByte(r.ARN, ':')+1:]
	r.FullName = strings.TrimPrefix(r.FullName, "loadbalancer/")
	return r
}

// groups are the target groups of a load balancer, by the value of a tag.
func groups(ctx context.Context, api *elb.Client, arn, tag string) (map[string][]v1alpha1.AwsResourceRef, error) {
	refs := map[string]v1alpha1.AwsResourceRef{}
	var arns []string
	for pages := elb.NewDescribeTargetGroupsPaginator(api, &elb.DescribeTargetGroupsInput{LoadBalancerArn: &arn}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, asked("list target groups", err)
		}
		for _, g := range page.TargetGroups {
			ref := reference(g.TargetGroupName, g.TargetGroupArn)
			refs[ref.ARN] = ref
			arns = append(arns, ref.ARN)
		}
	}
	byTag := map[string][]v1alpha1.AwsResourceRef{}
	for len(arns) > 0 {
		n := min(len(arns), tagsAtOnce)
		out, err := api.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: arns[:n]})
		if err != nil {
			return nil, asked("read the tags of target groups", err)
		}
		for _, d := range out.TagDescriptions {
			for _, t := range d.Tags {
				if aws.ToString(t.Key) == tag {
					byTag[aws.ToString(t.Value)] = append(byTag[aws.ToString(t.Value)], refs[aws.ToString(d.ResourceArn)])
				}
			}
		}
		arns = arns[n:]
	}
	return byTag, nil
}

// shares are the weights of every rule of every listener that divides requests.
func shares(ctx context.Context, api *elb.Client, arn string) (list []map[string]int32, err error) {
	for listeners := elb.NewDescribeListenersPaginator(api, &elb.DescribeListenersInput{LoadBalancerArn: &arn}); listeners.HasMorePages(); {
		page, err := listeners.NextPage(ctx)
		if err != nil {
			return nil, asked("list listeners", err)
		}
		for _, l := range page.Listeners {
			for rules := elb.NewDescribeRulesPaginator(api, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn}); rules.HasMorePages(); {
				page, err := rules.NextPage(ctx)
				if err != nil {
					return nil, asked("list the rules of a listener", err)
				}
				for _, r := range page.Rules {
					list = append(list, weights(r.Actions)...)
				}
			}
		}
	}
	return list, nil
}

// weights are those of the actions that forward to several target groups.
func weights(actions []types.Action) (list []map[string]int32) {
	for _, a := range actions {
		if a.ForwardConfig == nil || len(a.ForwardConfig.TargetGroups) < 2 {
			continue
		}
		w := map[string]int32{}
		for _, g := range a.ForwardConfig.TargetGroups {
			w[aws.ToString(g.TargetGroupArn)] = aws.ToInt32(g.Weight)
		}
		list = append(list, w)
	}
	return list
}

// serving are the targets of a target group that get requests, or would if anybody used it.
func (c *cloud) serving(ctx context.Context, arn string) (map[string]bool, error) {
	api, err := c.api(ctx)
	if err != nil {
		return nil, err
	}
	out, err := api.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &arn})
	if err != nil {
		return nil, asked("read the health of targets", err)
	}
	list := map[string]bool{}
	for _, d := range out.TargetHealthDescriptions {
		h, t := cmp.Or(d.TargetHealth, &types.TargetHealth{}), cmp.Or(d.Target, &types.TargetDescription{})
		if h.State == types.TargetHealthStateEnumHealthy || h.Reason == types.TargetHealthReasonEnumNotInUse || h.Reason == types.TargetHealthReasonEnumHealthCheckDisabled {
			list[endpoint(aws.ToString(t.Id), aws.ToInt32(t.Port))] = true
		}
	}
	return list, nil
}
