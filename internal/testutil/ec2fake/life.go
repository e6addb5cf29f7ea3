package ec2fake

import (
	"net/http"
	"slices"
	"strings"
)

// describeInstances is DescribeInstances, by ids or by filters, all or in pages.
func (r *region) describeInstances(p params) ([]element, error) {
	ids, size := p.list("InstanceId"), 0
	if p.get("MaxResults") != "" {
		var err error
		if size, err = p.number("MaxResults", 0); err != nil {
			return nil, err
		}
		if size < 5 || size > 1000 {
			return nil, refuse("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between 5 and 1000.", size)
		}
		if len(ids) > 0 {
			return nil, refuse("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
		}
	}
	left, err := r.chosen(p, ids)
	if err != nil {
		return nil, err
	}
	var more element
	if size > 0 && len(left) > size {
		token := random(12)
		r.pages[token] = left[size:]
		left, more = left[:size], tx("nextToken", token)
	}
	var items [][]element
	for _, id := range left {
		items = append(items, r.reservation(r.instances[id]))
	}
	answer := []element{set("reservationSet", items)}
	if more.name != "" {
		answer = append(answer, more)
	}
	return answer, nil
}

// chosen are the ids of the instances that are asked for, or that were left to tell.
func (r *region) chosen(p params, ids []string) (chosen []string, err error) {
	if token := p.get("NextToken"); token != "" {
		left, ok := r.pages[token]
		if !ok {
			return nil, refuse("InvalidParameterValue", "Unable to parse pagination token")
		}
		return left, nil
	}
	for _, id := range ids {
		if _, err := find(r, r.instances, id, "InvalidInstanceID", "instance ID"); err != nil {
			return nil, err
		}
	}
	for _, i := range all(r, r.instances) {
		if len(ids) > 0 && !slices.Contains(ids, i.id) {
			continue
		}
		ok, err := p.matches(i.tags, i.has)
		if err != nil {
			return nil, err
		}
		if ok {
			chosen = append(chosen, i.id)
		}
	}
	return chosen, nil
}

// named are the instances of InstanceId.N; one that is not there fails all.
func (r *region) named(p params) ([]*instance, error) {
	var named []*instance
	for _, id := range p.list("InstanceId") {
		i, err := find(r, r.instances, id, "InvalidInstanceID", "instance ID")
		if err != nil {
			return nil, err
		}
		named = append(named, i)
	}
	if len(named) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter InstanceId")
	}
	return named, nil
}

// changed tells what became of instances.
func changed(named []*instance, change func(*instance)) []element {
	var items [][]element
	for _, i := range named {
		before := i.state
		change(i)
		items = append(items, []element{tx("instanceId", i.id), stateOf("currentState", i.state), stateOf("previousState", before)})
	}
	return []element{set("instancesSet", items)}
}

func (r *region) terminateInstances(p params) ([]element, error) {
	named, err := r.named(p)
	if err != nil {
		return nil, err
	}
	for _, i := range named {
		if i.protected && i.state != "terminated" {
			return nil, refuse("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", i.id)
		}
	}
	return changed(named, func(i *instance) {
		i.end(r, "Client.UserInitiatedShutdown", "User initiated shutdown", "User initiated")
	}), nil
}

func (r *region) stopInstances(p params) ([]element, error) {
	named, err := r.named(p)
	if err != nil {
		return nil, err
	}
	for _, i := range named {
		switch {
		case i.spot:
			return nil, refuse("UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request. "+
				"You can only stop Spot Instances associated with persistent Spot Instance requests.", i.id)
		case i.state == "pending", i.state == "shutting-down", i.state == "terminated":
			return nil, refuse("IncorrectInstanceState", "This instance '%s' is not in a state from which it can be stopped.", i.id)
		}
	}
	return changed(named, func(i *instance) {
		i.stop(r, "Client.UserInitiatedShutdown", "User initiated shutdown", "User initiated")
	}), nil
}

func (r *region) startInstances(p params) ([]element, error) {
	named, err := r.named(p)
	if err != nil {
		return nil, err
	}
	for _, i := range named {
		if i.state != "stopped" && i.state != "running" {
			return nil, refuse("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started.", i.id)
		}
	}
	return changed(named, func(i *instance) {
		if i.state == "stopped" {
			i.reason, i.message, i.transition, i.publicIP = "", "", "", publicAddress(i.number)
			i.change(r, "pending", "running")
		}
	}), nil
}

// modifyInstance is ModifyInstanceAttribute, of the one attribute that it knows.
func (r *region) modifyInstance(p params) ([]element, error) {
	i, err := find(r, r.instances, p.get("InstanceId"), "InvalidInstanceID", "instance ID")
	if err != nil {
		return nil, err
	}
	value := p.get("DisableApiTermination.Value")
	if value == "" {
		return nil, refuse("InvalidParameterCombination", "No attributes specified.")
	}
	switch {
	case i.spot:
		return nil, refuse("UnsupportedOperation", "Modifying 'disableApiTermination' is not supported for spot instances.")
	case i.state == "terminated" || i.state == "shutting-down":
		return nil, refuse("IncorrectInstanceState", "The instance '%s' is not in the 'running', 'pending', 'stopping' or 'stopped' states.", i.id)
	}
	i.protected = value == "true"
	return done(), nil
}

// createTags marks whatever has one of the ids.
func (r *region) createTags(p params) ([]element, error) {
	tags, err := p.tags("Tag")
	if err != nil {
		return nil, err
	}
	ids := p.list("ResourceId")
	if len(ids) == 0 || len(tags) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter resourceIdSet and tagSet")
	}
	marked := make([]*resource, 0, len(ids))
	for _, id := range ids {
		thing := r.thing(id)
		if thing == nil || r.f.now().Before(thing.seen) {
			return nil, refuse(kindsOfID[strings.SplitN(id, "-", 2)[0]]+".NotFound", "The ID '%s' does not exist", id)
		}
		marked = append(marked, thing)
	}
	for _, thing := range marked {
		for key, value := range tags {
			thing.tags[key] = value
		}
	}
	return done(), nil
}

// kindsOfID are what EC2 calls ids in its errors, by how they begin.
var kindsOfID = map[string]string{
	"i": "InvalidInstanceID", "vol": "InvalidVolume", "snap": "InvalidSnapshot", "ami": "InvalidAMIID", "sg": "InvalidGroup",
	"eipalloc": "InvalidAllocationID", "subnet": "InvalidSubnetID", "vpc": "InvalidVpcID",
}

// thing is whatever has an id; nil: nothing.
func (r *region) thing(id string) *resource {
	if i, ok := r.instances[id]; ok {
		return &i.resource
	}
	if v, ok := r.volumes[id]; ok {
		return &v.resource
	}
	if s, ok := r.snapshots[id]; ok {
		return &s.resource
	}
	if i, ok := r.images[id]; ok {
		return &i.resource
	}
	if g, ok := r.groups[id]; ok {
		return &g.resource
	}
	if a, ok := r.addresses[id]; ok {
		return &a.resource
	}
	return nil
}

func unauthorized(action string) *apiError {
	return refuse("UnauthorizedOperation", "You are not authorized to perform this operation. User: arn:aws:iam::%s:user/tester is not authorized to perform: "+
		"ec2:%s because no identity-based policy allows the action.", account, action).status(http.StatusForbidden)
}
