package cloudwatch

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// defaultInterval is how far back a metric looks that says nothing.
const defaultInterval = 5 * time.Minute

// input is the request: from now-interval to now.
func input(m *v1alpha1.CloudWatchMetric, now time.Time) (*cloudwatch.GetMetricDataInput, error) {
	back, err := m.Interval.Duration()
	switch {
	case err != nil:
		return nil, fmt.Errorf("interval: %w", err)
	case back < 0 || m.Interval != "" && back == 0:
		return nil, errors.New("interval must be a positive duration, such as 5m")
	case len(m.MetricDataQueries) == 0:
		return nil, errors.New("metricDataQueries must have at least one query")
	}
	in := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(now.Add(-cmp.Or(back, defaultInterval))), EndTime: aws.Time(now)}
	for i := range m.MetricDataQueries {
		q, err := query(&m.MetricDataQueries[i])
		if err != nil {
			return nil, fmt.Errorf("metricDataQueries[%d].%w", i, err)
		}
		in.MetricDataQueries = append(in.MetricDataQueries, q)
	}
	return in, nil
}

func query(q *v1alpha1.CloudWatchMetricDataQuery) (out types.MetricDataQuery, err error) {
	out = types.MetricDataQuery{Id: aws.String(q.Id), Expression: q.Expression, Label: q.Label, ReturnData: q.ReturnData}
	switch {
	case q.Id == "":
		return out, errors.New("id must be set, and begin with a lower-case letter")
	case (q.Expression == nil) == (q.MetricStat == nil):
		return out, errors.New("expression: a query has either an expression or a metricStat")
	}
	if q.Period != nil {
		if out.Period, err = seconds(*q.Period); err != nil {
			return out, err
		}
	}
	if q.MetricStat == nil {
		return out, nil
	}
	s := q.MetricStat
	stat := &types.MetricStat{Metric: &types.Metric{MetricName: aws.String(s.Metric.MetricName), Namespace: s.Metric.Namespace},
		Stat: aws.String(s.Stat), Unit: types.StandardUnit(s.Unit)}
	switch {
	case s.Metric.MetricName == "":
		return out, errors.New("metricStat.metric.metricName must be set")
	case s.Stat == "":
		return out, errors.New("metricStat.stat must be set, such as Sum, Average or p99")
	}
	for _, d := range s.Metric.Dimensions {
		stat.Metric.Dimensions = append(stat.Metric.Dimensions, types.Dimension{Name: aws.String(d.Name), Value: aws.String(d.Value)})
	}
	if stat.Period, err = seconds(s.Period); err != nil {
		return out, fmt.Errorf("metricStat.%w", err)
	}
	out.MetricStat = stat
	return out, nil
}

// seconds reads a period: a number, or a text that is one, as arguments are.
func seconds(p intstr.IntOrString) (*int32, error) {
	n := int64(p.IntVal)
	if p.Type == intstr.String {
		var err error
		if n, err = strconv.ParseInt(p.StrVal, 10, 32); err != nil {
			return nil, fmt.Errorf("period must be a number of seconds, but is %q", p.StrVal)
		}
	}
	if n < 1 {
		return nil, fmt.Errorf("period must be a number of seconds above 0, but is %d", n)
	}
	return aws.Int32(int32(n)), nil
}

// tell is the queries for people: `rate = errors / requests; errors = Sum of AWS/ELB HTTPCode_5XX{LoadBalancer=web}`.
func tell(m *v1alpha1.CloudWatchMetric) string {
	var all []string
	for _, q := range m.MetricDataQueries {
		text := aws.ToString(q.Expression)
		if s := q.MetricStat; s != nil {
			var by []string
			for _, d := range s.Metric.Dimensions {
				by = append(by, d.Name+"="+d.Value)
			}
			text = fmt.Sprintf("%s of %s %s{%s}", s.Stat, aws.ToString(s.Metric.Namespace), s.Metric.MetricName, strings.Join(by, ", "))
		}
		all = append(all, q.Id+" = "+text)
	}
	return strings.Join(all, "; ")
}
