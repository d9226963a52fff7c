package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

const maxChunk = 16 << 20 // twice the largest body: a size beyond it is an error, not a size

// chunkReader undoes the chunked transfer coding. It returns what has arrived without waiting for the rest of
// a chunk, and io.EOF only after the last chunk and its trailer.
type chunkReader struct {
	r    *bufio.Reader
	left int64 // of the current chunk
	open bool  // a chunk has begun whose line end is still to come
	err  error // what every further Read answers
}

// Read implements io.Reader.
func (c *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 || c.err != nil {
		return 0, c.err
	}
	if c.left == 0 {
		if c.err = c.next(); c.err != nil {
			return 0, c.err
		}
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if err != nil {
		c.err = unexpected(err)
	}
	return n, c.err
}

// next begins the next chunk, or returns io.EOF after the last.
func (c *chunkReader) next() error {
	if c.open {
		if err := c.endOfChunk(); err != nil {
			return err
		}
	}
	line, err := readLine(c.r)
	if err != nil {
		return unexpected(err)
	}
	if c.left, err = chunkSize(line); err != nil {
		return err
	}
	c.open = true
	if c.left > 0 {
		return nil
	}
	return c.trailer()
}

func (c *chunkReader) endOfChunk() error {
	end, err := c.r.Peek(2)
	if err != nil {
		return unexpected(err)
	}
	if string(end) != "\r\n" {
		return errors.New("chunk is longer than its size")
	}
	_, err = c.r.Discard(2)
	return err
}

func (c *chunkReader) trailer() error {
	for range maxHeaders {
		line, err := readLine(c.r)
		if err != nil {
			return unexpected(err)
		}
		if len(line) == 0 {
			return io.EOF
		}
	}
	return fmt.Errorf("more than %d trailer fields", maxHeaders)
}

// chunkSize parses the hexadecimal size; extensions after it are passed over.
func chunkSize(line []byte) (int64, error) {
	size, _, _ := bytes.Cut(line, []byte(";"))
	size = bytes.TrimRight(size, " \t")
	if len(size) == 0 || len(size) > 8 {
		return 0, fmt.Errorf("bad chunk size %.40q", line)
	}
	var n int64
	for _, c := range size {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | int64(c-'A'+10)
		default:
			return 0, fmt.Errorf("bad chunk size %.40q", line)
		}
	}
	if n > maxChunk {
		return 0, fmt.Errorf("chunk of %d bytes", n)
	}
	return n, nil
}
