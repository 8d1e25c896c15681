// Package chaos kills the controller at random moments while many Rollouts release under
// load, and says what users noticed and where every release ended.
//
//	crew      controllers, each a process of its own: SIGKILL, start again, SIGKILL …
//	fleet     Rollouts of every strategy and router, released again and again
//	judge     the answers that their analyses get
//	load      requests to every host, through the gateway, all the time
//	  └─► Result: kills, requests, "no ready pod" answers, other failures, ends
//
// A seed decides when and how everything is done; how far the controller has got by then
// is up to the machine.
package chaos
