/* Decimals: an unscaled number in big-endian two's complement. Up to 18 digits are done here, by way of the text that
 * Python's decimal type reads and prints; longer ones by the functions that Python gave (known.big_decimal and
 * known.decimal_bytes). */
#include "varint.h"

#define DIGITS 18 /* of any number that is written so, 64 bits hold the value */

static const int64_t TEN[DIGITS + 1] = {
    INT64_C(1), INT64_C(10), INT64_C(100), INT64_C(1000), INT64_C(10000), INT64_C(100000), INT64_C(1000000),
    INT64_C(10000000), INT64_C(100000000), INT64_C(1000000000), INT64_C(10000000000), INT64_C(100000000000),
    INT64_C(1000000000000), INT64_C(10000000000000), INT64_C(100000000000000), INT64_C(1000000000000000),
    INT64_C(10000000000000000), INT64_C(100000000000000000), INT64_C(1000000000000000000)};

static PyObject *
read_long_decimal(Reader *in, const Node *node, const uint8_t *bytes, Py_ssize_t size)
{
    PyObject *value = PyObject_CallFunction(known.big_decimal, "y#ii", (const char *)bytes, size, (int)node->scale,
                                            (int)node->precision);
    return value ? value : read_fail(in, "bytes that are no decimal");
}

PyObject *
read_decimal(Reader *in, const Node *node, const uint8_t *bytes, Py_ssize_t size)
{
    char text[48], *at = text + sizeof text - 16; /* sign and digits before it, the exponent behind it */
    if (size == 0 || size > 8)
        return read_long_decimal(in, node, bytes, size);
    uint64_t bits = bytes[0] & 0x80 ? ~UINT64_C(0) : 0;
    for (Py_ssize_t i = 0; i < size; i++)
        bits = bits << 8 | bytes[i];
    int64_t number = (int64_t)bits;
    int digits = node->precision < DIGITS ? node->precision : DIGITS;
    if (number >= TEN[digits] || number <= -TEN[digits])
        return read_long_decimal(in, node, bytes, size);
    int tail = PyOS_snprintf(at, 16, "E-%d", (int)node->scale);
    uint64_t left = number < 0 ? (uint64_t)-number : (uint64_t)number;
    char *end = at + tail;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (number < 0)
        *--at = '-';
    PyObject *shown = PyUnicode_New(end - at, 127);
    if (!shown)
        return NULL;
    memcpy(PyUnicode_1BYTE_DATA(shown), at, end - at);
    PyObject *value = PyObject_CallOneArg(known.Decimal, shown);
    Py_DECREF(shown);
    return value;
}

/* Reads `-12.50` or `1.25E+3` as digits and exponent; 0 where it has more than DIGITS digits or is no number. */
static int
parse(const char *at, const char *end, int64_t *number, int *exponent)
{
    int negative = at < end && *at == '-', digits = 0, point = 0;
    *number = 0;
    *exponent = 0;
    for (at += negative; at < end && *at != 'E'; at++) {
        if (*at == '.') {
            point = 1;
            continue;
        }
        if (*at < '0' || *at > '9')
            return 0;
        digits += digits || *at != '0';
        if (digits > DIGITS)
            return 0;
        *number = *number * 10 + (*at - '0');
        *exponent -= point;
    }
    if (at < end) {
        int sign = at[1] == '-' ? -1 : 1, power = 0;
        for (at += 2; at < end && power < 10000; at++)
            power = power * 10 + (*at - '0');
        if (at < end)
            return 0;
        *exponent += sign * power;
    }
    if (negative)
        *number = -*number;
    return 1;
}

/* The unscaled number; 0 where digits would be cut or there are too many for here. */
static int
scaled(const Node *node, int64_t *number, int exponent)
{
    int shift = exponent + node->scale;
    for (; shift < 0; shift++) {
        if (*number % 10)
            return 0;
        *number /= 10;
        if (*number == 0)
            shift = -1;
    }
    int digits = node->precision < DIGITS ? node->precision : DIGITS;
    if (*number == 0)
        return 1;
    if (shift >= digits || *number >= TEN[digits - shift] || *number <= -TEN[digits - shift])
        return 0;
    *number *= TEN[shift];
    return 1;
}

static int
put_number(Out *out, const Node *node, int64_t number)
{
    uint8_t bytes[16];
    uint64_t left = number < 0 ? (uint64_t)-number : (uint64_t)number;
    int size = 0, bits = 0;
    for (; left; left >>= 1)
        bits++;
    size = (bits + 8) / 8; /* as fastavro: -128 takes two */
    for (int i = 0; i < size; i++)
        bytes[size - 1 - i] = (uint8_t)(number >> (i < 8 ? 8 * i : 63));
    if (node->op == OP_DECIMAL)
        return put_sized(out, bytes, size);
    if (size > node->size)
        return write_fail(out, "a decimal that does not fit the fixed size");
    uint8_t filler = number < 0 ? 0xFF : 0;
    for (int i = size; i < node->size; i++)
        if (put_piece(out, &filler, 1) < 0)
            return -1;
    return put_piece(out, bytes, size);
}

static int
write_long_decimal(Out *out, const Node *node, PyObject *value)
{
    PyObject *bytes = PyObject_CallFunction(known.decimal_bytes, "Oiii", value, (int)node->scale, (int)node->precision,
                                            (int)(node->op == OP_DECIMAL ? 0 : node->size));
    if (!bytes || !PyBytes_Check(bytes)) {
        Py_XDECREF(bytes);
        return write_fail(out, "a decimal that does not fit");
    }
    int failed = node->op == OP_DECIMAL ? put_sized(out, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes))
                                        : put_piece(out, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return failed;
}

int
write_decimal(Out *out, const Node *node, PyObject *value)
{
    int64_t number;
    int exponent;
    if ((PyObject *)Py_TYPE(value) != known.Decimal)
        return write_fail(out, "expected a decimal");
    PyObject *text = PyObject_Str(value);
    if (!text || !PyUnicode_IS_COMPACT_ASCII(text)) {
        Py_XDECREF(text);
        return write_fail(out, "expected a decimal");
    }
    const char *at = (const char *)PyUnicode_1BYTE_DATA(text);
    int fits = parse(at, at + PyUnicode_GET_LENGTH(text), &number, &exponent) && scaled(node, &number, exponent);
    Py_DECREF(text);
    return fits ? put_number(out, node, number) : write_long_decimal(out, node, value);
}
