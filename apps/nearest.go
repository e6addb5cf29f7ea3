package apps

import (
	"slices"
	"strings"
)

// Nearest is the known word that word was most likely meant to be; empty when none is near.
func Nearest(word string, known []string) string {
	if len(word) > 64 {
		return ""
	}
	plain := plainWord(word)
	best, near := "", max(len(plain)/3, 1)+1
	for _, k := range known {
		if d := distance(plain, plainWord(k)); d < near {
			best, near = k, d
		}
	}
	return best
}

// didYouMean is a hint: the nearest known word, or all of them when there is none.
func didYouMean(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return "did you mean " + quote(near) + "?"
	}
	if len(known) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(known))
	return "known here: " + strings.Join(sorted, " ")
}

// plainWord drops how words are joined: startCommand, start-command and start_command are alike.
func plainWord(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "", ".", "").Replace(strings.ToLower(s))
}

// distance is how many letters are put in, left out, changed or swapped with their neighbour between a and b.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			changed := last[j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			row[j] = min(changed, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
