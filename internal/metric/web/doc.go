// Package web measures by one HTTP request whose answer is JSON: the value at jsonPath
// is the result. An answer that is not JSON is a result too, as text.
//
// JSON null, an empty list, and a jsonPath that selects nothing are NoData; a jsonPath
// to a field that does not exist is an error, since it is more often a typing mistake.
package web
