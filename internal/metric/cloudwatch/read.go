package cloudwatch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/penstock-io/penstock/internal/metric"
)

// Answer is what a condition sees of one query, under the names of AWS's API.
type Answer struct {
	Id, Label, StatusCode string //nolint:revive // The published name; conditions use it.
	Values                []float64
	Timestamps            []time.Time
	Messages              []Message
}

// Message is what CloudWatch says beside the data.
type Message struct{ Code, Value string }

// decode puts the pages together. A query that could not be answered is an error, one
// without values is no data.
func decode(pages []*cloudwatch.GetMetricDataOutput, secrets []string) (metric.Result, error) {
	var answers []Answer
	var said []string
	for _, page := range pages {
		for _, m := range messages(page.Messages) {
			said = append(said, m.Code+": "+m.Value)
		}
		for _, r := range page.MetricDataResults {
			answers = add(answers, r)
		}
	}
	values := [][]float64{}
	var empty []string
	for _, a := range answers {
		for _, m := range a.Messages {
			said = append(said, a.Id+": "+m.Code+": "+m.Value)
		}
		if a.StatusCode == string(types.StatusCodeInternalError) || a.StatusCode == string(types.StatusCodeForbidden) {
			return metric.Result{}, fmt.Errorf("cloudwatch: query %s: %s", a.Id, strings.Join(append([]string{a.StatusCode}, said...), ": "))
		}
		values = append(values, a.Values)
		if len(a.Values) == 0 {
			empty = append(empty, a.Id)
		}
	}
	res := metric.Result{Kind: metric.Values, Value: answers, Display: fmt.Sprint(values)}
	if len(said) > 0 {
		res.Metadata = map[string]string{"messages": metric.Cut(strings.Join(said, "; "), 1<<10, secrets)}
	}
	switch {
	case len(answers) == 0:
		res.Kind, res.Why = metric.NoData, "CloudWatch returned no results"
	case len(empty) > 0:
		res.Kind, res.Why = metric.NoData, fmt.Sprintf("CloudWatch returned no values for %s; a query that the condition does not use needs returnData: false", strings.Join(empty, " and "))
	}
	return res, nil
}

// add appends an answer, or what a further page has of one.
func add(answers []Answer, r types.MetricDataResult) []Answer {
	id := aws.ToString(r.Id)
	i := slices.IndexFunc(answers, func(a Answer) bool { return a.Id == id && a.Label == aws.ToString(r.Label) })
	if i < 0 {
		i = len(answers)
		answers = append(answers, Answer{Id: id, Label: aws.ToString(r.Label)})
	}
	a := &answers[i]
	a.StatusCode = string(r.StatusCode)
	a.Values, a.Timestamps = append(a.Values, r.Values...), append(a.Timestamps, r.Timestamps...)
	a.Messages = append(a.Messages, messages(r.Messages)...)
	return answers
}

func messages(list []types.MessageData) (out []Message) {
	for _, m := range list {
		out = append(out, Message{aws.ToString(m.Code), aws.ToString(m.Value)})
	}
	return out
}
