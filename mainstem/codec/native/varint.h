/* Avro's numbers: zigzag, then seven bits a byte, the lowest first; and raw pieces of bytes.
 * Source: https://avro.apache.org/docs/1.12.0/specification/#primitive-types-1 */
#ifndef MAINSTEM_VARINT_H
#define MAINSTEM_VARINT_H

#include "avro.h"

/* A long. Refuses more than ten bytes, and bits beyond the 64th. */
static inline int
read_long(Reader *in, int64_t *number)
{
    const uint8_t *at = in->at;
    if (at < in->end && !(*at & 0x80)) {
        in->at = at + 1;
        *number = (int64_t)(*at >> 1) ^ -(int64_t)(*at & 1);
        return 0;
    }
    uint64_t bits = 0;
    *number = 0;
    for (int shift = 0; at < in->end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1)
            return read_refused(in, "a number of more than 64 bits");
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            in->at = at;
            *number = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return 0;
        }
    }
    return read_refused(in, "the bytes end within a number");
}

static inline int
read_int(Reader *in, int64_t *number)
{
    if (read_long(in, number) < 0)
        return -1;
    if (*number < INT32_MIN || *number > INT32_MAX)
        return read_refused(in, "a number of more than 32 bits");
    return 0;
}

/* So many bytes, which the reader then stands behind. */
static inline const uint8_t *
read_piece(Reader *in, int64_t size)
{
    if (size < 0 || size > in->end - in->at) {
        read_refused(in, size < 0 ? "a negative length" : "the bytes end within a value");
        return NULL;
    }
    const uint8_t *piece = in->at;
    in->at += size;
    return piece;
}

static inline const uint8_t *
read_sized(Reader *in, int64_t *size)
{
    *size = 0;
    return read_long(in, size) < 0 ? NULL : read_piece(in, *size);
}

static inline int
put_long(Out *out, int64_t number)
{
    if (out->room - out->used < 10 && out_room(out, 10) < 0)
        return -1;
    uint64_t bits = ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
    while (bits > 0x7f) {
        out->data[out->used++] = (uint8_t)(bits | 0x80);
        bits >>= 7;
    }
    out->data[out->used++] = (uint8_t)bits;
    return 0;
}

static inline int
put_piece(Out *out, const void *piece, size_t size)
{
    if (out->room - out->used < size && out_room(out, size) < 0)
        return -1;
    memcpy(out->data + out->used, piece, size);
    out->used += size;
    return 0;
}

static inline int
put_sized(Out *out, const void *piece, size_t size)
{
    return put_long(out, (int64_t)size) < 0 ? -1 : put_piece(out, piece, size);
}

#endif
