// Package pattern is the content that the app and the sender exchange.
package pattern

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand"
	"sync"
)

// Head is what every content begins with.
const Head = "hello, bench"

// A prime: a part that is lost, repeated or moved, which has a round length mostly, cannot go unnoticed.
const blockLength = 1_000_003

// An app that is asked for the head only should not have to make the rest first.
var block = sync.OnceValue(func() []byte {
	made := make([]byte, blockLength)
	rand.New(rand.NewSource(1)).Read(made)
	copy(made, Head)
	return made
})

// A processor does this checksum in hardware.
var table = crc32.MakeTable(crc32.Castagnoli)

// part is the content from an offset on, as far as it lies in one piece, and at most `most` bytes.
func part(offset, most int64) []byte {
	if offset+most <= int64(len(Head)) {
		return []byte(Head)[offset : offset+most]
	}
	from := offset % blockLength
	return block()[from:min(from+most, blockLength)]
}

// Reader gives the first bytes of the content.
type Reader struct {
	offset, length int64
}

// NewReader makes a reader of so many bytes.
func NewReader(length int64) *Reader {
	return &Reader{length: length}
}

func (r *Reader) Read(p []byte) (int, error) {
	if r.offset == r.length {
		return 0, io.EOF
	}
	n := copy(p, part(r.offset, min(int64(len(p)), r.length-r.offset)))
	r.offset += int64(n)
	return n, nil
}

// Write writes the first bytes of the content.
func Write(w io.Writer, length int64) error {
	for offset := int64(0); offset < length; {
		n, err := w.Write(part(offset, length-offset))
		if err != nil {
			return err
		}
		offset += int64(n)
	}
	return nil
}

// Check compares bytes with those of the content at an offset.
func Check(got []byte, offset int64) error {
	for len(got) > 0 {
		want := part(offset, int64(len(got)))
		if !bytes.Equal(got[:len(want)], want) {
			return fmt.Errorf("wrong content within %d bytes from %d on", len(want), offset)
		}
		got = got[len(want):]
		offset += int64(len(want))
	}
	return nil
}

// Digest counts and sums up what is written to it.
type Digest struct {
	length int64
	sum    uint32
}

func (d *Digest) Write(p []byte) (int, error) {
	d.length += int64(len(p))
	d.sum = crc32.Update(d.sum, table, p)
	return len(p), nil
}

// String is what the app answers to an upload.
func (d *Digest) String() string {
	return fmt.Sprintf("%d %08x", d.length, d.sum)
}
