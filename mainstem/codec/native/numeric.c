/* A decimal as PostgreSQL's numeric: a sign, digits to the base of 10,000, and the power of the first of them.
 * Source: numeric_recv in PostgreSQL's src/backend/utils/adt/numeric.c. */
#include "copy.h"
#include "columns.h"

#define BASE 10000
#define BASE_DIGITS 4
#define MOST_GROUPS 24
#define NEGATIVE 0x4000

static const uint32_t TEN[BASE_DIGITS + 1] = {1, 10, 100, 1000, 10000};

/* The groups of a magnitude, the last first. The digits behind the point fill whole groups from the point on. */
typedef struct {
    uint16_t groups[MOST_GROUPS];
    int count;
} Digits;

static int
put_numeric(uint8_t *at, const Digits *digits, int negative, int scale)
{
    int behind = (scale + BASE_DIGITS - 1) / BASE_DIGITS, count = digits->count, zeros = 0;
    while (count && digits->groups[count - 1] == 0)
        count--;
    while (zeros < count && digits->groups[zeros] == 0)
        zeros++;
    put_u16(at, (uint16_t)(count - zeros));
    put_u16(at + 2, (uint16_t)(count ? count - 1 - behind : 0));
    put_u16(at + 4, count && negative ? NEGATIVE : 0);
    put_u16(at + 6, (uint16_t)scale);
    at += 8;
    for (int i = count - 1; i >= zeros; i--, at += 2)
        put_u16(at, digits->groups[i]);
    return 8 + 2 * (count - zeros);
}

int
numeric_of_long(uint8_t *at, int64_t number, int scale)
{
    Digits digits = {.count = 0};
    uint64_t left = number < 0 ? ~(uint64_t)number + 1 : (uint64_t)number;
    int part = scale % BASE_DIGITS;
    if (part) {
        digits.groups[digits.count++] = (uint16_t)(left % TEN[part] * TEN[BASE_DIGITS - part]);
        left /= TEN[part];
    }
    for (; left; left /= BASE)
        digits.groups[digits.count++] = (uint16_t)(left % BASE);
    return put_numeric(at, &digits, number < 0, scale);
}

/* Divides eight parts of 32 bits, the lowest first; the rest. */
static uint32_t
divide(uint32_t parts[8], uint32_t by)
{
    uint64_t rest = 0;
    for (int i = 7; i >= 0; i--) {
        rest = rest << 32 | parts[i];
        parts[i] = (uint32_t)(rest / by);
        rest %= by;
    }
    return (uint32_t)rest;
}

static int
is_zero(const uint32_t parts[8])
{
    uint32_t any = 0;
    for (int i = 0; i < 8; i++)
        any |= parts[i];
    return !any;
}

static int
numeric_of_wide(uint8_t *at, const uint64_t number[4], int scale)
{
    Digits digits = {.count = 0};
    uint32_t parts[8];
    int negative = (int)(number[3] >> 63), part = scale % BASE_DIGITS;
    uint64_t carry = (uint64_t)negative;
    for (int i = 0; i < 8; i++) {
        carry += (uint32_t)(number[i / 2] >> i % 2 * 32) ^ (negative ? UINT32_MAX : 0);
        parts[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (part)
        digits.groups[digits.count++] = (uint16_t)(divide(parts, TEN[part]) * TEN[BASE_DIGITS - part]);
    while (!is_zero(parts))
        digits.groups[digits.count++] = (uint16_t)divide(parts, BASE);
    return put_numeric(at, &digits, negative, scale);
}

int
numeric_of_bytes(uint8_t *at, const uint8_t *bytes, int64_t size, int scale, int precision)
{
    uint64_t number[4], bound[4];
    wide_bound(bound, precision);
    if (!wide_read(number, bytes, size, bound))
        return 0;
    int fits = number[0] >> 63 ? ~(number[1] & number[2] & number[3]) == 0 : !(number[1] | number[2] | number[3]);
    return fits ? numeric_of_long(at, (int64_t)number[0], scale) : numeric_of_wide(at, number, scale);
}
