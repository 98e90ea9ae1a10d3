/* Avro values to cells of binary COPY: exactly those bytes that psycopg writes for the value that decoding makes. */
#include "copy.h"
#include "columns.h"
#include "utf8.h"
#include "varint.h"

#define EPOCH_DAYS 10957                         /* from 1970-01-01 to 2000-01-01, from which PostgreSQL counts */
#define EPOCH_US (EPOCH_DAYS * INT64_C(86400000000))

int
lines_room(Lines *lines, size_t more)
{
    if (lines->room - lines->used >= more)
        return 0;
    if (more > (size_t)PY_SSIZE_T_MAX / 4 - lines->used)
        return -1;
    size_t room = (lines->used + more) * 2;
    uint8_t *data = PyMem_RawRealloc(lines->data, room);
    if (!data)
        return -1;
    lines->data = data;
    lines->room = room;
    return 0;
}

static int
put_cell(Lines *lines, const void *bytes, int64_t size)
{
    if (size > INT32_MAX || lines_room(lines, (size_t)size + 4) < 0)
        return -1;
    put_u32(lines->data + lines->used, (uint32_t)size);
    if (size)
        memcpy(lines->data + lines->used + 4, bytes, (size_t)size);
    lines->used += (size_t)size + 4;
    return 0;
}

static int
put_null(Lines *lines)
{
    if (lines_room(lines, 4) < 0)
        return -1;
    put_u32(lines->data + lines->used, UINT32_MAX);
    lines->used += 4;
    return 0;
}

static int
put_4(Lines *lines, int32_t number)
{
    uint8_t bytes[4];
    put_u32(bytes, (uint32_t)number);
    return put_cell(lines, bytes, 4);
}

static int
put_8(Lines *lines, int64_t number)
{
    uint8_t bytes[8];
    put_u64(bytes, (uint64_t)number);
    return put_cell(lines, bytes, 8);
}

static int
put_double(Lines *lines, double number)
{
    int64_t bits;
    memcpy(&bits, &number, 8);
    return put_8(lines, bits);
}

static int
unsuited(Reader *in)
{
    return read_refused(in, "a value that its column takes in another way");
}

static int
copy_boolean(Lines *lines, Reader *in)
{
    const uint8_t *piece = read_piece(in, 1);
    uint8_t truth = piece && *piece;
    return piece ? put_cell(lines, &truth, 1) : -1;
}

static int
copy_number(Lines *lines, Reader *in, Op op, Cell cell)
{
    uint8_t numeric[NUMERIC_BYTES];
    int64_t number;
    if ((op == OP_INT || op == OP_INT_TO_DOUBLE ? read_int(in, &number) : read_long(in, &number)) < 0)
        return -1;
    if (op == OP_INT_TO_DOUBLE || op == OP_LONG_TO_DOUBLE)
        return cell == CELL_FLOAT8 ? put_double(lines, (double)number) : unsuited(in);
    if (cell == CELL_NUMERIC)
        return put_cell(lines, numeric, numeric_of_long(numeric, number, 0));
    return cell == CELL_INT8 ? put_8(lines, number) : unsuited(in);
}

static int
copy_float(Lines *lines, Reader *in, Op op)
{
    int size = op == OP_FLOAT ? 4 : 8;
    uint64_t bits = 0;
    float small;
    const uint8_t *piece = read_piece(in, size);
    if (!piece)
        return -1;
    for (int i = 0; i < size; i++)
        bits |= (uint64_t)piece[i] << 8 * i;
    if (op == OP_DOUBLE)
        return put_8(lines, (int64_t)bits);
    uint32_t half = (uint32_t)bits;
    memcpy(&small, &half, 4);
    return put_double(lines, (double)small);
}

static int
copy_sized(Lines *lines, Reader *in, Op op, Cell cell)
{
    int64_t size;
    const uint8_t *piece = read_sized(in, &size);
    if (!piece)
        return -1;
    if (op != OP_BYTES && !is_utf8(piece, size))
        return read_refused(in, "text that is not UTF-8");
    int is_text = op == OP_STRING || op == OP_BYTES_TO_STRING;
    return cell == (is_text ? CELL_TEXT : CELL_BYTEA) ? put_cell(lines, piece, size) : unsuited(in);
}

static int
copy_enum(Lines *lines, Reader *in, const Node *node)
{
    int64_t number;
    if (read_long(in, &number) < 0)
        return -1;
    if (number < 0 || number >= node->count)
        return read_refused(in, "an enum number without a symbol");
    if (node->skipped[number])
        return read_refused(in, "a symbol that the reader's enum does not have");
    Py_ssize_t size; /* kept in the text itself since the plan was made: see copy_plan.c */
    const char *symbol = PyUnicode_AsUTF8AndSize(node->names[number], &size);
    return put_cell(lines, symbol, size);
}

