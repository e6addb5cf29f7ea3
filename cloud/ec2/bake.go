package ec2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/console"
)

const (
	tagBaked = "popup:baked" // of an image: the instance that it was
	tagImage = "popup:image" // of a snapshot: the image that it is kept in, which is going
	// bakePatience is how long EC2 may take to copy a machine's disks.
	bakePatience  = 30 * time.Minute
	mostImageName = 128
)

// imageName is the name of the image of an instance: there is one of a name, whoever makes
// it, and it is found before it has tags.
func (c *Cloud) imageName(instance string) string {
	name := "popup-" + c.mark() + "-" + instance
	if len(name) > mostImageName {
		name = "popup-" + c.mark() + "-" + hash(instance)
	}
	return name
}

// A bakedImage is an image as it was described.
type bakedImage struct {
	types.Image
	region *region
}

func (i bakedImage) id() string { return aws.ToString(i.ImageId) }

func (i bakedImage) snapshots() (ids []string) {
	for _, b := range i.BlockDeviceMappings {
		if b.Ebs != nil && b.Ebs.SnapshotId != nil {
			ids = append(ids, *b.Ebs.SnapshotId)
		}
	}
	return ids
}

// ownImages are images of this account that filters ask for, in all regions.
func (c *Cloud) ownImages(ctx context.Context, filters ...types.Filter) ([]bakedImage, error) {
	return everywhere(ctx, c, func(r *region) ([]bakedImage, error) {
		return pages(func(next *string) (found []bakedImage, more *string, err error) {
			out, err := call(ctx, r, r.ec2.DescribeImages, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: filters, NextToken: next})
			if err != nil {
				return nil, nil, err
			}
			for _, i := range out.Images {
				if i.State != types.ImageStateDeregistered {
					found = append(found, bakedImage{i, r})
				}
			}
			return found, out.NextToken, nil
		})
	})
}

// Bake implements console.Baker.
func (c *Cloud) Bake(ctx context.Context, instance string, tags map[string]string) (console.Image, error) {
	unlock, err := c.busy.lock(ctx, "bake/"+instance)
	if err != nil {
		return console.Image{}, err
	}
	defer unlock()
	var made []bakedImage
	err = c.askOnce(ctx, func() (bool, error) {
		made, err = c.ownImages(ctx, filter("name", c.imageName(instance)))
		return len(made) > 0, err
	}, func() error { return c.createImage(ctx, instance, tags) })
	if errors.Is(err, errUnsettled) {
		err = fmt.Errorf("EC2 does not describe the image of %s yet", instance)
	}
	if err != nil {
		return console.Image{}, err
	}
	image, err := c.baked(ctx, made[0])
	if err != nil {
		return console.Image{}, err
	}
	if tagged(image.Tags, tagBaked) == "" {
		image.Tags = c.imageTags(instance, tags)
		for _, id := range append(image.snapshots(), image.id()) { // the image last: by its tag it is known to be complete
			if err := c.tag(ctx, image.region, id, image.Tags); err != nil {
				return console.Image{}, err
			}
		}
	}
	return image.image(), nil
}

// imageTags are without the event: an image outlives the one that it was baked in.
func (c *Cloud) imageTags(instance string, tags map[string]string) []types.Tag {
	with := maps.Clone(tags)
	if with == nil {
		with = map[string]string{}
	}
	for _, own := range []string{tagEvent, tagEventName, tagInstance, tagDeployment} {
		delete(with, own)
	}
	all := []types.Tag{{Key: aws.String("Name"), Value: aws.String(c.imageName(instance))}}
	for _, key := range slices.Sorted(maps.Keys(with)) {
		if len(key) <= mostTagKey && len(all) < mostTags && key != "" && key != "Name" && key != tagConsole && key != tagBaked {
			all = append(all, types.Tag{Key: aws.String(key), Value: aws.String(cut(with[key], mostTagValue))})
		}
	}
	return append(all, types.Tag{Key: aws.String(tagConsole), Value: aws.String(c.opts.Console)}, types.Tag{Key: aws.String(tagBaked), Value: aws.String(instance)})
}

// createImage begins the image of a machine, once that is turned off.
func (c *Cloud) createImage(ctx context.Context, instance string, tags map[string]string) error {
	var s sighting
	err := c.until(ctx, attachPatience, func() (ok bool, err error) {
		if s, err = c.owner(ctx, instance); err != nil {
			return false, err
		}
		switch s.state() {
		case types.InstanceStateNameStopped:
			return true, nil
		case types.InstanceStateNameStopping:
			return false, nil
		}
		return false, fmt.Errorf("the machine %s of %s is %s; it becomes an image once it is turned off", s.id(), instance, s.state())
	})
	if errors.Is(err, errUnsettled) {
		return fmt.Errorf("the machine %s of %s is still being turned off", s.id(), instance)
	}
	if err != nil {
		return err
	}
	in := &ec2.CreateImageInput{InstanceId: s.InstanceId, Name: aws.String(c.imageName(instance)), Description: aws.String("baked by popup, of " + instance)}
	if !s.region.compat {
		all := c.imageTags(instance, tags)
		in.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeImage, Tags: all}, {ResourceType: types.ResourceTypeSnapshot, Tags: all}}
	}
	_, err = call(ctx, s.region, s.region.ec2.CreateImage, in)
	if is(err, "InvalidAMIName.Duplicate") { // it was asked for before, and is not described yet
		return nil
	}
	return err
}

