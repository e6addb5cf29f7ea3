package ec2fake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A group is a security group.
type group struct {
	resource
	name, description string
	vpc               *vpc
	in                []rule
}

// A rule lets in what comes to some ports from somewhere.
type rule struct{ protocol, from, to, source string }

func (r *region) groupNamed(name string, v *vpc) *group {
	for _, g := range r.groups {
		if g.name == name && g.vpc == v {
			return g
		}
	}
	return nil
}

func (r *region) createGroup(p params) ([]element, error) {
	name, description := p.get("GroupName"), p.get("GroupDescription")
	switch {
	case name == "" || description == "":
		return nil, refuse("MissingParameter", "The request must contain the parameter GroupName and GroupDescription")
	case len(name) > 255 || strings.HasPrefix(name, "sg-"):
		return nil, refuse("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid.", name)
	case len(description) > 255:
		return nil, refuse("InvalidParameterValue", "Value for parameter GroupDescription is invalid. Maximum length is 255")
	}
	v, err := r.vpcOf(p.get("VpcId"))
	if err != nil {
		return nil, err
	}
	tags, err := p.tagsOf("security-group")
	if err != nil {
		return nil, err
	}
	if r.groupNamed(name, v) != nil {
		return nil, refuse("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, v.id)
	}
	g := &group{resource: r.make("sg", tags), name: name, description: description, vpc: v}
	r.groups[g.id] = g
	return []element{tx("return", true), tx("groupId", g.id), tagSet(tags)}, nil
}

// vpcOf is a network by its id, or the default one.
func (r *region) vpcOf(id string) (*vpc, error) {
	if id != "" {
		return find(r, r.vpcs, id, "InvalidVpcID", "vpc ID")
	}
	for _, v := range r.vpcs {
		if v.isDefault {
			return v, nil
		}
	}
	return nil, refuse("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.")
}

func (r *region) authorizeIngress(p params) ([]element, error) {
	g, err := find(r, r.groups, p.get("GroupId"), "InvalidGroup", "security group")
	if err != nil {
		return nil, err
	}
	rules, err := rulesOf(p)
	if err != nil {
		return nil, err
	}
	for n, one := range rules {
		if slices.Contains(g.in, one) || slices.Contains(rules[:n], one) {
			return nil, refuse("InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, from port: %s, to port: %s, ALLOW\" already exists",
				one.source, strings.ToUpper(one.protocol), one.from, one.to)
		}
	}
	g.in = append(g.in, rules...)
	return done(), nil
}

func (r *region) revokeIngress(p params) ([]element, error) {
	g, err := find(r, r.groups, p.get("GroupId"), "InvalidGroup", "security group")
	if err != nil {
		return nil, err
	}
	rules, err := rulesOf(p)
	if err != nil {
		return nil, err
	}
	for _, one := range rules {
		if !slices.Contains(g.in, one) {
			return nil, refuse("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
	}
	g.in = slices.DeleteFunc(g.in, func(one rule) bool { return slices.Contains(rules, one) })
	return done(), nil
}

// rulesOf are the rules that a request names, one a source.
func rulesOf(p params) ([]rule, error) {
	var rules []rule
	for _, permission := range p.each("IpPermissions") {
		one := rule{permission.get("IpProtocol"), permission.get("FromPort"), permission.get("ToPort"), ""}
		if one.protocol == "" {
			return nil, refuse("MissingParameter", "The request must contain the parameter ipProtocol")
		}
		for _, of := range [][2]string{{"IpRanges", "CidrIp"}, {"Ipv6Ranges", "CidrIpv6"}, {"Groups", "GroupId"}} {
			for _, source := range permission.each(of[0]) {
				one.source = source.get(of[1])
				rules = append(rules, one)
			}
		}
	}
	if len(rules) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter IpPermissions")
	}
	return rules, nil
}

func (g *group) has(filter string) []string {
	switch filter {
	case "group-id":
		return []string{g.id}
	case "group-name":
		return []string{g.name}
	case "vpc-id":
		return []string{g.vpc.id}
	case "description":
		return []string{g.description}
	}
	return nil
}

func (r *region) describeGroups(p params) ([]element, error) {
	for _, name := range p.list("GroupName") {
		v, err := r.vpcOf("")
		if err != nil {
			return nil, err
		}
		if r.groupNamed(name, v) == nil {
			return nil, refuse("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, v.id)
		}
	}
	named := maps.Clone(r.groups)
	maps.DeleteFunc(named, func(_ string, g *group) bool {
		names := p.list("GroupName")
		return len(names) > 0 && !slices.Contains(names, g.name)
	})
	return describe(r, p, "GroupId", "securityGroupInfo", named, "InvalidGroup", "security group",
		func(g *group) field { return g.has },
		func(g *group) []element {
			return []element{tx("ownerId", account), tx("groupId", g.id), tx("groupName", g.name), tx("groupDescription", g.description), tx("vpcId", g.vpc.id),
				set("ipPermissions", g.permissions()), tagSet(g.tags)}
		})
}

// permissions are a group's rules, those of the same ports together.
func (g *group) permissions() [][]element {
	var ports []rule
	for _, one := range g.in {
		if one.source = ""; !slices.Contains(ports, one) {
			ports = append(ports, one)
		}
	}
	var items [][]element
	for _, port := range ports {
		var v4, v6, groups [][]element
		for _, one := range g.in {
			switch {
			case one.protocol != port.protocol || one.from != port.from || one.to != port.to:
			case strings.Contains(one.source, ":"):
				v6 = append(v6, []element{tx("cidrIpv6", one.source)})
			case strings.HasPrefix(one.source, "sg-"):
				groups = append(groups, []element{tx("groupId", one.source), tx("userId", account)})
			default:
				v4 = append(v4, []element{tx("cidrIp", one.source)})
			}
		}
		item := []element{tx("ipProtocol", port.protocol), set("ipRanges", v4), set("ipv6Ranges", v6), set("groups", groups)}
		if port.from != "" {
			item = append(item, tx("fromPort", port.from), tx("toPort", port.to))
		}
		items = append(items, item)
	}
	return items
}

func (r *region) deleteGroup(p params) ([]element, error) {
	g, err := find(r, r.groups, p.get("GroupId"), "InvalidGroup", "security group")
	if err != nil {
		return nil, err
	}
	if g.name == "default" {
		return nil, refuse("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", g.id)
	}
	for _, i := range r.instances {
		if slices.Contains(i.groups, g.id) {
			return nil, refuse("DependencyViolation", "resource %s has a dependent object", g.id)
		}
	}
	for _, other := range r.groups {
		if other != g && slices.ContainsFunc(other.in, func(one rule) bool { return one.source == g.id }) {
			return nil, refuse("DependencyViolation", "resource %s has a dependent object", g.id)
		}
	}
	delete(r.groups, g.id)
	return append(done(), tx("groupId", g.id)), nil
}

// rules are what a group lets in, like "tcp 80-80 from 0.0.0.0/0".
func (g *group) rules() []string {
	var rules []string
	for _, one := range g.in {
		rules = append(rules, fmt.Sprintf("%s %s-%s from %s", one.protocol, one.from, one.to, one.source))
	}
	slices.Sort(rules)
	return rules
}
