package alb

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"k8s.io/apimachinery/pkg/types"
)

// fakeELB answers as Elastic Load Balancing does, over its query protocol, page by page.
type fakeELB struct {
	mu sync.Mutex
	// balancers are host names by ARN, listeners ARNs by balancer, groups ARNs by balancer.
	balancers, tags   map[string]string
	listeners, groups map[string][]string
	// rules are the actions of each rule, as XML, by listener; health the targets of a group.
	rules, health map[string][]string
	// page is how many items an answer has.
	page int
	// fail is the error of an action, hang those that never answer.
	fail  map[string]string
	hang  map[string]bool
	calls map[string]int
}

const (
	lbARN = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/web/1"
	tgARN = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/"
)

// newFakeELB has one balancer with two listeners, which divide 30 to 70.
func newFakeELB() *fakeELB {
	f := &fakeELB{page: 1, calls: map[string]int{}, fail: map[string]string{}, hang: map[string]bool{},
		balancers: map[string]string{lbARN + "0": "other.example", lbARN: "LB.example"},
		tags:      map[string]string{}, groups: map[string][]string{}, health: map[string][]string{},
		listeners: map[string][]string{lbARN: {"l80", "l443"}},
	}
	for i := range 45 { // three answers of DescribeTags
		f.groups[lbARN] = append(f.groups[lbARN], fmt.Sprintf("%sx/%d", tgARN, i))
	}
	for _, service := range []string{"canary", "stable", "exp-a"} {
		arn := tgARN + service + "/1"
		f.groups[lbARN] = append(f.groups[lbARN], arn)
		f.tags[arn] = "shop/second-" + service + ":80"
	}
	f.divide(30, 70, 0)
	return f
}

// divide makes every listener share requests so; each has other rules too.
func (f *fakeELB) divide(canary, stable, extra int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	tuple := func(service string, weight int) string {
		return fmt.Sprintf("<member><TargetGroupArn>%s%s/1</TargetGroupArn><Weight>%d</Weight></member>", tgARN, service, weight)
	}
	several := forwardXML(tuple("canary", canary) + tuple("stable", stable) + tuple("exp-a", extra))
	f.rules = map[string][]string{}
	for _, l := range f.listeners[lbARN] {
		f.rules[l] = []string{
			"<member><Type>fixed-response</Type></member>",
			forwardXML(tuple("canary", 1)), // a header route
			several,
			forwardXML(tuple("stable", 1)), // a path that leads to stable whatever the split
			forwardXML(tuple("x/1", 1) + tuple("x/2", 1)),
		}
	}
}

func forwardXML(tuples string) string {
	return "<member><Type>forward</Type><ForwardConfig><TargetGroups>" + tuples + "</TargetGroups></ForwardConfig></member>"
}

func (f *fakeELB) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	action := r.Form.Get("Action")
	f.mu.Lock()
	f.calls[action]++
	fail, hang := f.fail[action], f.hang[action]
	f.mu.Unlock()
	switch {
	case hang:
		<-r.Context().Done()
		return
	case fail == "garbage":
		w.Header().Set("X-Amzn-Requestid", strconv.Itoa(f.calls[action]))
		http.Error(w, "<html>no", http.StatusBadGateway)
		return
	case fail != "":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><Error><Type>Sender</Type><Code>%s</Code><Message>Sorry</Message></Error><RequestId>%d</RequestId></ErrorResponse>`, fail, f.calls[action])
		return
	}
	name, items := f.items(action, r.Form)
	from, _ := strconv.Atoi(r.Form.Get("Marker"))
	end, next := len(items), ""
	if paged := action != "DescribeTags" && action != "DescribeTargetHealth"; paged && from+f.page < end {
		end = from + f.page
		next = fmt.Sprintf("<NextMarker>%d</NextMarker>", end)
	}
	fmt.Fprintf(w, `<%[1]sResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><%[1]sResult><%[2]s>%[3]s</%[2]s>%[4]s</%[1]sResult><ResponseMetadata><RequestId>7</RequestId></ResponseMetadata></%[1]sResponse>`,
		action, name, strings.Join(items[from:end], ""), next)
}

// items are the members of an answer.
func (f *fakeELB) items(action string, form map[string][]string) (name string, list []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := func(key string) string { return strings.Join(form[key], "") }
	switch action {
	case "DescribeLoadBalancers":
		for arn, host := range f.balancers {
			list = append(list, fmt.Sprintf("<member><LoadBalancerArn>%s</LoadBalancerArn><LoadBalancerName>web</LoadBalancerName><DNSName>%s</DNSName></member>", arn, host))
		}
		slices.Sort(list)
		return "LoadBalancers", list
	case "DescribeTargetGroups":
		for _, arn := range f.groups[one("LoadBalancerArn")] {
			list = append(list, fmt.Sprintf("<member><TargetGroupArn>%s</TargetGroupArn><TargetGroupName>%s</TargetGroupName></member>", arn, strings.Split(arn, "/")[1]))
		}
		return "TargetGroups", list
	case "DescribeTags":
		for key, arns := range form {
			if strings.HasPrefix(key, "ResourceArns.member.") {
				arn := arns[0]
				list = append(list, fmt.Sprintf("<member><ResourceArn>%s</ResourceArn><Tags><member><Key>team</Key><Value>a</Value></member><member><Key>ingress.k8s.aws/resource</Key><Value>%s</Value></member></Tags></member>", arn, cmp.Or(f.tags[arn], "shop/x-y:80")))
			}
		}
		if len(list) > 20 {
			panic("more tags than AWS gives at once")
		}
		return "TagDescriptions", list
	case "DescribeListeners":
		for _, arn := range f.listeners[one("LoadBalancerArn")] {
			list = append(list, fmt.Sprintf("<member><ListenerArn>%s</ListenerArn></member>", arn))
		}
		return "Listeners", list
	case "DescribeRules":
		for _, actions := range f.rules[one("ListenerArn")] {
			list = append(list, "<member><Actions>"+actions+"</Actions></member>")
		}
		return "Rules", list
	case "DescribeTargetHealth":
		return "TargetHealthDescriptions", f.health[one("TargetGroupArn")]
	}
	panic("nobody asks " + action)
}

// targetXML is one target with its health.
func targetXML(ip string, port int, state, reason string) string {
	return fmt.Sprintf("<member><Target><Id>%s</Id><Port>%d</Port></Target><TargetHealth><State>%s</State><Reason>%s</Reason></TargetHealth></member>", ip, port, state, reason)
}

// verifierOn asks a fake AWS, without waiting between tries.
func verifierOn(t testing.TB, f http.Handler) *answering {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	v := NewVerifier(VerifierOptions{Interval: time.Millisecond, Rest: time.Millisecond, Config: func(context.Context) (aws.Config, error) {
		return aws.Config{Region: "eu-west-1", BaseEndpoint: &s.URL,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
			}),
			Retryer: func() aws.Retryer {
				return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
			},
		}, nil
	}})
	t.Cleanup(v.Close)
	v.cloud.limit.SetLimit(1e6)
	return answeringBy(v)
}

// answering is a Verifier that tells when an answer has changed.
type answering struct {
	*Verifier
	woken chan struct{}
}

func answeringBy(v *Verifier) *answering {
	a := &answering{v, make(chan struct{}, 1000)}
	v.Wake = func(context.Context, types.NamespacedName) { a.woken <- struct{}{} }
	return a
}
