// Package story is the text format of stories: a rollout, what people and the world do to
// it, and the log of what happened. Stories are reviewed like prose and kept true by a
// test; `go test ./internal/story -update` rewrites their logs.
//
// A story is a txtar archive:
//
//	One English sentence that says what the story is about.
//	-- include --        optional: folders whose manifests belong to the story, one a line
//	-- rollout.yaml --   any *.yaml: Rollout, AnalysisTemplate, Services, routes …
//	-- script --         one verb a line; # begins a comment
//	-- covers --         optional: the published edge cases, defects and field outages that
//	                     it guards, one a line: edge 5, defect 12, outage 39
//	-- allow --          only while the script is known not to come true: which law, and why
//	-- log --            what happened, rewritten by -update
//
// Parse reads it, knows nothing of the simulated world and checks every word of the
// script; Run plays it there. The same files can be played on a real API server.
//
// # Verbs
//
//	deployed                       the first version is up; the log begins after this
//	image v2                       a new image tag for the first container
//	apply FILE.yaml                the Rollout manifest of the archive, as GitOps applies it
//	promote | promote full | abort | retry | pause | unpause
//	replicas 8                     an autoscaler
//	metric NAME VALUE [for v3] [after 3m]
//	                               what a metric answers from now on, or for one image
//	                               tag, or from a moment on: a number, nan, JSON, nodata,
//	                               or error "text"; the last one that fits wins
//	ready v2 20s | ready v2 never  how long pods take
//	kill v2 1                      pods die; others come up in their place
//	lag 5s [settle 10s]            how late the data plane is, and what the router believes
//	verifies                       the router vouches for the data plane
//	drift 0                        somebody writes a weight over the route
//	break route "why" | mend route
//	restart                        the controller is replaced
//	restart pods                   spec.restartAt is set to now
//	delete v2                      somebody deletes a revision's ReplicaSet
//	point SERVICE v1               somebody changes a Service's selector
//	terminate RUN                  somebody ends an AnalysisRun
//	wait 10m
//	until CONDITION [within 2h]
//	expect CONDITION
//
// # Conditions
//
//	healthy | progressing | paused | degraded
//	phase Degraded: text…          status.phase and the whole message
//	weight 5 | live 5              the written canary weight; what the data plane does
//	pods v2 1/1                    available and wanted pods of an image tag
//	step 3 | stable v1             status.currentStepIndex; the stable revision's tag
//	serves SERVICE v1              whom the data plane reaches over a Service
//	run demo-v2-2-1 Failed         an AnalysisRun's phase
//	asked NAME text…               the last query of a metric, args replaced, has the text
//
// # Log
//
// Lines without indentation are what the outside did, indented ones what the controller
// did, and "now" lines what is true afterwards: available/wanted pods by tag, the written
// canary weight, and the live one. Hashes are shown as image tags. Times are
// +mm:ss since the Rollout was applied.
package story
