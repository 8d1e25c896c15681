package datadog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-io/penstock/internal/metric"
)

// maxGroups is how many groups the metadata names: of more, half are the lowest and half
// the highest.
const maxGroups = 100

type bodyV2 struct {
	Data struct {
		Type       string     `json:"type"`
		Attributes attributes `json:"attributes"`
	} `json:"data"`
}

type attributes struct {
	Formulas []formula `json:"formulas"`
	From     int64     `json:"from"`
	Queries  []queryV2 `json:"queries"`
	To       int64     `json:"to"`
}

type formula struct {
	Formula string `json:"formula"`
}

type queryV2 struct {
	Aggregator string `json:"aggregator"`
	DataSource string `json:"data_source"`
	Name       string `json:"name"`
	Query      string `json:"query"`
}

// askV2 asks for one value per group; times are Unix milliseconds.
func askV2(ctx context.Context, s settings, at string, now time.Time) (*http.Request, error) {
	queries := s.Queries
	if s.Query != "" {
		queries = map[string]string{"query": s.Query}
	}
	var b bodyV2
	b.Data.Type = "scalar_request"
	b.Data.Attributes = attributes{From: now.Add(-s.back).UnixMilli(), To: now.UnixMilli(), Formulas: []formula{}}
	for _, name := range slices.Sorted(maps.Keys(queries)) {
		b.Data.Attributes.Queries = append(b.Data.Attributes.Queries,
			queryV2{Aggregator: cmp.Or(s.Aggregator, "last"), DataSource: "metrics", Name: name, Query: queries[name]})
	}
	if s.Formula != "" {
		b.Data.Attributes.Formulas = []formula{{s.Formula}}
	}
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("write the query: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	return req, nil
}

// column is one of an answer: of numbers, or of the labels of the groups.
type column struct {
	Name   string            `json:"name"`
	Type   string            `json:"type"`
	Values []json.RawMessage `json:"values"`
}

// readV2 takes the first column of numbers, without those that are null.
func readV2(body []byte, cut shorten) (metric.Result, error) {
	var answer struct {
		Data struct {
			Attributes struct {
				Columns []column `json:"columns"`
			} `json:"attributes"`
		} `json:"data"`
		Errors json.RawMessage `json:"errors"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return metric.Result{}, fmt.Errorf("Could not parse JSON body: %s", cut(err.Error(), maxShown)) //nolint:staticcheck // published text
	}
	if text := errorsIn(answer.Errors); text != "" {
		return metric.Result{}, fmt.Errorf("There were errors in your query: %s", cut(text, maxShown)) //nolint:staticcheck // published text
	}
	columns := answer.Data.Attributes.Columns
	at := slices.IndexFunc(columns, func(c column) bool { return c.Type == "number" || c.Type == "" })
	switch {
	case at < 0:
		return none("[]", "the query returned no numbers"), nil
	case len(columns[at].Values) == 0:
		return none("[]", "the query returned no values"), nil
	}
	labels, grouped, err := labelsOf(columns)
	if err != nil {
		return metric.Result{}, err
	}
	groups, err := groupsOf(columns[at], labels, cut)
	switch {
	case err != nil:
		return metric.Result{}, err
	case len(groups) == 0:
		return none("[]", "the query returned only null"), nil
	case !grouped:
		return number(groups[0].Value), nil
	}
	return ofGroups(groups)
}

// errorsIn is the text of a member that the documentation calls a string, and that holds a
// list of strings where the API refuses a request; "" for none.
func errorsIn(raw json.RawMessage) string {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) == nil {
		return text
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, "; ")
	}
	return string(raw)
}

// groupsOf are the values of a column that are there, each with its label.
func groupsOf(c column, labels []string, cut shorten) ([]group, error) {
	var groups []group
	for i, raw := range c.Values {
		v, text, err := numeric(raw)
		if err != nil {
			return nil, fmt.Errorf("could not parse numeric value %q in column %q: %w", cut(text, maxShown), cut(c.Name, maxShown), err)
		}
		if math.IsNaN(v) {
			continue
		}
		g := group{Value: v}
		if i < len(labels) {
			g.Name = cut(labels[i], maxLabel)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// numeric is one value of a column, NaN for none: null, or the word. A number in quotes is
// one too; infinity, which JSON does not have, is none.
func numeric(raw json.RawMessage) (v float64, text string, err error) {
	text = string(raw)
	if text == "null" {
		return math.NaN(), text, nil
	}
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return 0, text, err
		}
	}
	if v, err = strconv.ParseFloat(text, 64); err != nil {
		return 0, text, errors.Unwrap(err)
	}
	if math.IsInf(v, 0) {
		return 0, text, strconv.ErrRange
	}
	return v, text, nil
}

// labelsOf joins the labels of all group columns, row by row.
func labelsOf(columns []column) (labels []string, grouped bool, err error) {
	for _, c := range columns {
		if c.Type != "group" {
			continue
		}
		grouped = true
		for i, raw := range c.Values {
			var parts []string
			if err := json.Unmarshal(raw, &parts); err != nil {
				return nil, true, fmt.Errorf("could not parse group label at index %d", i)
			}
			for j := range parts {
				if !strings.HasPrefix(parts[j], c.Name+":") {
					parts[j] = c.Name + ":" + parts[j]
				}
			}
			if i == len(labels) {
				labels = append(labels, "")
			}
			labels[i] = strings.Trim(labels[i]+","+strings.Join(parts, ","), ",")
		}
	}
	return labels, grouped, nil
}

type group struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// ofGroups is a list of numbers; the metadata says of what.
func ofGroups(groups []group) (metric.Result, error) {
	res := metric.Result{Kind: metric.Values, Metadata: map[string]string{}}
	values := make([]float64, len(groups))
	shown := make([]string, len(groups))
	for i, g := range groups {
		values[i], shown[i] = g.Value, strconv.FormatFloat(g.Value, 'f', -1, 64)
		if len(res.Names) < 8 {
			res.Names = append(res.Names, g.Name)
		}
	}
	res.Value, res.Display = values, "["+strings.Join(shown, ",")+"]"
	if len(groups) > maxGroups {
		groups = slices.Clone(groups)
		slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(a.Value, b.Value) })
		groups = slices.Concat(groups[:maxGroups/2], groups[len(groups)-maxGroups/2:])
		res.Metadata["groups_truncated"] = "true"
	}
	raw, err := json.Marshal(groups)
	if err != nil {
		return res, fmt.Errorf("print the groups: %w", err)
	}
	res.Metadata["groups"] = string(raw)
	return res, nil
}
