package identity

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func TestToDER(t *testing.T) {
	for _, tc := range []struct{ name, ber, der string }{
		{"as it should be", "3003020105", "3003020105"},
		{"an open length", "30800201050000", "3003020105"},
		{"open within open", "308030800201050000" + "0000", "30053003020105"},
		{"a long way to say 3", "308103020105", "3003020105"},
		{"a string in pieces", "2480040141040142" + "0000", "04024142"},
		{"pieces in pieces", "248024800401410000" + "040142" + "0000", "04024142"},
		{"an empty string in pieces", "24800000", "0400"},
	} {
		ber, err := hex.DecodeString(tc.ber)
		if err != nil {
			t.Fatal(err)
		}
		if der, err := toDER(ber); err != nil || hex.EncodeToString(der) != tc.der {
			t.Errorf("%s: %x, %v; want %s", tc.name, der, err, tc.der)
		}
	}
	for _, tc := range []struct {
		name, ber string
		want      error
	}{
		{"nothing", "", errCut},
		{"one byte", "30", errCut},
		{"less than it says", "3004020105", errCut},
		{"no end", "3080020105", errCut},
		{"a length without its bytes", "3082", errCut},
		{"a length of 4 bytes", "308400000003020105", errForm},
		{"an open length of no parts", "0480", errForm},
		{"more than it says", "300302010500", errForm},
		{"more inside, after an end", "3007020105" + "0000" + "0500", errForm},
		{"a tag of more bytes", "1f8101" + "00", errForm},
		{"an end where a value should be", "0000", errForm},
		{"pieces of no string", "2480020105" + "0000", errForm},
		{"too deep", strings.Repeat("3080", deepest+1) + strings.Repeat("0000", deepest+1), errForm},
	} {
		ber, err := hex.DecodeString(tc.ber)
		if err != nil {
			t.Fatal(err)
		}
		given := bytes.Clone(ber)
		if der, err := toDER(ber); !errors.Is(err, tc.want) {
			t.Errorf("%s: %x, %v; want %v", tc.name, der, err, tc.want)
		}
		if !bytes.Equal(ber, given) {
			t.Errorf("%s: what was given is changed", tc.name)
		}
	}
}
