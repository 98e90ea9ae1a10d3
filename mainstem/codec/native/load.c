/* Avro bytes to columns, by a loader. Nothing here needs the interpreter's lock, but for what is refused. */
#include "columns.h"
#include "utf8.h"
#include "varint.h"

static inline int
make_room(Load *load, int column)
{
    const Vector *vector = &load->vectors[column];
    return vector->length < vector->room ? 0 : vector_grow(load, column);
}

static inline Vector *
next_slot(Load *load, const Step *step)
{
    return make_room(load, step->column) < 0 ? NULL : &load->vectors[step->column];
}

static inline void
set_bit(uint8_t *bits, int64_t at, int value)
{
    bits[at / 8] = (uint8_t)((bits[at / 8] & ~(1 << at % 8)) | value << at % 8);
}

static inline int
done(Vector *vector)
{
    if (vector->validity)
        set_bit(vector->validity, vector->length, 1);
    vector->length++;
    return 0;
}

static inline int
put_fixed(Load *load, const Step *step, const void *value, int64_t width)
{
    Vector *vector = next_slot(load, step);
    if (!vector)
        return -1;
    memcpy(vector->data + vector->length * width, value, width);
    return done(vector);
}

static int
put_number(Load *load, const Step *step, int64_t number)
{
    int32_t small = (int32_t)number;
    return step->width == 4 ? put_fixed(load, step, &small, 4) : put_fixed(load, step, &number, 8);
}

static int
put_double(Load *load, const Step *step, double number)
{
    float small = (float)number;
    return step->width == 4 ? put_fixed(load, step, &small, 4) : put_fixed(load, step, &number, 8);
}

static int
load_boolean(Load *load, Reader *in, const Step *step)
{
    const uint8_t *piece = read_piece(in, 1);
    Vector *vector = piece ? next_slot(load, step) : NULL;
    if (!vector)
        return -1;
    set_bit(vector->data, vector->length, *piece != 0);
    return done(vector);
}

static int
load_float(Load *load, Reader *in, const Step *step)
{
    uint32_t bits = 0;
    float number;
    const uint8_t *piece = read_piece(in, 4);
    if (!piece)
        return -1;
    for (int i = 0; i < 4; i++)
        bits |= (uint32_t)piece[i] << 8 * i;
    if (step->width == 4)
        return put_fixed(load, step, &bits, 4);
    memcpy(&number, &bits, 4);
    return put_double(load, step, number);
}

static int
load_double(Load *load, Reader *in, const Step *step)
{
    uint64_t bits = 0;
    const uint8_t *piece = read_piece(in, 8);
    if (!piece)
        return -1;
    for (int i = 0; i < 8; i++)
        bits |= (uint64_t)piece[i] << 8 * i;
    return put_fixed(load, step, &bits, 8);
}

static int
load_sized(Load *load, Reader *in, const Step *step, int is_text)
{
    int64_t size;
    const uint8_t *piece = read_sized(in, &size);
    if (!piece)
        return -1;
    if (is_text && !is_utf8(piece, size))
        return read_refused(in, "text that is not UTF-8");
    Vector *vector = next_slot(load, step);
    if (!vector || (size > vector->data_room - vector->used && vector_bytes(load, vector, size) < 0))
        return -1;
    if (size)
        memcpy(vector->data + vector->used, piece, size);
    vector->used += size;
    vector->offsets[vector->length + 1] = (int32_t)vector->used;
    return done(vector);
}

static int
load_decimal(Load *load, Reader *in, const Step *step)
{
    uint64_t number[4];
    int64_t size = step->node->size;
    const uint8_t *piece = step->op == OP_DECIMAL ? read_sized(in, &size) : read_piece(in, size);
    if (!piece)
        return -1;
    if (!wide_read(number, piece, size, load->layout->columns[step->column].bound))
        return read_refused(in, "a decimal of more digits than its schema has");
    return put_fixed(load, step, number, step->width);
}

static int
load_fixed(Load *load, Reader *in, const Step *step)
{
    const uint8_t *piece = read_piece(in, step->width);
    return piece ? put_fixed(load, step, piece, step->width) : -1;
}

static int
load_uuid(Load *load, Reader *in, const Step *step)
{
    uint8_t uuid[16];
    int64_t size;
    const uint8_t *text = read_sized(in, &size);
    if (!text || parse_uuid(in, text, size, uuid) < 0)
        return -1;
    return put_fixed(load, step, uuid, 16);
}

static int
load_moment(Load *load, Reader *in, const Step *step)
{
    int64_t number;
    int failed = step->width == 4 ? read_int(in, &number) : read_long(in, &number);
    return failed || check_moment(in, (Op)step->op, number) < 0 ? -1 : put_number(load, step, number);
}

static int
load_enum(Load *load, Reader *in, const Step *step)
{
    int64_t number;
    if (read_long(in, &number) < 0)
        return -1;
    if (number < 0 || number >= step->count)
        return read_refused(in, "an enum number without a symbol");
    if (step->symbols[number] < 0)
        return read_refused(in, "a symbol that the reader's enum does not have");
    return put_fixed(load, step, &step->symbols[number], 4);
}

