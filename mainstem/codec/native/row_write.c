/* One row of Arrow columns as Avro bytes, by the steps that would load it. */
#include "columns.h"
#include "utf8.h"
#include "varint.h"

static int
is_set(const void *bits, int64_t at)
{
    return ((const uint8_t *)bits)[at / 8] >> at % 8 & 1;
}

/* Rows are counted without the array's own offset. */
int
source_is_null(const Source *source, int64_t row)
{
    const struct ArrowArray *array = source->array;
    if (array->n_buffers == 0)
        return 1;
    return array->buffers[0] && array->null_count != 0 && !is_set(array->buffers[0], array->offset + row);
}

static const uint8_t *
fixed_at(const Source *source, int64_t row, int64_t width)
{
    return (const uint8_t *)source->array->buffers[1] + (source->array->offset + row) * width;
}

static const int32_t *
ends_at(const Source *source, int64_t row)
{
    return (const int32_t *)source->array->buffers[1] + source->array->offset + row;
}

static int
write_whole(Out *out, const Step *step, const Source *source, int64_t row)
{
    int64_t number;
    int32_t small;
    if (step->width == 4) {
        memcpy(&small, fixed_at(source, row, 4), 4);
        number = small;
    } else
        memcpy(&number, fixed_at(source, row, 8), 8);
    const char *problem = step->op == OP_INT || step->op == OP_LONG ? NULL : moment_problem((Op)step->op, number);
    return problem ? write_fail(out, problem) : put_long(out, number);
}

static int
write_float(Out *out, const Step *step, const Source *source, int64_t row)
{
    uint64_t bits = 0;
    uint32_t small;
    uint8_t bytes[8];
    if (step->width == 4) {
        memcpy(&small, fixed_at(source, row, 4), 4);
        bits = small;
    } else
        memcpy(&bits, fixed_at(source, row, 8), 8);
    for (int i = 0; i < step->width; i++)
        bytes[i] = (uint8_t)(bits >> 8 * i);
    return put_piece(out, bytes, step->width);
}

static int
write_sized(Out *out, int is_text, const Source *source, int64_t row)
{
    const int32_t *ends = ends_at(source, row);
    const uint8_t *piece = (const uint8_t *)source->array->buffers[2] + ends[0];
    int64_t size = (int64_t)ends[1] - ends[0];
    if (size < 0 || (is_text && size && !is_utf8(piece, size)))
        return write_fail(out, size < 0 ? "a negative length" : "text that is not UTF-8");
    return size ? put_sized(out, piece, size) : put_long(out, 0);
}

static int
write_enum(Out *out, const Source *source, int64_t row)
{
    int32_t number;
    memcpy(&number, fixed_at(source, row, 4), 4);
    if (number < 0 || number >= source->array->dictionary->length || source->symbols[number] < 0)
        return write_fail(out, "not one of the enum's symbols");
    return put_long(out, source->symbols[number]);
}

static int
write_wide(Out *out, const Column *column, const Step *step, const Source *source, int64_t row)
{
    uint8_t bytes[33], filler;
    int size = wide_write(bytes, fixed_at(source, row, step->width), step->width, column->bound);
    if (size == 0)
        return write_fail(out, "a decimal of more digits than its schema has");
    if (step->op == OP_DECIMAL)
        return put_sized(out, bytes, size);
    if (size > step->node->size)
        return write_fail(out, "a decimal that does not fit the fixed size");
    filler = bytes[0] & 0x80 ? 0xFF : 0;
    for (int i = size; i < step->node->size; i++)
        if (put_piece(out, &filler, 1) < 0)
            return -1;
    return put_piece(out, bytes, size);
}

static int
write_uuid(Out *out, const Source *source, int64_t row)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *uuid = fixed_at(source, row, 16);
    uint8_t text[36], *at = text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = (uint8_t)digits[uuid[i] >> 4];
        *at++ = (uint8_t)digits[uuid[i] & 15];
    }
    return put_sized(out, text, sizeof text);
}

