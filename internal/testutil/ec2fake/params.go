package ec2fake

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// params are what an action is asked with; lists are numbered from 1.
type params url.Values

func (p params) get(name string) string { return url.Values(p).Get(name) }

func (p params) is(name string) bool { return p.get(name) == "true" }

// number is a number, or otherwise where there is none.
func (p params) number(name string, otherwise int) (int, error) {
	text := p.get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, refuse("InvalidParameterValue", "Invalid value '%s' for %s", text, name)
	}
	return n, nil
}

// below are the parameters that begin with name and a dot, without these.
func (p params) below(name string) params {
	inner := params{}
	for full, values := range p {
		if rest, ok := strings.CutPrefix(full, name+"."); ok {
			inner[rest] = values
		}
	}
	return inner
}

// list is the values of NAME.1, NAME.2, …
func (p params) list(name string) (values []string) {
	for i := 1; ; i++ {
		value, ok := p[name+"."+strconv.Itoa(i)]
		if !ok {
			return values
		}
		values = append(values, value...)
	}
}

// each is what is below NAME.1, NAME.2, …
func (p params) each(name string) (all []params) {
	for i := 1; ; i++ {
		inner := p.below(name + "." + strconv.Itoa(i))
		if len(inner) == 0 {
			return all
		}
		all = append(all, inner)
	}
}

// tags are those of TAG.N.Key and TAG.N.Value below name.
func (p params) tags(name string) (map[string]string, error) {
	tags := map[string]string{}
	for _, tag := range p.each(name) {
		key, value := tag.get("Key"), tag.get("Value")
		switch {
		case key == "":
			return nil, refuse("InvalidParameterValue", "Tag key cannot be empty")
		case len(key) > 127 || strings.HasPrefix(key, "aws:"):
			return nil, refuse("InvalidParameterValue", "Invalid tag key '%s'", key)
		case len(value) > 255:
			return nil, refuse("InvalidParameterValue", "Tag value exceeds the maximum length of 255 characters")
		}
		if _, twice := tags[key]; twice {
			return nil, refuse("InvalidParameterValue", "Duplicate tag key '%s' specified.", key)
		}
		tags[key] = value
	}
	if len(tags) > 50 {
		return nil, refuse("TagLimitExceeded", "The maximum number of tags is 50")
	}
	return tags, nil
}

// tagsOf are the tags that TagSpecification gives to things of a kind.
func (p params) tagsOf(kind string) (map[string]string, error) {
	for _, spec := range p.each("TagSpecification") {
		if spec.get("ResourceType") == kind {
			return spec.tags("Tag")
		}
	}
	return map[string]string{}, nil
}

var numbered = regexp.MustCompile(`\.\d+(\.|$)`)

// plain is a parameter's name without numbers: Tag.Key for Tag.3.Key.
func plain(name string) string {
	for numbered.MatchString(name) {
		name = numbered.ReplaceAllString(name, "$1")
	}
	return name
}

// canonical is what must be the same where a client token is.
func (p params) canonical() string {
	same := url.Values{}
	for name, values := range p {
		if name != "ClientToken" {
			same[name] = values
		}
	}
	return same.Encode()
}

// mostValues is how many a filter takes.
const mostValues = 200

// A field is what a thing has by the name of a filter; nil: there is no such filter.
type field func(filter string) []string

// matches says whether a thing is one that the filters ask for.
func (p params) matches(tags map[string]string, of field) (bool, error) {
	for _, filter := range p.each("Filter") {
		name := filter.get("Name")
		if len(filter.list("Value")) > mostValues {
			return false, refuse("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", mostValues)
		}
		var have []string
		if key, ok := strings.CutPrefix(name, "tag:"); ok {
			if value, ok := tags[key]; ok {
				have = []string{value}
			} else {
				have = []string{}
			}
		} else if name == "tag-key" {
			have = []string{}
			for key := range tags {
				have = append(have, key)
			}
		} else if have = of(name); have == nil {
			return false, refuse("InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		if !slices.ContainsFunc(filter.list("Value"), func(pattern string) bool {
			return slices.ContainsFunc(have, func(value string) bool { return like(pattern, value) })
		}) {
			return false, nil
		}
	}
	return true, nil
}

// like matches a filter's value, in which * and ? stand for what is not known.
func like(pattern, value string) bool {
	const slash = "\x00" // path.Match's * stops at one
	quoted := strings.NewReplacer("[", `\[`, "]", `\]`, "/", slash).Replace(pattern)
	ok, err := path.Match(quoted, strings.ReplaceAll(value, "/", slash))
	return err == nil && ok
}