/* Arrays and maps: of a map the items are the entries, of which the key is read here. */
static int
load_items(Load *load, Reader *in, const Step *step)
{
    const Column *columns = load->layout->columns;
    int items = columns[step->column].children[0], is_map = step->op == OP_MAP;
    const Step key = {.column = is_map ? columns[items].children[0] : 0};
    Vector *all = &load->vectors[items];
    Frame frame = {in->top, NULL, 0};
    for (int64_t count;; in->top = is_map ? frame.up : &frame) { /* a refusal names the place that decoding names */
        if (block_items(in, step->node, &count) < 0)
            return -1;
        if (count == 0)
            break;
        if (count > load->layout->max_bytes - all->length) {
            load->failure = TOO_MUCH;
            return -1;
        }
        in->top = &frame;
        for (; count > 0; count--, frame.index++) {
            if (is_map && (load_sized(load, in, &key, 1) < 0 || make_room(load, items) < 0))
                return -1;
            if (load_value(load, in, step->children[0]) < 0)
                return -1;
            all->length += is_map;
        }
    }
    in->top = frame.up;
    Vector *vector = next_slot(load, step);
    if (!vector)
        return -1;
    vector->offsets[vector->length + 1] = (int32_t)all->length;
    return done(vector);
}

/* A field that the writer does not have: its default's bytes are read in the place of the message's. */
static int
load_fill(Load *load, Reader *in, const Fill *fill)
{
    Reader bytes = *in;
    bytes.start = bytes.at = (const uint8_t *)PyBytes_AS_STRING(fill->bytes);
    bytes.end = bytes.start + PyBytes_GET_SIZE(fill->bytes);
    int failed = load_value(load, &bytes, fill->step);
    in->memory = bytes.memory;
    return failed;
}

static int
load_record(Load *load, Reader *in, const Step *step)
{
    Frame frame = {in->top, NULL, -1};
    if (charge(in, step->node->cost) < 0)
        return -1;
    in->top = &frame;
    for (Py_ssize_t i = 0; i < step->count; i++) {
        frame.name = step->node->names[i];
        if ((step->children[i] ? load_value(load, in, step->children[i]) : skip_value(in, step->node->children[i])) < 0)
            return -1;
    }
    in->top = frame.up;
    for (Py_ssize_t i = 0; i < step->fill_count; i++)
        if (load_fill(load, in, &step->fills[i]) < 0)
            return -1;
    Vector *vector = next_slot(load, step);
    return vector ? done(vector) : -1;
}

static int
load_inside(Load *load, Reader *in, const Step *step)
{
    if (enter(in) < 0)
        return -1;
    if (step->op != OP_RECORD && charge(in, CONTAINER_BYTES) < 0)
        return -1;
    int failed = step->op == OP_RECORD ? load_record(load, in, step) : load_items(load, in, step);
    in->depth++;
    return failed;
}

static int
load_branch(Load *load, Reader *in, const Step *step)
{
    int64_t number;
    if (read_long(in, &number) < 0)
        return -1;
    if (number < 0 || number >= step->count)
        return read_refused(in, "a union's number without a branch");
    return load_value(load, in, step->children[number]);
}

/* A union of several types has a column for each, of which one has the value. */
static int
load_member(Load *load, Reader *in, const Step *step)
{
    const Column *column = &load->layout->columns[step->column];
    if (charge(in, column->slot) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < column->count; i++) {
        int failed = column->children[i] == step->children[0]->column ? load_value(load, in, step->children[0])
                                                                      : vector_blank(load, column->children[i]);
        if (failed)
            return -1;
    }
    Vector *vector = next_slot(load, step);
    return vector ? done(vector) : -1;
}

static int
load_null(Load *load, Reader *in, const Step *step)
{
    const Column *column = &load->layout->columns[step->column];
    if (column->shape == SHAPE_STRUCT && charge(in, column->slot) < 0)
        return -1;
    return vector_blank(load, step->column);
}

int
load_value(Load *load, Reader *in, const Step *step)
{
    int64_t number;
    switch (step->op) {
    case OP_NULL:
        return load_null(load, in, step);
    case OP_BOOLEAN:
        return load_boolean(load, in, step);
    case OP_INT:
        return read_int(in, &number) < 0 ? -1 : put_number(load, step, number);
    case OP_LONG:
        return read_long(in, &number) < 0 ? -1 : put_number(load, step, number);
    case OP_INT_TO_DOUBLE:
        return read_int(in, &number) < 0 ? -1 : put_double(load, step, (double)number);
    case OP_LONG_TO_DOUBLE:
        return read_long(in, &number) < 0 ? -1 : put_double(load, step, (double)number);
    case OP_FLOAT:
        return load_float(load, in, step);
    case OP_DOUBLE:
        return load_double(load, in, step);
    case OP_BYTES:
        return load_sized(load, in, step, 0);
    case OP_STRING:
    case OP_STRING_TO_BYTES:
    case OP_BYTES_TO_STRING:
        return load_sized(load, in, step, 1);
    case OP_FIXED:
        return load_fixed(load, in, step);
    case OP_DECIMAL:
    case OP_FIXED_DECIMAL:
        return load_decimal(load, in, step);
    case OP_ENUM:
        return load_enum(load, in, step);
    case OP_UUID:
        return load_uuid(load, in, step);
    case OP_ARRAY:
    case OP_MAP:
    case OP_RECORD:
        return load_inside(load, in, step);
    case OP_UNION:
        return load_branch(load, in, step);
    case OP_MEMBER:
        return load_member(load, in, step);
    case OP_MISMATCH:
        return read_refused(in, "the writer's type does not fit the reader's");
    default:
        return load_moment(load, in, step);
    }
}