static int
write_items(Out *out, const Loader *loader, const Source *sources, const Step *step, int64_t row)
{
    const Column *columns = loader->layout->columns, *items = &columns[columns[step->column].children[0]];
    const int32_t *ends = ends_at(&sources[step->column], row);
    const Source *entries = &sources[columns[step->column].children[0]];
    int64_t count = (int64_t)ends[1] - ends[0];
    Frame frame = {out->top, NULL, 0};
    if (count < 0)
        return write_fail(out, "a negative length");
    if (count && put_long(out, count) < 0)
        return -1;
    out->top = &frame;
    for (; frame.index < count; frame.index++) {
        int64_t item = ends[0] + frame.index;
        if (step->op == OP_MAP) {
            item += entries->array->offset;
            if (write_sized(out, 1, &sources[items->children[0]], item) < 0)
                return -1;
        }
        if (write_row(out, loader, sources, step->children[0], item) < 0)
            return -1;
    }
    out->top = frame.up;
    return put_long(out, 0);
}

static int
write_record(Out *out, const Loader *loader, const Source *sources, const Step *step, int64_t row)
{
    Frame frame = {out->top, NULL, -1};
    row += sources[step->column].array->offset;
    out->top = &frame;
    for (Py_ssize_t i = 0; i < step->count; i++) {
        frame.name = step->node->names[i];
        if (write_row(out, loader, sources, step->children[i], row) < 0)
            return -1;
    }
    out->top = frame.up;
    return 0;
}

static int
write_inside(Out *out, const Loader *loader, const Source *sources, const Step *step, int64_t row)
{
    if (--out->depth < 0)
        return write_fail(out, "nested too deep");
    int failed = step->op == OP_RECORD ? write_record(out, loader, sources, step, row)
                                       : write_items(out, loader, sources, step, row);
    out->depth++;
    return failed;
}

/* Whether the row's value is of that branch: a null, the member that has a value, or the only other type. */
static int
takes(const Source *sources, const Step *branch, int64_t row)
{
    const Source *source = &sources[branch->column];
    int is_null = source_is_null(source, row);
    if (branch->op == OP_NULL || is_null)
        return branch->op == OP_NULL && is_null;
    if (branch->op != OP_MEMBER)
        return 1;
    return !source_is_null(&sources[branch->children[0]->column], row + source->array->offset);
}

static int
write_union(Out *out, const Loader *loader, const Source *sources, const Step *step, int64_t row)
{
    for (Py_ssize_t i = 0; i < step->count; i++)
        if (takes(sources, step->children[i], row))
            return put_long(out, i) < 0 ? -1 : write_row(out, loader, sources, step->children[i], row);
    return write_fail(out, "a value of none of the union's branches");
}

int
write_row(Out *out, const Loader *loader, const Source *sources, const Step *step, int64_t row)
{
    const Source *source = &sources[step->column];
    uint8_t byte;
    if (step->op == OP_NULL)
        return 0;
    if (step->op == OP_UNION)
        return write_union(out, loader, sources, step, row);
    if (source_is_null(source, row))
        return write_fail(out, "no value");
    switch (step->op) {
    case OP_BOOLEAN:
        byte = (uint8_t)is_set(source->array->buffers[1], source->array->offset + row);
        return put_piece(out, &byte, 1);
    case OP_FLOAT:
    case OP_DOUBLE:
        return write_float(out, step, source, row);
    case OP_BYTES:
    case OP_STRING:
        return write_sized(out, step->op == OP_STRING, source, row);
    case OP_FIXED:
        return step->width ? put_piece(out, fixed_at(source, row, step->width), step->width) : 0;
    case OP_ENUM:
        return write_enum(out, source, row);
    case OP_DECIMAL:
    case OP_FIXED_DECIMAL:
        return write_wide(out, &loader->layout->columns[step->column], step, source, row);
    case OP_UUID:
        return write_uuid(out, source, row);
    case OP_ARRAY:
    case OP_MAP:
    case OP_RECORD:
        return write_inside(out, loader, sources, step, row);
    case OP_MEMBER:
        return write_row(out, loader, sources, step->children[0], row + source->array->offset);
    default:
        return write_whole(out, step, source, row);
    }
}
