package v1alpha1

import (
	"encoding/json"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// MetricProvider is exactly one source of data.
type MetricProvider struct {
	// +optional
	Prometheus *PrometheusMetric `json:"prometheus,omitempty"`
	// +optional
	Kayenta *KayentaMetric `json:"kayenta,omitempty"`
	// +optional
	Web *WebMetric `json:"web,omitempty"`
	// +optional
	Datadog *DatadogMetric `json:"datadog,omitempty"`
	// +optional
	Wavefront *WavefrontMetric `json:"wavefront,omitempty"`
	// +optional
	NewRelic *NewRelicMetric `json:"newRelic,omitempty"`
	// +optional
	Job *JobMetric `json:"job,omitempty"`
	// +optional
	CloudWatch *CloudWatchMetric `json:"cloudWatch,omitempty"`
	// +optional
	Graphite *GraphiteMetric `json:"graphite,omitempty"`
	// +optional
	Influxdb *InfluxdbMetric `json:"influxdb,omitempty"`
	// +optional
	SkyWalking *SkyWalkingMetric `json:"skywalking,omitempty"`
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	Plugin map[string]json.RawMessage `json:"plugin,omitempty"`
}

// Baseline is exactly one source of data to compare with. Those that give a verdict and no
// value, job and kayenta, are none.
type Baseline struct {
	// +optional
	Prometheus *PrometheusMetric `json:"prometheus,omitempty"`
	// +optional
	Web *WebMetric `json:"web,omitempty"`
	// +optional
	Datadog *DatadogMetric `json:"datadog,omitempty"`
	// +optional
	Wavefront *WavefrontMetric `json:"wavefront,omitempty"`
	// +optional
	NewRelic *NewRelicMetric `json:"newRelic,omitempty"`
	// +optional
	CloudWatch *CloudWatchMetric `json:"cloudWatch,omitempty"`
	// +optional
	Graphite *GraphiteMetric `json:"graphite,omitempty"`
	// +optional
	Influxdb *InfluxdbMetric `json:"influxdb,omitempty"`
	// +optional
	SkyWalking *SkyWalkingMetric `json:"skywalking,omitempty"`
}

// Provider is the same as a provider of a metric.
func (b *Baseline) Provider() MetricProvider {
	return MetricProvider{Prometheus: b.Prometheus, Web: b.Web, Datadog: b.Datadog, Wavefront: b.Wavefront, NewRelic: b.NewRelic,
		CloudWatch: b.CloudWatch, Graphite: b.Graphite, Influxdb: b.Influxdb, SkyWalking: b.SkyWalking}
}

// PrometheusMetric queries Prometheus.
type PrometheusMetric struct {
	// Address is the server's URL; "" means the controller's default.
	// +optional
	Address string `json:"address,omitempty"`
	// +optional
	Query string `json:"query,omitempty"`
	// +optional
	Authentication Authentication `json:"authentication,omitempty"`
	// Timeout in seconds; unset means 30.
	// +optional
	Timeout *int64 `json:"timeout,omitempty"`
	// Insecure skips the check of the server's certificate.
	// +optional
	Insecure bool `json:"insecure,omitempty"`
	// +optional
	Headers []WebMetricHeader `json:"headers,omitempty"`
	// +optional
	RangeQuery *PrometheusRangeQueryArgs `json:"rangeQuery,omitempty"`
	// NameBy is Penstock's own: the label whose value names each series of the answer, so
	// that with `role` the condition sees result.canary and result.stable.
	// +optional
	NameBy string `json:"nameBy,omitempty"`
}

// PrometheusRangeQueryArgs makes a range query; start and end are time expressions.
type PrometheusRangeQueryArgs struct {
	// +optional
	Start string `json:"start,omitempty"`
	// +optional
	End string `json:"end,omitempty"`
	// Step is a Go duration.
	// +optional
	Step string `json:"step,omitempty"`
}

// Authentication is how a request proves itself.
type Authentication struct {
	// +optional
	Sigv4 Sigv4Config `json:"sigv4,omitempty"`
	// +optional
	OAuth2 OAuth2Config `json:"oauth2,omitempty"`
	// +optional
	BasicAuth BasicAuthConfig `json:"basicAuth,omitempty"`
}

// OAuth2Config is the client-credentials flow.
type OAuth2Config struct {
	// +optional
	TokenURL string `json:"tokenUrl,omitempty"`
	// +optional
	ClientID string `json:"clientId,omitempty"`
	// +optional
	ClientSecret string `json:"clientSecret,omitempty"`
	// +optional
	Scopes []string `json:"scopes,omitempty"`
}

// BasicAuthConfig is a user and a password.
type BasicAuthConfig struct {
	// +optional
	Username string `json:"username,omitempty"`
	// +optional
	Password string `json:"password,omitempty"`
}

// Sigv4Config signs for AWS.
type Sigv4Config struct {
	// +optional
	Region string `json:"region,omitempty"`
	// +optional
	Profile string `json:"profile,omitempty"`
	// +optional
	RoleARN string `json:"roleArn,omitempty"`
}

// WebMetricMethod is an HTTP method.
type WebMetricMethod string

// The values of WebMetricMethod; empty means GET.
const (
	WebMetricMethodGet  WebMetricMethod = "GET"
	WebMetricMethodPost WebMetricMethod = "POST"
	WebMetricMethodPut  WebMetricMethod = "PUT"
)

// WebMetric asks a web service.
type WebMetric struct {
	// +optional
	Method WebMetricMethod `json:"method,omitempty"`
	URL    string          `json:"url"`
	// +optional
	Headers []WebMetricHeader `json:"headers,omitempty"`
	// +optional
	Body string `json:"body,omitempty"`
	// TimeoutSeconds of 0 or less means 10.
	// +optional
	TimeoutSeconds int64 `json:"timeoutSeconds,omitempty"`
	// JSONPath picks the result out of a JSON answer; "" means all of it.
	// +optional
	JSONPath string `json:"jsonPath,omitempty"`
	// +optional
	Insecure bool `json:"insecure,omitempty"`
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	JSONBody json.RawMessage `json:"jsonBody,omitempty"`
	// +optional
	Authentication Authentication `json:"authentication,omitempty"`
}

// WebMetricHeader is one HTTP header.
type WebMetricHeader struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// DatadogMetric queries Datadog.
type DatadogMetric struct {
	// Interval is how far to look back.
	// +optional
	// +kubebuilder:default="5m"
	Interval DurationString `json:"interval,omitempty"`
	// +optional
	Query string `json:"query,omitempty"`
	// +optional
	Queries map[string]string `json:"queries,omitempty"`
	// +optional
	Formula string `json:"formula,omitempty"`
	// +optional
	// +kubebuilder:validation:Enum=v1;v2
	// +kubebuilder:default=v1
	ApiVersion string `json:"apiVersion,omitempty"` //nolint:revive // The published Go name; plugins see it.
	// +optional
	// +kubebuilder:validation:Enum=avg;min;max;sum;last;percentile;mean;l2norm;area
	Aggregator string `json:"aggregator,omitempty"`
	// +optional
	SecretRef SecretRef `json:"secretRef,omitempty"`
	// +optional
	// +kubebuilder:default="10s"
	RequestTimeout DurationString `json:"requestTimeout,omitempty"`
}

// SecretRef names a Secret in the controller's or the run's namespace.
type SecretRef struct {
	// +optional
	Name string `json:"name,omitempty"`
	// +optional
	Namespaced bool `json:"namespaced,omitempty"`
}

// WavefrontMetric queries Wavefront.
type WavefrontMetric struct {
	// +optional
	Address string `json:"address,omitempty"`
	// +optional
	Query string `json:"query,omitempty"`
}

// NewRelicMetric queries New Relic.
type NewRelicMetric struct {
	// +optional
	Profile string `json:"profile,omitempty"`
	Query   string `json:"query"`
	// Timeout in seconds; unset means 5.
	// +optional
	Timeout *int64 `json:"timeout,omitempty"`
}

// JobMetric runs a Job.
type JobMetric struct {
	// +optional
	Metadata metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec     batchv1.JobSpec   `json:"spec"`
}

// GraphiteMetric queries Graphite.
type GraphiteMetric struct {
	// +optional
	Address string `json:"address,omitempty"`
	// +optional
	Query string `json:"query,omitempty"`
}

// InfluxdbMetric queries InfluxDB.
type InfluxdbMetric struct {
	// +optional
	Profile string `json:"profile,omitempty"`
	// +optional
	Query string `json:"query,omitempty"`
}

// SkyWalkingMetric queries SkyWalking.
type SkyWalkingMetric struct {
	// +optional
	Address string `json:"address,omitempty"`
	// +optional
	Query string `json:"query,omitempty"`
	// +optional
	Interval DurationString `json:"interval,omitempty"`
}

// CloudWatchMetric queries CloudWatch.
type CloudWatchMetric struct {
	// +optional
	Interval          DurationString              `json:"interval,omitempty"`
	MetricDataQueries []CloudWatchMetricDataQuery `json:"metricDataQueries"`
}

// CloudWatchMetricDataQuery is one query.
type CloudWatchMetricDataQuery struct {
	// +optional
	Id string `json:"id,omitempty"` //nolint:revive // The published Go name; plugins see it.
	// +optional
	Expression *string `json:"expression,omitempty"`
	// +optional
	Label *string `json:"label,omitempty"`
	// +optional
	MetricStat *CloudWatchMetricStat `json:"metricStat,omitempty"`
	// +optional
	Period *intstr.IntOrString `json:"period,omitempty"`
	// +optional
	ReturnData *bool `json:"returnData,omitempty"`
}

// CloudWatchMetricStat is a metric with its statistic.
type CloudWatchMetricStat struct {
	// +optional
	Metric CloudWatchMetricStatMetric `json:"metric,omitempty"`
	// +optional
	Period intstr.IntOrString `json:"period,omitempty"`
	// +optional
	Stat string `json:"stat,omitempty"`
	// +optional
	Unit string `json:"unit,omitempty"`
}

// CloudWatchMetricStatMetric names a metric.
type CloudWatchMetricStatMetric struct {
	// +optional
	Dimensions []CloudWatchMetricStatMetricDimension `json:"dimensions,omitempty"`
	// +optional
	MetricName string `json:"metricName,omitempty"`
	// +optional
	Namespace *string `json:"namespace,omitempty"`
}

// CloudWatchMetricStatMetricDimension is one dimension.
type CloudWatchMetricStatMetricDimension struct {
	// +optional
	Name string `json:"name,omitempty"`
	// +optional
	Value string `json:"value,omitempty"`
}

// KayentaMetric asks Kayenta for a judgement.
type KayentaMetric struct {
	Address                  string           `json:"address"`
	Application              string           `json:"application"`
	CanaryConfigName         string           `json:"canaryConfigName"`
	MetricsAccountName       string           `json:"metricsAccountName"`
	ConfigurationAccountName string           `json:"configurationAccountName"`
	StorageAccountName       string           `json:"storageAccountName"`
	Threshold                KayentaThreshold `json:"threshold"`
	Scopes                   []KayentaScope   `json:"scopes"`
	// +optional
	Lookback bool `json:"lookback,omitempty"`
}

// KayentaThreshold holds two scores of 0 to 100.
type KayentaThreshold struct {
	Pass     int64 `json:"pass"`
	Marginal int64 `json:"marginal"`
}

// KayentaScope pairs the two sides.
type KayentaScope struct {
	Name            string      `json:"name"`
	ControlScope    ScopeDetail `json:"controlScope"`
	ExperimentScope ScopeDetail `json:"experimentScope"`
}

// ScopeDetail is one side.
type ScopeDetail struct {
	Scope  string `json:"scope"`
	Region string `json:"region"`
	Step   int64  `json:"step"`
	// +optional
	Start string `json:"start,omitempty"`
	// +optional
	End string `json:"end,omitempty"`
}