// baked waits until an image can be launched.
func (c *Cloud) baked(ctx context.Context, i bakedImage) (bakedImage, error) {
	err := c.until(ctx, bakePatience, func() (bool, error) {
		found, err := c.ownImages(ctx, filter("image-id", i.id()))
		if err != nil || len(found) == 0 {
			return false, err
		}
		switch i = found[0]; i.State {
		case types.ImageStateAvailable:
			return true, nil
		case types.ImageStatePending:
			return false, nil
		}
		why := "EC2 does not say why"
		if i.StateReason != nil {
			why = aws.ToString(i.StateReason.Message)
		}
		return false, fmt.Errorf("the image %s in %s is %s: %s; forget it, and bake again", i.id(), i.region.name, i.State, why)
	})
	if errors.Is(err, errUnsettled) {
		err = fmt.Errorf("the image %s in %s is not made after %v; EC2 is asked again", i.id(), i.region.name, bakePatience)
	}
	return i, err
}

// image is what a console knows of it.
func (i bakedImage) image() console.Image {
	out := console.Image{ID: i.id(), Tags: map[string]string{}, Ready: i.State == types.ImageStateAvailable && tagged(i.Tags, tagBaked) != ""}
	out.Baked, _ = time.Parse(time.RFC3339, aws.ToString(i.CreationDate)) // EC2 wrote it; else it is the oldest
	for _, t := range i.Tags {
		if key := aws.ToString(t.Key); key != tagConsole && key != "Name" {
			out.Tags[key] = aws.ToString(t.Value)
		}
	}
	return out
}

// Images implements console.Baker. One that is not complete is among them: it can be forgotten.
func (c *Cloud) Images(ctx context.Context) ([]console.Image, error) {
	found, err := c.ownImages(ctx, filter("name", "popup-"+c.mark()+"-*"))
	var images []console.Image
	for _, i := range found {
		images = append(images, i.image())
	}
	slices.SortFunc(images, func(a, b console.Image) int { return a.Baked.Compare(b.Baked) })
	return images, err
}

// Forget implements console.Baker. The snapshots are marked with the image before it goes,
// so that they are found when what followed was cut off.
func (c *Cloud) Forget(ctx context.Context, image string) error {
	found, err := c.ownImages(ctx, filter("image-id", image))
	if err != nil {
		return err
	}
	for _, i := range found {
		if !strings.HasPrefix(aws.ToString(i.Name), "popup-"+c.mark()+"-") {
			return fmt.Errorf("the image %s is not of this console, which leaves it alone", image)
		}
		if err := c.deregister(ctx, i); err != nil {
			return err
		}
	}
	left, err := everywhere(ctx, c, func(r *region) ([]copied, error) {
		return describeSnapshots(ctx, r, filter("tag:"+tagConsole, c.opts.Console), filter("tag:"+tagImage, image))
	})
	if err != nil {
		return err
	}
	for _, s := range left {
		if err := c.removeSnapshot(ctx, s, image); err != nil {
			return err
		}
	}
	for _, r := range c.regions {
		r.forget()
	}
	return nil
}

// deregister removes an image, and returns once it is not described any more.
func (c *Cloud) deregister(ctx context.Context, i bakedImage) error {
	marks := []types.Tag{{Key: aws.String(tagConsole), Value: aws.String(c.opts.Console)}, {Key: aws.String(tagImage), Value: i.ImageId}}
	for _, id := range i.snapshots() {
		if err := c.tag(ctx, i.region, id, marks); err != nil && !is(err, "InvalidSnapshot.NotFound") {
			return err
		}
	}
	_, err := call(ctx, i.region, i.region.ec2.DeregisterImage, &ec2.DeregisterImageInput{ImageId: i.ImageId})
	if err != nil && !is(err, "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable") {
		return err
	}
	err = c.until(ctx, removePatience, func() (bool, error) {
		there, err := c.ownImages(ctx, filter("image-id", i.id()))
		return len(there) == 0, err
	})
	if errors.Is(err, errUnsettled) {
		return fmt.Errorf("EC2 took the request, and still describes the image %s in %s", i.id(), i.region.name)
	}
	return err
}

// removeSnapshot removes what an image was kept in, which EC2 may hold a moment longer.
func (c *Cloud) removeSnapshot(ctx context.Context, s copied, image string) error {
	var last error
	err := c.until(ctx, removePatience, func() (bool, error) {
		last = c.Remove(ctx, console.Thing{Kind: console.ThingSnapshot, ID: s.id(), Place: s.region.name})
		if is(last, "InvalidSnapshot.InUse") {
			return false, nil
		}
		return true, last
	})
	if errors.Is(err, errUnsettled) {
		return fmt.Errorf("the snapshot %s of the image %s is not gone: %w", s.id(), image, last)
	}
	return err
}
