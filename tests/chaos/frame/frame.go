// Package frame is as much of WebSockets (RFC 6455) as two programs need that send each other short messages.
package frame

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
)

// Opcodes.
const (
	Text  = 1
	Close = 8
	Ping  = 9
	Pong  = 10
)

const (
	guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	// Longer messages have another form of head.
	mostBytes = 125
)

// Acceptance is what an app answers to agree to a WebSocket.
func Acceptance(key string) string {
	sum := sha1.Sum([]byte(key + guid))
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}

// Write sends one message. A client masks it; a mask of zeros is legal, and leaves the payload as it is.
func Write(w io.Writer, opcode byte, payload []byte, masked bool) error {
	if len(payload) > mostBytes {
		return fmt.Errorf("%d bytes are too long for a short message", len(payload))
	}
	head := []byte{128 | opcode, byte(len(payload))}
	if masked {
		head[1] |= 128
		head = append(head, 0, 0, 0, 0)
	}
	_, err := w.Write(append(head, payload...))
	return err
}

// Read takes the next message.
func Read(r io.Reader) (opcode byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	length := int(head[1] & 127)
	if length > mostBytes {
		return 0, nil, fmt.Errorf("a message that is not short")
	}
	mask := make([]byte, 4)
	if head[1]&128 != 0 {
		if _, err := io.ReadFull(r, mask); err != nil {
			return 0, nil, err
		}
	}
	payload = make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	for at := range payload {
		payload[at] ^= mask[at%4]
	}
	return head[0] & 15, payload, nil
}