static int
copy_decimal(Lines *lines, Reader *in, const Node *node)
{
    uint8_t numeric[NUMERIC_BYTES];
    int64_t size = node->size;
    const uint8_t *piece = node->op == OP_DECIMAL ? read_sized(in, &size) : read_piece(in, size);
    if (!piece)
        return -1;
    int length = numeric_of_bytes(numeric, piece, size, node->scale, node->precision);
    return length ? put_cell(lines, numeric, length) : unsuited(in); /* rows round it */
}

static int
copy_uuid(Lines *lines, Reader *in)
{
    uint8_t uuid[16];
    int64_t size;
    const uint8_t *text = read_sized(in, &size);
    if (!text || parse_uuid(in, text, size, uuid) < 0)
        return -1;
    return put_cell(lines, uuid, 16);
}

static int
copy_moment(Lines *lines, Reader *in, Op op)
{
    int64_t number;
    int small = op == OP_DATE || op == OP_TIME_MILLIS;
    if ((small ? read_int(in, &number) : read_long(in, &number)) < 0 || check_moment(in, op, number) < 0)
        return -1;
    switch (op) {
    case OP_DATE:
        return put_4(lines, (int32_t)(number - EPOCH_DAYS));
    case OP_TIME_MILLIS:
        return put_8(lines, number * 1000);
    case OP_TIME_MICROS:
        return put_8(lines, number);
    case OP_INSTANT_MILLIS:
    case OP_LOCAL_MILLIS:
        return put_8(lines, number * 1000 - EPOCH_US);
    default:
        return put_8(lines, number - EPOCH_US);
    }
}

/* The one cell that a moment is written as. */
static Cell
cell_of_moment(Op op)
{
    switch (op) {
    case OP_DATE:
        return CELL_DATE;
    case OP_TIME_MILLIS:
    case OP_TIME_MICROS:
        return CELL_TIME;
    case OP_INSTANT_MILLIS:
    case OP_INSTANT_MICROS:
        return CELL_TIMESTAMPTZ;
    case OP_LOCAL_MILLIS:
    case OP_LOCAL_MICROS:
        return CELL_TIMESTAMP;
    default:
        return CELL_COUNT;
    }
}

static int
copy_branch(Lines *lines, Reader *in, const Node *node, Cell cell)
{
    int64_t number;
    if (read_long(in, &number) < 0)
        return -1;
    if (number < 0 || number >= node->count)
        return read_refused(in, "a union's number without a branch");
    const Node *branch = node->children[number];
    return branch->op == OP_UNION ? unsuited(in) : copy_cell(lines, in, branch, cell);
}

int
copy_cell(Lines *lines, Reader *in, const Node *node, Cell cell)
{
    switch (node->op) {
    case OP_NULL:
        return put_null(lines);
    case OP_BOOLEAN:
        return cell == CELL_BOOL ? copy_boolean(lines, in) : unsuited(in);
    case OP_INT:
    case OP_LONG:
    case OP_INT_TO_DOUBLE:
    case OP_LONG_TO_DOUBLE:
        return copy_number(lines, in, node->op, cell);
    case OP_FLOAT:
    case OP_DOUBLE:
        return cell == CELL_FLOAT8 ? copy_float(lines, in, node->op) : unsuited(in);
    case OP_BYTES:
    case OP_STRING:
    case OP_STRING_TO_BYTES:
    case OP_BYTES_TO_STRING:
        return copy_sized(lines, in, node->op, cell);
    case OP_FIXED: {
        const uint8_t *piece = cell == CELL_BYTEA ? read_piece(in, node->size) : NULL;
        return piece ? put_cell(lines, piece, node->size) : unsuited(in);
    }
    case OP_ENUM:
        return cell == CELL_TEXT ? copy_enum(lines, in, node) : unsuited(in);
    case OP_DECIMAL:
    case OP_FIXED_DECIMAL:
        return cell == CELL_NUMERIC ? copy_decimal(lines, in, node) : unsuited(in);
    case OP_UNION:
        return copy_branch(lines, in, node, cell);
    case OP_UUID:
        return cell == CELL_UUID ? copy_uuid(lines, in) : unsuited(in);
    case OP_ARRAY:
    case OP_MAP:
    case OP_RECORD:
    case OP_MISMATCH:
    case OP_COUNT:
        return unsuited(in);
    default:
        return cell == cell_of_moment(node->op) ? copy_moment(lines, in, node->op) : unsuited(in);
    }
}
