package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

// More than any right answer has.
const mostBytes = 4096

type answer struct {
	status int
	// The app's answer.
	isGood bool
	// The proxy's 503 `overloaded`.
	isShed bool
	// No other answer comes after it.
	isLast bool
}

// Reads answers with Content-Length, with as little work as possible: the sender shares the machine with the proxy.
type reader struct {
	buffer *bufio.Reader
	body   []byte
	// The body of the app's answer.
	want string
}

func newReader(from io.Reader, want string) *reader {
	return &reader{buffer: bufio.NewReaderSize(from, 4096), body: make([]byte, mostBytes), want: want}
}

func (r *reader) next() (answer, error) {
	var made answer
	line, err := r.buffer.ReadSlice('\n')
	if err != nil {
		return made, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return made, errors.New("no HTTP")
	}
	if made.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return made, err
	}
	length := -1
	for {
		line, err = r.buffer.ReadSlice('\n')
		if err != nil {
			return made, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return made, err
			}
		case bytes.EqualFold(name, []byte("cless-error")):
			made.isShed = made.status == 503 && string(value) == "overloaded"
		case bytes.EqualFold(name, []byte("connection")):
			made.isLast = bytes.EqualFold(value, []byte("close"))
		}
	}
	if length < 0 || length > mostBytes {
		return made, errors.New("an answer of another length")
	}
	if _, err := io.ReadFull(r.buffer, r.body[:length]); err != nil {
		return made, err
	}
	made.isGood = made.status == 200 && string(r.body[:length]) == r.want
	return made, nil
}
