package main

import (
	"slices"
	"strings"
)

// pattern describes names. A pattern without a mark matches the name itself and all that extend it; with ":$" at its end it matches
// the name alone. "..." matches everything, also no name at all.
type pattern string

const (
	matchAll = "..."
	only     = "$"
)

// isValid tells whether the pattern may match anything by its form. The patterns "$" and ":$" are valid.
func (p pattern) isValid() bool {
	if p == matchAll || p == only || p == ":"+only {
		return true
	}
	parts := strings.Split(string(p), ":")
	for i, part := range parts {
		if part == "" || part == only && i < len(parts)-1 {
			return false
		}
		if slices.ContainsFunc(forbiddenInExtension, func(forbidden string) bool { return strings.Contains(part, forbidden) }) {
			return false
		}
	}
	return true
}

// matches tells whether one of the names is as the pattern describes.
func (p pattern) matches(names ...string) bool {
	if !p.isValid() {
		return false
	}
	if p == matchAll {
		return true
	}
	exact, isExact := strings.CutSuffix(string(p), ":"+only)
	return slices.ContainsFunc(names, func(name string) bool {
		if isExact {
			return exact != "" && name == exact
		}
		return p != only && (name == string(p) || strings.HasPrefix(name, string(p)+":"))
	})
}

// anyMatches tells whether one of the patterns matches one of the names.
func anyMatches(patterns []string, names []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return pattern(p).matches(names...) })
}

// accessList admits names by patterns, except those that others match.
type accessList struct {
	In    []string `json:"in"`
	NotIn []string `json:"not_in"`
}

func (l accessList) includes(names []string) bool {
	left := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return anyMatches(l.NotIn, []string{name}) })
	return anyMatches(l.In, left)
}

// hasOnlyPart tells whether a name has a part "$", so that it would match shorter names when it is used as a pattern.
func hasOnlyPart(name string) bool {
	return slices.Contains(strings.Split(name, ":"), only)
}

// defaultAuthorizer admits those whose name is an extension of a local name, or the other way round.
func defaultAuthorizer(local, remote []string) bool {
	covers := func(patterns, names []string) bool {
		return slices.ContainsFunc(patterns, func(name string) bool { return !hasOnlyPart(name) && pattern(name).matches(names...) })
	}
	return covers(local, remote) || covers(remote, local)
}
