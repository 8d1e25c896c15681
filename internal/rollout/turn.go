package rollout

// Turn is whose turn it is while something is waited for.
type Turn string

// The turns.
const (
	Person   Turn = "a person"
	PodsTurn Turn = "pods"
	Mesh     Turn = "the mesh"
	Metrics  Turn = "a metric"
	Clock    Turn = "the clock"
	Plugin   Turn = "a plugin"
	Cluster  Turn = "the cluster"
)

// Turn is whose turn it is while a reason of waiting stands, and what ends the wait. In that,
// PROMOTE, ABORT and RETRY stand for the commands with the Rollout's name. An unknown reason
// has neither.
func (r Reason) Turn() (t Turn, ends string) {
	e := turns[r]
	return e.turn, e.ends
}

var turns = map[Reason]struct {
	turn Turn
	ends string
}{
	InvalidSpec:          {Person, "mend what it names, and apply it again"},
	Unreadable:           {Cluster, "the object can be read again; nothing is removed until then"},
	PodsNotAvailable:     {PodsTurn, "the pods become available"},
	StableNotAvailable:   {PodsTurn, "pods of the stable revision become available"},
	TrafficNotConfirmed:  {Mesh, "the proxies follow what is written"},
	RouterProblem:        {Person, "mend the route as it says"},
	ServiceNotSwitched:   {PodsTurn, "pods of the revision become available"},
	AnalysisRunning:      {Metrics, "the analysis has a verdict"},
	ExperimentRunning:    {Metrics, "the experiment has ended"},
	PluginRunning:        {Plugin, "the plugin says that it is done"},
	Unsafe:               {PodsTurn, "there are pods for the traffic that would be sent to them"},
	PauseElapsing:        {Clock, "the pause is over; PROMOTE ends it now"},
	NeedsApproval:        {Person, "PROMOTE goes on, ABORT takes the update back"},
	PausedByUser:         {Person, "PROMOTE clears spec.paused"},
	AnalysisInconclusive: {Person, "PROMOTE goes on, RETRY starts anew, ABORT takes the update back"},
	OldPodsRemain:        {PodsTurn, "the old pods have gone"},
	Restarting:           {PodsTurn, "all pods are younger than spec.restartAt"},
	WorkloadRemains:      {PodsTurn, "the rollout has enough pods of its own"},
	HandingBack:          {PodsTurn, "the referenced Deployment serves"},
	ScaleDownDelayed:     {Clock, "the scale-down delay is over"},
}
