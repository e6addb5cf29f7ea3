package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// metadataTable is popup's own table of the firewall; nothing else is in it.
const metadataTable = "popup"

// metadataAddresses are where clouds answer questions about an instance, its
// credentials among them.
var metadataAddresses = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"),
	netip.MustParseAddr("fd00:ec2::254"),
}

// CloseMetadata makes this machine refuse every packet of user uid to the
// instance metadata service. It needs root and nf_tables, may be called again
// at any time, and holds until OpenMetadata or a restart of the machine.
func CloseMetadata(uid uint32) error {
	if uid == 0 {
		return errors.New("close instance metadata: it would be closed to root, and so to popup; give the app a user of its own")
	}
	if err := closeMetadata(uid); err != nil {
		return fmt.Errorf("close instance metadata to user %d: %w", uid, explainFirewall(err))
	}
	return nil
}

// OpenMetadata takes back CloseMetadata. It is no error when nothing was closed.
func OpenMetadata(uid uint32) error {
	if err := openMetadata(uid); err != nil {
		return fmt.Errorf("open instance metadata to user %d: %w", uid, explainFirewall(err))
	}
	return nil
}

func closeMetadata(uid uint32) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	// All of it is one transaction: there is no moment in which the way is open.
	table := conn.AddTable(&nftables.Table{Name: metadataTable, Family: nftables.TableFamilyINet})
	accept := nftables.ChainPolicyAccept
	chain := conn.AddChain(&nftables.Chain{
		Name: chainName(uid), Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter, Policy: &accept,
	})
	conn.FlushChain(chain)
	for _, address := range metadataAddresses {
		for _, exprs := range refuse(uid, address) {
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
		}
	}
	return conn.Flush()
}

func openMetadata(uid uint32) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return err
	}
	for _, c := range chains {
		if c.Table.Name == metadataTable && c.Name == chainName(uid) {
			conn.FlushChain(c)
			conn.DelChain(c)
		}
	}
	return conn.Flush()
}

func chainName(uid uint32) string { return fmt.Sprintf("user-%d", uid) }

// refuse is the rules that answer at once whatever uid sends to address. A TCP
// connection is reset: Linux does not heed an ICMP answer that arrives while it
// is still sending, and tries once more a second later.
func refuse(uid uint32, address netip.Addr) [][]expr.Any {
	family, offset := byte(unix.NFPROTO_IPV4), uint32(16) // of the destination, in the header
	if address.Is6() {
		family, offset = unix.NFPROTO_IPV6, 24
	}
	match := slices.Concat(
		equal(&expr.Meta{Key: expr.MetaKeySKUID, Register: 1}, binaryutil.NativeEndian.PutUint32(uid)),
		equal(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, []byte{family}),
		equal(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(address.BitLen() / 8)}, address.AsSlice()),
	)
	tcp := equal(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, []byte{unix.IPPROTO_TCP})
	return [][]expr.Any{
		slices.Concat(match, tcp, []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}}),
		slices.Concat(match, []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_PORT_UNREACH}}),
	}
}

// equal goes on with a rule when what load puts into register 1 is value.
func equal(load expr.Any, value []byte) []expr.Any {
	return []expr.Any{load, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}}
}

func explainFirewall(err error) error {
	switch {
	case os.Geteuid() != 0:
		return fmt.Errorf("only root may change the firewall: %w", err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT):
		return fmt.Errorf("this kernel has no nf_tables; load the module nf_tables: %w", err)
	default:
		return err
	}
}
