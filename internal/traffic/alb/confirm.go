package alb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// The published reasons of events about AWS (core.md §7.6).
const (
	reasonVerified   = "TargetGroupVerified"
	reasonUnverified = "TargetGroupUnverified"
	reasonError      = "TargetGroupVerifyError"
	reasonNoBalancer = "LoadBalancerNotFound"
)

// question is which split AWS should be serving, and where.
type question struct {
	Namespace, Port string
	Split           traffic.Split
	Ingresses       []place
}

// place is one Ingress with the host names of its load balancers.
type place struct {
	Name  string
	Hosts []string
}

// questionOf is nil where there is nothing to ask about: somebody has changed an Ingress, and
// it is written anew first.
func questionOf(d desk, s traffic.Split, names []string, have []map[string]any) *question {
	q := &question{Namespace: d.Namespace, Port: string(d.port), Split: s}
	for _, x := range s.Extras() {
		if x.Service == "" {
			return nil
		}
	}
	for i, object := range have {
		q.Ingresses = append(q.Ingresses, place{names[i], hosts(object)})
	}
	return q
}

// hosts are the host names in the status of an Ingress.
func hosts(object map[string]any) (list []string) {
	status, _ := object["status"].(map[string]any)
	lb, _ := status["loadBalancer"].(map[string]any)
	entries, _ := lb["ingress"].([]any)
	for _, e := range entries {
		m, _ := e.(map[string]any)
		if host, _ := m["hostname"].(string); host != "" {
			list = append(list, host)
		}
	}
	return list
}

// answer asks AWS. The proof holds where every load balancer of every Ingress has the
// weights of the split in every rule that divides requests among its Services, and has such
// a rule. An error is for AWS not answering.
func (q question) answer(ctx context.Context, c *cloud, tag string) (p traffic.Proof, err error) {
	p.Holds = true
	for _, in := range q.Ingresses {
		if len(in.Hosts) == 0 {
			p.Holds = false // it is being made
		}
		for i, host := range in.Hosts {
			b, err := c.balancer(ctx, host, tag)
			switch {
			case errors.Is(err, errNoBalancer):
				p.Holds = false
				p.Notes = append(p.Notes, traffic.Note{Warning: true, Reason: reasonNoBalancer, Message: "Failed to find load balancer: " + host})
				continue
			case err != nil:
				ca, _ := q.Split.Of(traffic.Canary)
				return p, q.failed(ca.Service, in.Name, err)
			}
			holds, note := q.compare(in.Name, b)
			p.Holds = p.Holds && holds
			p.Notes = append(p.Notes, note)
			if i == 0 {
				p.ALBs = append(p.ALBs, q.status(in.Name, b))
			}
		}
	}
	return p, nil
}

func (q question) failed(service, ingress string, err error) error {
	return fmt.Errorf("Failed to verify Service %s (TargetGroup %s): %w", service, q.resource(ingress, service), err) //nolint:staticcheck,revive // the published text
}

// resource is how the load balancer's controller names a target group in its tag.
func (q question) resource(ingress, service string) string {
	return fmt.Sprintf("%s/%s-%s:%s", q.Namespace, ingress, service, q.Port)
}

// group is the target group of a Service, without an ARN where there is none.
func (q question) group(ingress, service string, b balancer) v1alpha1.AwsResourceRef {
	if list := b.groups[q.resource(ingress, service)]; len(list) > 0 {
		return list[0]
	}
	return v1alpha1.AwsResourceRef{}
}

func (q question) status(ingress string, b balancer) v1alpha1.ALBStatus {
	st, _ := q.Split.Of(traffic.Stable)
	ca, _ := q.Split.Of(traffic.Canary)
	return v1alpha1.ALBStatus{Ingress: ingress, LoadBalancer: b.AwsResourceRef,
		CanaryTargetGroup: q.group(ingress, ca.Service, b), StableTargetGroup: q.group(ingress, st.Service, b)}
}

// compare looks at the rules of one load balancer. A rule with one target group divides
// nothing: it is a header route, or a path that leads to a Service whatever the split.
func (q question) compare(ingress string, b balancer) (holds bool, note traffic.Note) {
	owner := map[string]int{} // ARN to the place of its destination
	for i, d := range q.Split.Destinations {
		for _, g := range b.groups[q.resource(ingress, d.Service)] {
			owner[g.ARN] = i
		}
	}
	ca, _ := q.Split.Of(traffic.Canary)
	rules := 0
	for _, rule := range b.shares {
		got, strange, ours := map[int]int32{}, int32(0), false
		for arn, w := range rule {
			if i, is := owner[arn]; is {
				got[i] += w
				ours = true
				continue
			}
			strange += w
		}
		if !ours {
			continue
		}
		rules++
		for i, d := range slices.Backward(q.Split.Destinations) { // stable, which has the rest, last
			if got[i] != d.Weight {
				return false, q.unverified(ingress, d, got[i], b)
			}
		}
		if strange != 0 {
			return false, q.unverified(ingress, traffic.Destination{Role: foreign, Service: ca.Service}, strange, b)
		}
	}
	if rules == 0 {
		return false, q.unverified(ingress, ca, 0, b)
	}
	return true, traffic.Note{Reason: reasonVerified, Message: fmt.Sprintf("Service %s (TargetGroup %s) verified: canary weight %d set",
		ca.Service, q.group(ingress, ca.Service, b).ARN, ca.Weight)}
}

// foreign is the role of a target group that has no place in the split, and a weight.
const foreign traffic.Role = "foreign"

// unverified tells which weight is off; the words for the canary's are the published ones.
func (q question) unverified(ingress string, d traffic.Destination, current int32, b balancer) traffic.Note {
	what := map[traffic.Role]string{traffic.Canary: "canary", traffic.Stable: "stable", traffic.Extra: "additional", foreign: "foreign"}[d.Role]
	return traffic.Note{Warning: true, Reason: reasonUnverified, Message: fmt.Sprintf("Service %s (TargetGroup %s) not verified: %s weight %d not yet set (current: %d)",
		d.Service, q.group(ingress, d.Service, b).ARN, what, d.Weight, current)}
}

func endpoint(address string, port int32) string {
	return net.JoinHostPort(address, strconv.Itoa(int(port)))
}

// answerTargets asks whether every target group serves every endpoint.
func answerTargets(ctx context.Context, c *cloud, list []traffic.TargetGroup) (p traffic.Proof, err error) {
	p.Holds = true
	for _, g := range list {
		serving, err := c.serving(ctx, g.ARN)
		if err != nil {
			return p, fmt.Errorf("Failed to verify Service %s (TargetGroup %s): %w", g.Service, g.ARN, err) //nolint:staticcheck,revive // the published text
		}
		found := 0
		for _, e := range g.Endpoints {
			if serving[e] {
				found++
			}
		}
		title := fmt.Sprintf("Service %s (TargetGroup %s)", g.Service, g.ARN)
		if found == len(g.Endpoints) {
			p.Notes = append(p.Notes, traffic.Note{Reason: reasonVerified, Message: fmt.Sprintf("%s verified: %d endpoints registered", title, found)})
			continue
		}
		p.Holds = false
		p.Notes = append(p.Notes, traffic.Note{Warning: true, Reason: reasonUnverified,
			Message: fmt.Sprintf("%s not verified: %d/%d endpoints registered", title, found, len(g.Endpoints))})
	}
	return p, nil
}
