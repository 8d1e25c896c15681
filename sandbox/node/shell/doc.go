// Package shell works out what a container's command would come to, without running
// anything: how long it takes and with which code it exits.
//
//	sh -c "sleep 1; exit 3"  ──Run──►  Outcome{After: 1s, Code: 3, Known: true}
//
// It understands sleep, exit, true, false, echo, set -e and nested sh -c, joined by
// ; && || and newlines. There is no input, no variable and no file, so every command
// has exactly one outcome. Run is pure and total.
package shell
