/* Whether bytes are UTF-8, as strictly as Python's decoder: nothing overlong, no surrogates, nothing over U+10FFFF.
 * Source: the table of well-formed sequences in chapter 3.9 of the Unicode standard. */
#ifndef MAINSTEM_UTF8_H
#define MAINSTEM_UTF8_H

#include <stdint.h>
#include <string.h>

static inline int
is_ascii(const uint8_t *at, int64_t size)
{
    uint64_t word, seen = 0;
    for (; size >= 8; at += 8, size -= 8) {
        memcpy(&word, at, 8);
        seen |= word;
    }
    for (; size > 0; at++, size--)
        seen |= *at;
    return !(seen & UINT64_C(0x8080808080808080));
}

static inline int
is_tail(const uint8_t *at, int count)
{
    for (int i = 0; i < count; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    return 1;
}

static inline int
is_utf8(const uint8_t *at, int64_t size)
{
    const uint8_t *end = at + size;
    if (is_ascii(at, size))
        return 1;
    while (at < end) {
        uint8_t first = *at++;
        if (first < 0x80)
            continue;
        int tail = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        if (first < 0xC2 || first > 0xF4 || end - at < tail || !is_tail(at, tail))
            return 0;
        if ((first == 0xE0 && at[0] < 0xA0) || (first == 0xED && at[0] > 0x9F) || (first == 0xF0 && at[0] < 0x90) ||
            (first == 0xF4 && at[0] > 0x8F))
            return 0;
        at += tail;
    }
    return 1;
}

#endif
