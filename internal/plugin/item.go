package plugin

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"sigs.k8s.io/yaml"
)

// ConfigMap is the published name of the ConfigMap beside the controller that names plugins.
const ConfigMap = "argo-rollouts-config"

// Kind is a kind of plugins; the values are on the wire.
type Kind struct {
	// Name is for people; Key is the key in the ConfigMap.
	Name, Key string
	// Cookie is the handshake's value, Dispense what is asked for in the program.
	Cookie, Dispense string
}

// The kinds of plugins.
var (
	Metric = Kind{Name: "metric plugin", Key: "metricProviderPlugins", Cookie: "metricprovider", Dispense: "RpcMetricProviderPlugin"}
	Router = Kind{Name: "traffic router plugin", Key: "trafficRouterPlugins", Cookie: "trafficrouter", Dispense: "RpcTrafficRouterPlugin"}
	Step   = Kind{Name: "step plugin", Key: "stepPlugins", Cookie: "step", Dispense: "RpcStepPlugin"}
)

// Item is an entry of the ConfigMap.
type Item struct {
	// Name is <namespace>/<name>.
	Name string `json:"name"`
	// Location is an http, https or file URL.
	Location string `json:"location"`
	// SHA256 is the sum of the binary, 64 hexadecimal digits; required.
	SHA256 string `json:"sha256"`
	// Args are those of the program.
	Args     []string `json:"args"`
	Disabled bool     `json:"disabled"`
	// HeadersFrom are Secrets beside the controller, of which every key is a header of the
	// request for the binary.
	HeadersFrom []HeaderSource `json:"headersFrom"`
}

// HeaderSource is one Secret.
type HeaderSource struct {
	SecretRef struct {
		Name string `json:"name"`
	} `json:"secretRef"`
}

var nameForm = regexp.MustCompile(`^[a-zA-Z0-9-]+/[a-zA-Z0-9_.-]+$`)

// Parse reads the list of a kind; key is its place, for errors. An entry that is wrong does
// not take the others with it: it is found again under its name, with its error.
func Parse(key, text string) (map[string]Entry, error) {
	var items []Item
	if err := yaml.Unmarshal([]byte(text), &items); err != nil {
		return nil, fmt.Errorf("ConfigMap %s, data[%s]: want a list of plugins: %w", ConfigMap, key, err)
	}
	table := map[string]Entry{}
	for i, item := range items {
		e := Entry{Item: item}
		if _, twice := table[item.Name]; twice {
			e.Err = errors.New("name: there are two of this name")
		} else {
			e.Err = check(item)
		}
		if e.Err != nil {
			e.Err = fmt.Errorf("ConfigMap %s, data[%s][%d].%w", ConfigMap, key, i, e.Err)
		}
		table[item.Name] = e
	}
	return table, nil
}

// Entry is an Item, and what is wrong with it.
type Entry struct {
	Item
	Err error
}

func check(item Item) error {
	switch sum, err := hex.DecodeString(item.SHA256); {
	case !nameForm.MatchString(item.Name):
		return fmt.Errorf("name: want <namespace>/<name> of letters, digits and dashes, got %q", item.Name)
	case item.Location == "":
		return errors.New("location: want an http, https or file URL")
	case item.SHA256 == "":
		return nil // the error says which sum to write, once the binary is there
	case err != nil || len(sum) != 32:
		return fmt.Errorf("sha256: want 64 hexadecimal digits, got %d characters", len(item.SHA256))
	}
	return nil
}

// equal reports that two entries want the same program.
func equal(a, b Entry) bool {
	return a.Name == b.Name && a.Location == b.Location && a.SHA256 == b.SHA256 && a.Disabled == b.Disabled &&
		slices.Equal(a.Args, b.Args) && slices.Equal(a.HeadersFrom, b.HeadersFrom) && (a.Err == nil) == (b.Err == nil)
}
