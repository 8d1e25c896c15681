package load

import (
	"math/big"
	"testing"
)

// exactly is Binomial in whole numbers and fractions, for small n.
func exactly(n int64, share, sure *big.Rat) (least, most int) {
	one := big.NewRat(1, 1)
	miss := new(big.Rat).Sub(one, share)
	power := func(x *big.Rat, n int64) *big.Rat {
		p := big.NewRat(1, 1)
		for range n {
			p.Mul(p, x)
		}
		return p
	}
	tail := new(big.Rat).Mul(new(big.Rat).Sub(one, sure), big.NewRat(1, 2))
	outermost := func(hits func(i int64) int64) int {
		sum := new(big.Rat)
		for i := int64(0); ; i++ {
			k := hits(i)
			p := new(big.Rat).SetInt(new(big.Int).Binomial(n, k))
			sum.Add(sum, p.Mul(p, power(share, k)).Mul(p, power(miss, n-k)))
			if sum.Cmp(tail) > 0 {
				return int(k)
			}
		}
	}
	return outermost(func(i int64) int64 { return i }), outermost(func(i int64) int64 { return n - i })
}

func TestBinomialIsExact(t *testing.T) {
	for _, n := range []int64{1, 2, 10, 150} {
		for _, share := range []*big.Rat{big.NewRat(1, 100), big.NewRat(1, 20), big.NewRat(3, 10), big.NewRat(1, 2), big.NewRat(99, 100)} {
			for _, sure := range []*big.Rat{big.NewRat(17, 20), big.NewRat(999, 1000)} {
				p, _ := share.Float64()
				s, _ := sure.Float64()
				least, most := Binomial(int(n), p, s)
				if l, m := exactly(n, share, sure); least != l || most != m {
					t.Errorf("Binomial(%d, %v, %v) = %d to %d, want %d to %d", n, p, s, least, most, l, m)
				}
			}
		}
	}
}

func TestBinomialOfManyRequests(t *testing.T) {
	for _, tc := range []struct {
		share       float64
		least, most int
	}{{0, 0, 0}, {0.01, 155, 248}, {0.05, 900, 1103}, {0.3, 5787, 6214}, {1, 20000, 20000}} {
		if least, most := Binomial(20000, tc.share, 0.999); least != tc.least || most != tc.most {
			t.Errorf("of 20000 requests at %v: %d to %d, want %d to %d", tc.share, least, most, tc.least, tc.most)
		}
	}
	if least, most := Binomial(100, 0.5, 1); least != 0 || most != 100 {
		t.Errorf("nothing is impossible: %d to %d", least, most)
	}
}
