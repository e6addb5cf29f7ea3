package ec2fake

import (
	"fmt"
	"slices"
	"strings"
)

// A vpc is a network, and a subnet the part of one in a zone.
type vpc struct {
	resource
	isDefault bool
}

type subnet struct {
	resource
	vpc               *vpc
	zone, cidr        string
	ofDefault, public bool
}

// address is the n-th of a subnet.
func (s *subnet) address(n int) string {
	parts := strings.Split(s.cidr, ".")
	return fmt.Sprintf("%s.%s.%s.%d", parts[0], parts[1], parts[2], n%250+4)
}

// newVPC makes a network, with the group that each one has.
func (r *region) newVPC(isDefault bool) *vpc {
	v := &vpc{resource: r.make("vpc", nil), isDefault: isDefault}
	r.vpcs[v.id] = v
	g := &group{resource: r.make("sg", nil), name: "default", description: "default VPC security group", vpc: v}
	r.groups[g.id] = g
	return v
}

func (r *region) newSubnet(v *vpc, zone, cidr string) *subnet {
	s := &subnet{resource: r.make("subnet", nil), vpc: v, zone: zone, cidr: cidr, ofDefault: v.isDefault, public: true}
	r.subnets[s.id] = s
	return s
}

func (r *region) describeVPCs(p params) ([]element, error) {
	return describe(r, p, "VpcId", "vpcSet", r.vpcs, "InvalidVpcID", "vpc ID",
		func(v *vpc) field {
			return func(filter string) []string {
				switch filter {
				case "isDefault", "is-default":
					return []string{fmt.Sprint(v.isDefault)}
				case "vpc-id":
					return []string{v.id}
				case "state":
					return []string{"available"}
				}
				return nil
			}
		},
		func(v *vpc) []element {
			return []element{tx("vpcId", v.id), tx("state", "available"), tx("cidrBlock", "172.31.0.0/16"), tx("isDefault", v.isDefault), tagSet(v.tags)}
		})
}

func (r *region) describeSubnets(p params) ([]element, error) {
	return describe(r, p, "SubnetId", "subnetSet", r.subnets, "InvalidSubnetID", "subnet ID",
		func(s *subnet) field {
			return func(filter string) []string {
				switch filter {
				case "default-for-az", "defaultForAz":
					return []string{fmt.Sprint(s.ofDefault)}
				case "availability-zone", "availabilityZone":
					return []string{s.zone}
				case "vpc-id":
					return []string{s.vpc.id}
				case "subnet-id":
					return []string{s.id}
				case "state":
					return []string{"available"}
				}
				return nil
			}
		},
		func(s *subnet) []element {
			return []element{tx("subnetId", s.id), tx("state", "available"), tx("vpcId", s.vpc.id), tx("cidrBlock", s.cidr), tx("availabilityZone", s.zone),
				tx("defaultForAz", s.ofDefault), tx("mapPublicIpOnLaunch", s.public), tx("availableIpAddressCount", 4091), tagSet(s.tags)}
		})
}

// describe lists things of a kind, by ids or by filters.
func describe[T interface{ base() *resource }](r *region, p params, idParameter, setName string, things map[string]T, kind, named string,
	has func(T) field, content func(T) []element) ([]element, error) {
	ids := p.list(idParameter)
	for _, id := range ids {
		if _, err := find(r, things, id, kind, named); err != nil {
			return nil, err
		}
	}
	var items [][]element
	for _, thing := range all(r, things) {
		if len(ids) > 0 && !slices.Contains(ids, thing.base().id) {
			continue
		}
		ok, err := p.matches(thing.base().tags, has(thing))
		if err != nil {
			return nil, err
		}
		if ok {
			items = append(items, content(thing))
		}
	}
	return []element{set(setName, items)}, nil
}

func (r *region) describeZones(p params) ([]element, error) {
	var items [][]element
	for _, zone := range r.zones {
		ok, err := p.matches(nil, func(filter string) []string {
			switch filter {
			case "zone-name":
				return []string{zone}
			case "state":
				return []string{"available"}
			case "zone-type":
				return []string{"availability-zone"}
			case "region-name":
				return []string{r.name}
			case "opt-in-status":
				return []string{"opt-in-not-required"}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if ok {
			items = append(items, []element{tx("zoneName", zone), tx("zoneState", "available"), tx("regionName", r.name), tx("zoneType", "availability-zone")})
		}
	}
	return []element{set("availabilityZoneInfo", items)}, nil
}

// An address is an elastic one.
type address struct {
	resource
	ip       string
	instance string // that it leads to; empty: none
}

func (a *address) has(filter string) []string {
	switch filter {
	case "allocation-id":
		return []string{a.id}
	case "public-ip":
		return []string{a.ip}
	case "instance-id":
		return []string{a.instance}
	}
	return nil
}

func (r *region) describeAddresses(p params) ([]element, error) {
	return describe(r, p, "AllocationId", "addressesSet", r.addresses, "InvalidAllocationID", "allocation ID",
		func(a *address) field { return a.has },
		func(a *address) []element {
			e := []element{tx("allocationId", a.id), tx("publicIp", a.ip), tx("domain", "vpc"), tagSet(a.tags)}
			if a.instance != "" {
				e = append(e, tx("instanceId", a.instance), tx("associationId", a.association()))
			}
			return e
		})
}

func (a *address) association() string { return "eipassoc-" + strings.TrimPrefix(a.id, "eipalloc-") }

func (r *region) allocateAddress(p params) ([]element, error) {
	tags, err := p.tagsOf("elastic-ip")
	if err != nil {
		return nil, err
	}
	a := &address{resource: r.make("eipalloc", tags)}
	a.ip = publicAddress(a.number)
	r.addresses[a.id] = a
	return []element{tx("publicIp", a.ip), tx("domain", "vpc"), tx("allocationId", a.id)}, nil
}

func (r *region) associateAddress(p params) ([]element, error) {
	a, err := find(r, r.addresses, p.get("AllocationId"), "InvalidAllocationID", "allocation ID")
	if err != nil {
		return nil, err
	}
	i, err := find(r, r.instances, p.get("InstanceId"), "InvalidInstanceID", "instance ID")
	if err != nil {
		return nil, err
	}
	if i.state != "running" && i.state != "stopped" {
		return nil, refuse("InvalidInstanceID", "The pending instance '%s' is not in a valid state for this operation", i.id)
	}
	a.instance = i.id
	return []element{tx("return", true), tx("associationId", a.association())}, nil
}

func (r *region) disassociateAddress(p params) ([]element, error) {
	for _, a := range r.addresses {
		if a.instance != "" && a.association() == p.get("AssociationId") {
			a.instance = ""
			return done(), nil
		}
	}
	return nil, refuse("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", p.get("AssociationId"))
}

func (r *region) releaseAddress(p params) ([]element, error) {
	a, err := find(r, r.addresses, p.get("AllocationId"), "InvalidAllocationID", "allocation ID")
	if err != nil {
		return nil, err
	}
	if a.instance != "" {
		return nil, refuse("InvalidIPAddress.InUse", "The address with allocation id [%s] cannot be released because it is in use.", a.id)
	}
	delete(r.addresses, a.id)
	return done(), nil
}
