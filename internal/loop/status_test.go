package loop

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	appsv1 "k8s.io/api/apps/v1"
)

func TestMergePatchSaysOnlyWhatDiffers(t *testing.T) {
	for name, c := range map[string]struct{ before, after, want string }{
		"nothing":                     {`{"a":1,"b":{"c":[1]}}`, `{"a":1,"b":{"c":[1]}}`, `null`},
		"a value":                     {`{"a":1,"b":2}`, `{"a":3,"b":2}`, `{"a":3}`},
		"a new field":                 {`{}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		"a field that is gone":        {`{"a":1,"b":2}`, `{"a":1}`, `{"b":null}`},
		"a field inside":              {`{"a":{"b":1,"c":2}}`, `{"a":{"b":1,"c":3}}`, `{"a":{"c":3}}`},
		"a field inside that is gone": {`{"a":{"b":{"x":1,"y":2}}}`, `{"a":{"b":{"y":2}}}`, `{"a":{"b":{"x":null}}}`},
		"lists are taken whole":       {`{"a":[{"x":1},{"x":2}]}`, `{"a":[{"x":1}]}`, `{"a":[{"x":1}]}`},
		"an object becomes a list":    {`{"a":{"b":1}}`, `{"a":[1]}`, `{"a":[1]}`},
		"a list becomes an object":    {`{"a":[1]}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		"an object becomes nothing":   {`{"a":{"b":1}}`, `{"a":null}`, `{"a":null}`},
		"an emptied object":           {`{"a":{"b":1}}`, `{"a":{}}`, `{"a":{"b":null}}`},
		"an empty text":               {`{"a":"x"}`, `{"a":""}`, `{"a":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			patch, err := mergePatch([]byte(c.before), []byte(c.after))
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(patch)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, string(got)); d != "" {
				t.Error(d)
			}
			if patch == nil {
				return
			}
			back, err := jsonpatch.MergePatch([]byte(c.before), got)
			if err != nil || name != "an object becomes nothing" && !jsonpatch.Equal(back, []byte(c.after)) {
				t.Errorf("applied it gives %s, %v", back, err)
			}
		})
	}
}

func TestWhatTheAPIServerCannotTellApartIsNotWritten(t *testing.T) {
	before, after := &appsv1.ReplicaSet{}, &appsv1.ReplicaSet{}
	after.Status.Conditions = []appsv1.ReplicaSetCondition{} // encoded as none
	o := Outcome{Before: before, After: after}
	if !differs(&o) {
		t.Fatal("the quick look is to see a difference here")
	}
	if patch, err := difference(&o); patch != nil || err != nil {
		t.Errorf("got %v, %v", patch, err)
	}
	before.Spec.MinReadySeconds = 3
	if differs(&Outcome{Before: before, After: &appsv1.ReplicaSet{}}) {
		t.Error("a difference that is not in the status counts")
	}
}
