package identity

import (
	"encoding/asn1"
	"errors"
)

// deepest is how many values may be within each other: names in attributes are the
// deepest of a signature, at 18.
const deepest = 24

var (
	errCut  = errors.New("it ends before it should")
	errForm = errors.New("it is not written as ASN.1 is")
)

// toDER writes a message as encoding/asn1 reads it. Amazon's come in BER: their
// lengths are left open until an end comes, and their strings are in pieces.
func toDER(ber []byte) ([]byte, error) {
	der, rest, err := oneToDER(ber, deepest)
	if err == nil && len(rest) > 0 {
		err = errForm
	}
	return der, err
}

// oneToDER takes the first value of ber, and returns what follows it.
func oneToDER(ber []byte, depth int) (der, rest []byte, err error) {
	if depth == 0 {
		return nil, nil, errForm
	}
	if len(ber) < 2 {
		return nil, nil, errCut
	}
	const longTag = 0x1f // of a number that takes more bytes; there are none in signatures
	value := asn1.RawValue{Class: int(ber[0] >> 6), Tag: int(ber[0] & longTag), IsCompound: ber[0]&0x20 != 0}
	if value.Tag == longTag || ber[0] == 0 {
		return nil, nil, errForm
	}
	length, ber, err := berLength(ber[1:])
	switch {
	case err != nil:
		return nil, nil, err
	case length < 0 && !value.IsCompound:
		return nil, nil, errForm
	case length < 0:
		value.Bytes, rest, err = partsToDER(ber, &value, depth)
	case length > len(ber):
		return nil, nil, errCut
	case value.IsCompound:
		var inside []byte
		value.Bytes, inside, err = partsToDER(append(ber[:length:length], 0, 0), &value, depth)
		if rest = ber[length:]; err == nil && len(inside) > 0 {
			err = errForm
		}
	default:
		value.Bytes, rest = ber[:length], ber[length:]
	}
	if err != nil {
		return nil, nil, err
	}
	der, err = asn1.Marshal(value)
	return der, rest, err
}

// partsToDER takes values until their end, two zeros. A string in pieces becomes one.
func partsToDER(ber []byte, of *asn1.RawValue, depth int) (der, rest []byte, err error) {
	pieces := of.Class == asn1.ClassUniversal && of.Tag == asn1.TagOctetString
	for {
		if len(ber) < 2 {
			return nil, nil, errCut
		}
		if ber[0] == 0 && ber[1] == 0 {
			of.IsCompound = !pieces
			return der, ber[2:], nil
		}
		var part []byte
		if part, ber, err = oneToDER(ber, depth-1); err != nil {
			return nil, nil, err
		}
		if pieces {
			var piece []byte
			if _, err := asn1.Unmarshal(part, &piece); err != nil {
				return nil, nil, errForm
			}
			part = piece
		}
		der = append(der, part...)
	}
}

// berLength reads a length; -1: it is open.
func berLength(ber []byte) (length int, rest []byte, err error) {
	const open, most = 0x80, 3 // 3 bytes tell more than a proof may have
	first, ber := ber[0], ber[1:]
	switch n := int(first &^ open); {
	case first < open:
		return int(first), ber, nil
	case first == open:
		return -1, ber, nil
	case n > most:
		return 0, nil, errForm
	case n > len(ber):
		return 0, nil, errCut
	default:
		for _, b := range ber[:n] {
			length = length<<8 | int(b)
		}
		return length, ber[n:], nil
	}
}
