package audio

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"time"
)

// The elements of a WebM file that are looked at, by RFC 8794 and RFC 9559. Masters
// hold others; what they hold is read as if it stood beside them, which needs no
// lengths: those of a live recording are unknown.
const (
	ebmlHeader   = 0x1A45DFA3 // master
	docType      = 0x4282
	segmentBody  = 0x18538067 // master
	info         = 0x1549A966 // master
	scale        = 0x2AD7B1   // nanoseconds of a tick
	lasts        = 0x4489     // ticks, a float
	tracks       = 0x1654AE6B // master
	trackEntry   = 0xAE       // master
	codecID      = 0x86
	cluster      = 0x1F43B675 // master
	clusterTicks = 0xE7
	blockGroup   = 0xA0 // master
	block        = 0xA1
	simpleBlock  = 0xA3
)

// defaultScale is a tick of a millisecond; maxScale is a second.
const (
	defaultScale = 1_000_000
	maxScale     = 1_000_000_000
)

func isWebM(file []byte) bool { return bytes.HasPrefix(file, []byte{0x1A, 0x45, 0xDF, 0xA3}) }

// recording is what is known of a WebM file while it is read.
type recording struct {
	webm, opus  bool
	scale       uint64
	told        float64 // how long it says that it lasts, in ticks
	cluster     int64   // where the cluster begins, in ticks
	packets     int
	first, last int64         // where the first and the last packet begin, in ticks
	tail        time.Duration // how long the last one lasts
}

// listenWebM returns how long a WebM file with Opus lasts: from its first packet to
// the end of its last, and no less than it says.
func listenWebM(file []byte) (time.Duration, error) {
	r := recording{scale: defaultScale}
	for rest := file; len(rest) > 0; {
		id, idLength, ok := vint(rest, true)
		if !ok || idLength > 4 {
			return 0, damaged("an element has no name")
		}
		length, lengthLength, ok := vint(rest[idLength:], false)
		if !ok {
			return 0, damaged("an element has no length")
		}
		rest = rest[idLength+lengthLength:]
		switch id {
		case ebmlHeader, segmentBody, info, tracks, trackEntry, cluster, blockGroup:
			continue
		}
		if length > uint64(len(rest)) {
			return 0, damaged("it ends within an element")
		}
		if err := r.take(id, rest[:length]); err != nil {
			return 0, err
		}
		rest = rest[length:]
	}
	switch {
	case !r.webm || !r.opus:
		return 0, ErrFormat
	case r.packets == 0:
		return 0, damaged("it has no packets")
	}
	return max(r.ticks(float64(r.last-r.first))+r.tail, r.ticks(r.told)), nil
}

// take reads an element that holds no others.
func (r *recording) take(id uint64, content []byte) error {
	switch id {
	case docType:
		r.webm = string(bytes.TrimRight(content, "\x00")) == "webm"
	case codecID:
		if r.opus = string(bytes.TrimRight(content, "\x00")) == "A_OPUS"; !r.opus {
			return ErrFormat // a second track would be a picture
		}
	case scale:
		if r.scale = unsigned(content); r.scale == 0 || r.scale > maxScale {
			return damaged("its instants have no unit")
		}
	case lasts:
		r.told = real(content)
	case clusterTicks:
		r.cluster = int64(min(unsigned(content), math.MaxInt32)) // beyond, it lasts too long anyway
	case block, simpleBlock:
		return r.packet(content)
	}
	return nil
}

// packet reads a block: the track's number, its instant, flags, and the packet.
func (r *recording) packet(content []byte) error {
	_, n, ok := vint(content, false)
	if !ok || len(content) < n+4 {
		return damaged("a packet is cut off")
	}
	at := r.cluster + int64(int16(binary.BigEndian.Uint16(content[n:])))
	if r.packets == 0 || at < r.first {
		r.first = at
	}
	if r.packets == 0 || at >= r.last {
		r.last, r.tail = at, packetLasts(content[n+3:])
	}
	r.packets++
	return nil
}

// ticks returns how long so many ticks are, MaxDuration and more where they are more.
func (r *recording) ticks(n float64) time.Duration {
	return time.Duration(min(max(n, 0)*float64(r.scale), float64(2*MaxDuration)))
}

// packetLasts returns how long a packet of Opus lasts, by section 3.1 of RFC 6716.
func packetLasts(packet []byte) time.Duration {
	if len(packet) == 0 {
		return 0
	}
	var frame time.Duration
	switch configuration := packet[0] >> 3; {
	case configuration < 12:
		frame = [...]time.Duration{10, 20, 40, 60}[configuration%4] * time.Millisecond
	case configuration < 16:
		frame = [...]time.Duration{10, 20}[configuration%2] * time.Millisecond
	default:
		frame = 2500 * time.Microsecond << (configuration % 4)
	}
	switch code := packet[0] & 3; {
	case code == 0:
		return frame
	case code < 3:
		return 2 * frame
	case len(packet) > 1:
		return time.Duration(packet[1]&0x3F) * frame
	}
	return 0
}

// vint reads a number of variable length, of 1 to 8 bytes, and returns how many these
// were; whole keeps the bit that tells the length, as names have it.
func vint(b []byte, whole bool) (value uint64, length int, ok bool) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0, false
	}
	length = bits.LeadingZeros8(b[0]) + 1
	if length > len(b) {
		return 0, 0, false
	}
	for _, c := range b[:length] {
		value = value<<8 | uint64(c)
	}
	if !whole {
		value &^= 1 << (7 * length)
	}
	return value, length, true
}

// unsigned reads a number of at most 8 bytes, the greatest one for more.
func unsigned(content []byte) (n uint64) {
	if len(content) > 8 {
		return math.MaxUint64
	}
	for _, c := range content {
		n = n<<8 | uint64(c)
	}
	return n
}

// real reads a float of 4 or 8 bytes, 0 for anything else and for what is no number.
func real(content []byte) (f float64) {
	switch len(content) {
	case 4:
		f = float64(math.Float32frombits(binary.BigEndian.Uint32(content)))
	case 8:
		f = math.Float64frombits(binary.BigEndian.Uint64(content))
	}
	if math.IsNaN(f) {
		return 0
	}
	return f
}
