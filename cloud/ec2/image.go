package ec2

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"popup/console"
)

// An image is what a machine starts from.
type image struct {
	id, arch string // arch as Go names it
	root     string // the name of the device of its root volume; empty: it has none
	rootGiB  int32
}

// public are the parameters of SSM in which who makes an image says which is the newest,
// by architecture. ARCH is Go's name of one, KERNEL the kernel's.
var public = map[string]string{
	"al2023":      "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-KERNEL",
	"debian12":    "/aws/service/debian/release/12/latest/ARCH",
	"debian13":    "/aws/service/debian/release/13/latest/ARCH",
	"ubuntu24.04": "/aws/service/canonical/ubuntu/server/24.04/stable/current/ARCH/hvm/ebs-gp3/ami-id",
}

// Images are the names of images that are known on AWS.
func Images() []string { return slices.Sorted(maps.Keys(public)) }

// The names of architectures: Go's, and the kernel's, which EC2 uses.
var kernelArch = map[string]string{"amd64": "x86_64", "arm64": "arm64"}

// imageFor is the image of a machine that is launched in a region, and its type.
func (c *Cloud) imageFor(ctx context.Context, r *region, l console.Launch) (image, string, error) {
	name := cmp.Or(l.Image, c.opts.Image)
	if !imageForm.MatchString(name) {
		arch, err := c.archFor(l)
		if err != nil {
			return image{}, "", err
		}
		if name, err = c.newest(ctx, r, name, arch); err != nil {
			return image{}, "", err
		}
	}
	img, err := c.describeImage(ctx, r, name)
	if err != nil {
		return image{}, "", err
	}
	machine := c.opts.typeFor(img.arch)
	switch {
	case machine == "":
		err = refused("the image %s is for %s, and no type of machine is; give an --ec2-type of that architecture, or another --ec2-image", img.id, img.arch)
	case len(l.Architectures) > 0 && !slices.Contains(l.Architectures, img.arch):
		err = refused("this app runs on %s, and the image %s is for %s; give another --ec2-image", strings.Join(l.Architectures, " and "), img.id, img.arch)
	}
	return img, machine, err
}

// archFor is the architecture of the first type that the app can run on.
func (c *Cloud) archFor(l console.Launch) (string, error) {
	for _, t := range c.opts.Types {
		if arch := archOf(t); len(l.Architectures) == 0 || slices.Contains(l.Architectures, arch) {
			return arch, nil
		}
	}
	return "", refused("this app runs on %s, and no type of machine is of that architecture; give one with --ec2-type", strings.Join(l.Architectures, " and "))
}

// newest is the id that a parameter of SSM holds.
func (c *Cloud) newest(ctx context.Context, r *region, name, arch string) (string, error) {
	path := cmp.Or(public[name], name)
	path = strings.NewReplacer("ARCH", arch, "KERNEL", kernelArch[arch]).Replace(path)
	img, err := r.image(path, func() (image, error) {
		out, err := call(ctx, r, r.ssm.GetParameter, &ssm.GetParameterInput{Name: aws.String(path)})
		if err != nil {
			return image{}, err
		}
		id := aws.ToString(out.Parameter.Value)
		if !imageForm.MatchString(id) {
			return image{}, refused("the parameter %s of SSM in %s holds %q, which is no image; correct --ec2-image", path, r.name, id)
		}
		return image{id: id}, nil
	})
	return img.id, err
}

// describeImage says what there is of an image.
func (c *Cloud) describeImage(ctx context.Context, r *region, id string) (image, error) {
	return r.image(id, func() (image, error) {
		out, err := call(ctx, r, r.ec2.DescribeImages, &ec2.DescribeImagesInput{ImageIds: []string{id}})
		if err != nil {
			return image{}, err
		}
		if len(out.Images) == 0 || out.Images[0].State == types.ImageStateDeregistered {
			return image{}, refused("the image %s is not in %s (any more); give another --ec2-image", id, r.name)
		}
		found := out.Images[0]
		if found.State != types.ImageStateAvailable {
			return image{}, refused("the image %s in %s is %s; wait until it is available, or give another --ec2-image", id, r.name, found.State)
		}
		img := image{id: id, arch: "amd64"}
		if string(found.Architecture) == kernelArch["arm64"] {
			img.arch = "arm64"
		}
		for _, b := range found.BlockDeviceMappings {
			if b.Ebs != nil && aws.ToString(b.DeviceName) == aws.ToString(found.RootDeviceName) {
				img.root, img.rootGiB = aws.ToString(b.DeviceName), aws.ToInt32(b.Ebs.VolumeSize)
			}
		}
		return img, nil
	})
}

// image returns what is known by a name, or asks.
func (r *region) image(name string, ask func() (image, error)) (image, error) {
	r.mu.Lock()
	old := r.images[name]
	r.mu.Unlock()
	if old.fresh() {
		return old.value, nil
	}
	img, err := ask()
	if err == nil {
		r.mu.Lock()
		r.images[name] = kept[image]{img, time.Now()}
		r.mu.Unlock()
	}
	return img, err
}

// forget has images be asked for again, where one was gone.
func (r *region) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.images)
	r.subnets = kept[[]types.Subnet]{}
}
