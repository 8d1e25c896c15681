package rollout

import "testing"

// TestApproximate holds the counts against the published vectors (core.md §14.1).
func TestApproximate(t *testing.T) {
	type row struct{ n, weight, surge, canary, stable int32 }
	rows := []row{
		{0, 50, 0, 0, 0}, {0, 50, 1, 0, 0},
		{1, 0, 0, 0, 1}, {1, 1, 0, 0, 1}, {1, 49, 0, 0, 1}, {1, 50, 0, 1, 0}, {1, 99, 0, 1, 0}, {1, 100, 0, 1, 0},
		{1, 0, 1, 0, 1}, {1, 1, 1, 1, 1}, {1, 50, 1, 1, 1}, {1, 99, 1, 1, 1}, {1, 100, 1, 1, 0},
		{2, 0, 0, 0, 2}, {2, 1, 0, 1, 1}, {2, 50, 0, 1, 1}, {2, 99, 0, 1, 1}, {2, 100, 0, 2, 0},
		{2, 1, 1, 1, 2}, {2, 50, 1, 1, 1}, {2, 99, 1, 2, 1}, {2, 100, 1, 2, 0},
		{3, 10, 0, 1, 2}, {3, 25, 0, 1, 2}, {3, 33, 0, 1, 2}, {3, 34, 0, 1, 2}, {3, 49, 0, 1, 2}, {3, 50, 0, 2, 1},
		{3, 10, 1, 1, 3}, {3, 25, 1, 1, 3}, {3, 33, 1, 1, 2}, {3, 34, 1, 1, 2}, {3, 49, 1, 2, 2}, {3, 50, 1, 2, 2},
		{10, 1, 0, 1, 9}, {10, 14, 0, 1, 9}, {10, 15, 0, 2, 8}, {10, 16, 0, 2, 8}, {10, 99, 0, 9, 1},
		{10, 1, 1, 1, 10}, {10, 18, 1, 2, 9}, {10, 19, 1, 2, 9}, {10, 20, 1, 2, 8}, {10, 23, 1, 2, 8},
		{10, 24, 1, 3, 8}, {10, 25, 1, 3, 8}, {10, 99, 1, 10, 1}, {10, 0, 1, 0, 10}, {10, 100, 1, 10, 0},
	}
	for _, r := range rows {
		c, s := approximate(r.n, r.weight, 100, r.surge)
		if c != r.canary || s != r.stable {
			t.Errorf("n=%d weight=%d surge=%d: canary %d, stable %d; want %d, %d", r.n, r.weight, r.surge, c, s, r.canary, r.stable)
		}
	}
}

// TestBasicCounts holds the replica-only canary against the published vectors
// (core.md §14.2), by their numbers.
func TestBasicCounts(t *testing.T) {
	type row struct {
		no                               int
		n, w, surge, unavail             int32
		stSpec, stAvail, caSpec, caAvail int32
		older, stable, canary            int32
	}
	rows := []row{
		{0, 10, 100, 3, 0, 7, 8, 6, 3, 0, 7, 6},
		{1, 10, 20, 2, 0, 10, 10, 0, 0, 0, 10, 2},
		{2, 10, 20, 2, 0, 10, 10, 2, 2, 0, 8, 2},
		{3, 10, 30, 2, 0, 10, 10, 0, 0, 0, 10, 2},
		{4, 10, 20, 0, 2, 10, 10, 0, 0, 0, 8, 0},
		{5, 10, 30, 0, 2, 10, 10, 0, 0, 0, 8, 0},
		{6, 10, 50, 2, 1, 10, 10, 0, 0, 0, 9, 2},
		{7, 10, 0, 1, 1, 10, 10, 1, 1, 0, 10, 0},
		{8, 10, 100, 1, 1, 1, 1, 10, 10, 0, 0, 10},
		{9, 1, 20, 1, 0, 1, 1, 0, 0, 0, 1, 1},
		{10, 1, 90, 1, 0, 1, 1, 0, 0, 0, 1, 1},
		{11, 1, 49, 0, 1, 1, 1, 0, 0, 0, 1, 0},
		{12, 1, 51, 0, 1, 1, 1, 0, 0, 0, 0, 0},
		{13, 1, 51, 0, 1, 0, 0, 0, 0, 0, 0, 1},
		{14, 10, 30, 1, 0, 1, 1, 0, 0, 3, 7, 1},
		{15, 10, 30, 0, 3, 8, 5, 4, 4, 0, 7, 3},
		{16, 10, 100, 1, 0, 10, 2, 10, 8, 0, 2, 9},
		{17, 10, 30, 0, 1, 8, 6, 4, 2, 3, 8, 4},
		{18, 10, 5, 0, 1, 10, 10, 0, 0, 0, 9, 0},
		{19, 10, 5, 0, 1, 9, 9, 0, 0, 0, 9, 1},
		{20, 10, 10, 0, 1, 10, 10, 0, 0, 0, 9, 0},
		{21, 4, 100, 1, 0, 4, 1, 0, 0, 0, 4, 1},
		{22, 3, 99, 0, 2, 3, 3, 0, 0, 0, 1, 0},
		{23, 3, 99, 0, 2, 1, 1, 0, 0, 0, 1, 2},
		{24, 4, 0, 1, 0, 0, 0, 4, 4, 0, 1, 4},
		{25, 4, 0, 1, 0, 1, 0, 4, 4, 0, 1, 4},
		{26, 4, 0, 1, 0, 1, 1, 4, 4, 0, 1, 3},
		{27, 4, 100, 4, 4, 4, 4, 0, 0, 0, 0, 4},
		{28, 4, 100, 3, 0, 4, 4, 0, 0, 0, 4, 3},
		{29, 10, 20, 2, 0, 10, 10, 0, 0, 0, 10, 2},
	}
	for _, r := range rows {
		s, c := basicCounts(sides{n: r.n, weight: r.w, total: 100, surge: r.surge, unavailable: r.unavail,
			stable: side{r.stSpec, r.stAvail}, canary: side{r.caSpec, r.caAvail}, otherPods: r.older})
		if s != r.stable || c != r.canary {
			t.Errorf("vector %d: stable %d, canary %d; want %d, %d", r.no, s, c, r.stable, r.canary)
		}
	}
	if s, c := basicCounts(sides{n: 10, weight: 20, total: 100, canary: side{9, 9}, canaryOnly: true}); s != 0 || c != 10 {
		t.Errorf("vector 30: stable %d, canary %d; want 0, 10", s, c)
	}
}
