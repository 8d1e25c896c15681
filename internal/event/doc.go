// Package event sends Kubernetes events without holding up those who tell them, and
// without flooding the API server: a release in seconds tells as much as one in hours.
//
//	time     0 s      0.1  0.4  0.9     2 s                  2.4  6      12 s
//	told     A1       B1   A2   A3                           A4   A5
//	sent     A1 ×1                      B1 ×1, A2; A3 ×2                 A4; A5 ×2
//
// An event of an object of which nothing was told lately goes out at once. Further ones
// wait until a short pause since the last sending is over; those of one type and reason
// that wait together become one Event object, with their number as its count and their
// messages in a row. While an object goes on like that, or many objects tell something at
// a time, the pause is longer, except for what people wait for (Options.Routine), and no
// more than some tens go out in a second.
//
// The order in which an object's reasons first came up is kept. Nothing is dropped
// silently: Options.Dropped counts what the API server refused or nobody could take.
package event
