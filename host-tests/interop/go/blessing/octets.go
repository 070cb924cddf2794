package main

import (
	"errors"
	"fmt"
)

// errShort says that the input ends within an item. A stream may go on later.
var errShort = errors.New("the input ends too early")

// Control octets of VOM.
const (
	octetNil        = 0xe0
	octetEnd        = 0xe1
	octetIncomplete = 0xe2
)

// octetReader takes items off the front of its input.
type octetReader struct {
	rest []byte
}

// octet takes one octet.
func (r *octetReader) octet() (byte, error) {
	if len(r.rest) == 0 {
		return 0, errShort
	}
	first := r.rest[0]
	r.rest = r.rest[1:]
	return first, nil
}

// take takes count octets. The result shares memory with the input.
func (r *octetReader) take(count uint64) ([]byte, error) {
	if count > uint64(len(r.rest)) {
		return nil, errShort
	}
	taken := r.rest[:count:count]
	r.rest = r.rest[count:]
	return taken, nil
}

// unsigned takes an unsigned integer. It also takes integers that are longer than necessary.
func (r *octetReader) unsigned() (uint64, error) {
	first, err := r.octet()
	if err != nil || first <= 0x7f {
		return uint64(first), err
	}
	if first < 0xf8 {
		return 0, fmt.Errorf("the octet %02x does not begin an integer", first)
	}
	digits, err := r.take(0x100 - uint64(first))
	if err != nil {
		return 0, err
	}
	number := uint64(0)
	for _, digit := range digits {
		number = number<<8 | uint64(digit)
	}
	return number, nil
}

// signed takes a signed integer.
func (r *octetReader) signed() (int64, error) {
	number, err := r.unsigned()
	if number&1 == 1 {
		return ^int64(number >> 1), err
	}
	return int64(number >> 1), err
}

// octets takes a length and so many octets.
func (r *octetReader) octets() ([]byte, error) {
	length, err := r.unsigned()
	if err != nil {
		return nil, err
	}
	return r.take(length)
}

// appendUnsigned writes an unsigned integer in its shortest form.
func appendUnsigned(to []byte, number uint64) []byte {
	if number <= 0x7f {
		return append(to, byte(number))
	}
	count := 1
	for number>>(8*count) != 0 && count < 8 {
		count++
	}
	return appendLong(to, number, count)
}

// appendLong writes an integer with the given number of octets after the first.
func appendLong(to []byte, number uint64, count int) []byte {
	to = append(to, byte(0x100-count))
	for i := count - 1; i >= 0; i-- {
		to = append(to, byte(number>>(8*i)))
	}
	return to
}

// appendSigned writes a signed integer.
func appendSigned(to []byte, number int64) []byte {
	if number < 0 {
		return appendUnsigned(to, uint64(^number)<<1|1)
	}
	return appendUnsigned(to, uint64(number)<<1)
}

// appendOctets writes a length and the octets.
func appendOctets(to, data []byte) []byte {
	return append(appendUnsigned(to, uint64(len(data))), data...)
}
