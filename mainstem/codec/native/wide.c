/* Whole numbers of 256 bits, for decimals: four parts, the lowest first, in two's complement. */
#include "columns.h"

/* 10 to the power of `digits`, of which there are 76 at most. */
void
wide_bound(uint64_t bound[4], int digits)
{
    bound[0] = 1;
    bound[1] = bound[2] = bound[3] = 0;
    for (; digits > 0; digits--) {
        uint64_t carry = 0;
        for (int i = 0; i < 4; i++) {
            uint64_t low = (bound[i] & UINT32_MAX) * 10 + carry, high = (bound[i] >> 32) * 10 + (low >> 32);
            bound[i] = high << 32 | (low & UINT32_MAX);
            carry = high >> 32;
        }
    }
}

static int
is_below(const uint64_t one[4], const uint64_t other[4])
{
    for (int i = 3; i >= 0; i--)
        if (one[i] != other[i])
            return one[i] < other[i];
    return 0;
}

static void
magnitude_of(uint64_t magnitude[4], const uint64_t number[4])
{
    uint64_t sign = number[3] >> 63 ? ~UINT64_C(0) : 0, carry = sign & 1;
    for (int i = 0; i < 4; i++) {
        magnitude[i] = (number[i] ^ sign) + carry;
        carry = carry && magnitude[i] == 0;
    }
}

static int
is_within(const uint64_t number[4], const uint64_t bound[4])
{
    uint64_t magnitude[4];
    magnitude_of(magnitude, number);
    return is_below(magnitude, bound);
}

/* The number of big-endian bytes; 0 where it has as many digits as the bound. */
int
wide_read(uint64_t number[4], const uint8_t *bytes, int64_t size, const uint64_t bound[4])
{
    uint64_t sign = size && bytes[0] & 0x80 ? ~UINT64_C(0) : 0;
    for (; size > 32; bytes++, size--)
        if (*bytes != (uint8_t)sign)
            return 0;
    if (size == 32 && (bytes[0] & 0x80) != (sign & 0x80))
        return 0;
    for (int i = 0; i < 4; i++)
        number[i] = sign;
    for (int64_t i = 0; i < size; i++) {
        int64_t place = (size - 1 - i) / 8, shift = (size - 1 - i) % 8 * 8;
        number[place] = (number[place] & ~(UINT64_C(0xFF) << shift)) | (uint64_t)bytes[i] << shift;
    }
    return is_within(number, bound);
}

/* The big-endian bytes of a number of `width` bytes, as few as fastavro writes, and how many they are; 0 where it has
 * as many digits as the bound. */
int
wide_write(uint8_t bytes[33], const uint8_t *number, int width, const uint64_t bound[4])
{
    uint64_t parts[4], magnitude[4];
    int bits = 256;
    memset(parts, number[width - 1] & 0x80 ? 0xFF : 0, sizeof parts);
    for (int i = 0; i < width / 8; i++)
        memcpy(&parts[i], number + 8 * i, 8);
    magnitude_of(magnitude, parts);
    if (!is_below(magnitude, bound))
        return 0;
    while (bits && !(magnitude[(bits - 1) / 64] >> (bits - 1) % 64 & 1))
        bits--;
    int size = (bits + 8) / 8;
    for (int i = 0; i < size; i++)
        bytes[size - 1 - i] = i < 32 ? (uint8_t)(parts[i / 8] >> i % 8 * 8) : (uint8_t)(parts[3] >> 63 ? 0xFF : 0);
    return size;
}
