package machine

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"time"
)

func (cfg MetadataConfig) withDefaults() MetadataConfig {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&cfg.Region, "us-east-1")
	fill(&cfg.Zone, cfg.Region+"a")
	fill(&cfg.InstanceType, "t3.micro")
	fill(&cfg.ImageID, "ami-00000000000000000")
	fill(&cfg.AccountID, "000000000000")
	fill(&cfg.LocalIPv4, ec2Guest)
	fill(&cfg.Hostname, "ip-"+strings.ReplaceAll(cfg.LocalIPv4, ".", "-"))
	return cfg
}

// tree is everything the service answers, by path below the version.
func (cfg MetadataConfig) tree() (map[string][]byte, error) {
	addr, err := netip.ParseAddr(cfg.LocalIPv4)
	if err != nil {
		return nil, fmt.Errorf("the local address %q is none", cfg.LocalIPv4)
	}
	tree := map[string][]byte{}
	for path, text := range map[string]string{
		"ami-id":                      cfg.ImageID,
		"ami-launch-index":            "0",
		"hostname":                    cfg.Hostname,
		"instance-action":             "none",
		"instance-id":                 cfg.InstanceID,
		"instance-life-cycle":         "on-demand",
		"instance-type":               cfg.InstanceType,
		"local-hostname":              cfg.Hostname,
		"local-ipv4":                  cfg.LocalIPv4,
		"placement/availability-zone": cfg.Zone,
		"placement/region":            cfg.Region,
		"reservation-id":              "r-" + strings.TrimPrefix(cfg.InstanceID, "i-"),
		"security-groups":             "default",
		"services/domain":             "amazonaws.com",
		"services/partition":          "aws",
	} {
		tree["meta-data/"+path] = []byte(text)
	}
	if cfg.MAC != "" {
		tree["meta-data/mac"] = []byte(cfg.MAC)
		nic := "meta-data/network/interfaces/macs/" + cfg.MAC + "/"
		tree[nic+"device-number"] = []byte("0")
		tree[nic+"interface-id"] = []byte("eni-" + strings.TrimPrefix(cfg.InstanceID, "i-"))
		tree[nic+"local-hostname"] = []byte(cfg.Hostname)
		tree[nic+"local-ipv4s"] = []byte(cfg.LocalIPv4)
		tree[nic+"mac"] = []byte(cfg.MAC)
		tree[nic+"subnet-ipv4-cidr-block"] = []byte(netip.PrefixFrom(addr, 24).Masked().String())
	}
	if cfg.Role != nil {
		tree[rolePath+cfg.Role.Name] = nil // its keys are made when they are asked for
	}
	if len(cfg.UserData) > 0 {
		tree["user-data"] = cfg.UserData
	}
	if cfg.Signer == nil {
		return tree, nil
	}
	return tree, cfg.identify(tree)
}

// identityDocument says, signed, which instance this is.
type identityDocument struct {
	AccountID          string   `json:"accountId"`
	Architecture       string   `json:"architecture"`
	AvailabilityZone   string   `json:"availabilityZone"`
	BillingProducts    []string `json:"billingProducts"`
	DevpayProductCodes []string `json:"devpayProductCodes"`
	MarketplaceCodes   []string `json:"marketplaceProductCodes"`
	ImageID            string   `json:"imageId"`
	InstanceID         string   `json:"instanceId"`
	InstanceType       string   `json:"instanceType"`
	KernelID           *string  `json:"kernelId"`
	PendingTime        string   `json:"pendingTime"`
	PrivateIP          string   `json:"privateIp"`
	RamdiskID          *string  `json:"ramdiskId"`
	Region             string   `json:"region"`
	Version            string   `json:"version"`
}

// identify adds the identity document and its two signatures.
func (cfg MetadataConfig) identify(tree map[string][]byte) error {
	arch := map[string]string{"amd64": "x86_64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	document, err := json.MarshalIndent(identityDocument{
		AccountID: cfg.AccountID, Architecture: arch, AvailabilityZone: cfg.Zone, ImageID: cfg.ImageID,
		InstanceID: cfg.InstanceID, InstanceType: cfg.InstanceType, Region: cfg.Region,
		PendingTime: cfg.LaunchTime.UTC().Format(time.RFC3339), PrivateIP: cfg.LocalIPv4, Version: "2017-09-30",
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("write identity document: %w", err)
	}
	signature, err := cfg.Signer.Sign(document)
	if err != nil {
		return err
	}
	envelope, err := cfg.Signer.Envelope(document)
	if err != nil {
		return err
	}
	const dir = "dynamic/instance-identity/"
	tree[dir+"document"] = document
	tree[dir+"signature"] = []byte(base64.StdEncoding.EncodeToString(signature))
	tree[dir+"rsa2048"] = []byte(wrap64(envelope))
	return nil
}

// wrap64 is base64 in lines of 64, as between the marks of a PEM.
func wrap64(data []byte) string {
	const width = 64
	text := base64.StdEncoding.EncodeToString(data)
	var lines []string
	for len(text) > width {
		lines = append(lines, text[:width])
		text = text[width:]
	}
	return strings.Join(append(lines, text), "\n")
}
