// Package loop is the one cycle that every kind of object goes through:
//
//	key ──► own writes seen? ──► Observe ──► Decide ──► Apply ──► status ──► events ──► wake
//	         (L8, else wait)      (I/O)      (pure)     (I/O)    (L7, last)
//
// A Controller is three functions and what they need. The loop owns what must be the
// same everywhere: no pass before the caches show this controller's own writes, one
// status write per pass and after everything else, events only for what is persisted,
// wake-ups, quiet retries of conflicts, backoff of errors, and a panic that costs one
// pass of one object.
//
// It takes no decision of its own and knows no kind.
package loop
