// Package job measures by running a Job: it succeeds when the Job completes and fails
// when the Job fails. The source judges by itself, so no condition is asked.
//
//	Measure ─► Job made or found again ─► Pending, Token = its name
//	Measure(Token) ─► Complete: Successful │ Failed: Failed, with the cause
//	                  image cannot be had: Inconclusive │ else Pending, ever more seldom
//	Stop(Token) ─► Job deleted      Collect ─► all but the newest finished Jobs deleted
//
// A Job's name follows from the run, the metric and the number of the measurement, so a
// second try finds what the first one made. A read that fails for the moment does not end
// a measurement: another Job beside one that still runs could do harm.
//
// It touches only Jobs that carry the label with the run's UID. It needs get, list, create
// and delete of jobs in the group batch, and list of pods.
package job
