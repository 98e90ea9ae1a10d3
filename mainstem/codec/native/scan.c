/* Passes over a value and checks all that reading it would check: structure, numbers, text, dates. */
#include "varint.h"
#include "utf8.h"

static int
skip_piece(Reader *in, int64_t size)
{
    return read_piece(in, size) ? 0 : -1;
}

static int
skip_text(Reader *in)
{
    int64_t size;
    const uint8_t *piece = read_sized(in, &size);
    if (!piece)
        return -1;
    return is_utf8(piece, size) ? 0 : read_refused(in, "text that is not UTF-8");
}

static int
skip_items(Reader *in, const Node *node)
{
    Frame frame = {in->top, NULL, 0};
    in->top = &frame;
    for (int64_t count;;) {
        if (block_items(in, node, &count) < 0)
            return -1;
        if (count == 0)
            break;
        for (; count > 0; count--, frame.index++)
            if ((node->op == OP_MAP && skip_text(in) < 0) || skip_value(in, node->children[0]) < 0)
                return -1;
    }
    in->top = frame.up;
    return 0;
}

static int
skip_record(Reader *in, const Node *node)
{
    Frame frame = {in->top, NULL, -1};
    in->top = &frame;
    for (Py_ssize_t i = 0; i < node->count; i++) {
        frame.name = node->names[i];
        if (skip_value(in, node->children[i]) < 0)
            return -1;
    }
    in->top = frame.up;
    return 0;
}

static int
skip_inside(Reader *in, const Node *node)
{
    if (enter(in) < 0 || (node->op == OP_RECORD && charge(in, node->cost) < 0))
        return -1;
    int failed = node->op == OP_RECORD ? skip_record(in, node) : skip_items(in, node);
    in->depth++;
    return failed;
}

/* The number of an enum's symbol or a union's branch. */
static int
skip_choice(Reader *in, const Node *node)
{
    int64_t number;
    if (read_long(in, &number) < 0)
        return -1;
    if (number < 0 || number >= node->count)
        return read_refused(in, node->op == OP_ENUM ? "an enum number without a symbol"
                                                    : "a union's number without a branch");
    if (node->op == OP_UNION)
        return skip_value(in, node->children[number]);
    return node->skipped[number] ? read_refused(in, "a symbol that the reader's enum does not have") : 0;
}

int
skip_value(Reader *in, const Node *node)
{
    int64_t number;
    switch (node->op) {
    case OP_NULL:
        return 0;
    case OP_BOOLEAN:
        return skip_piece(in, 1);
    case OP_INT:
    case OP_INT_TO_DOUBLE:
        return read_int(in, &number);
    case OP_LONG:
    case OP_LONG_TO_DOUBLE:
        return read_long(in, &number);
    case OP_FLOAT:
        return skip_piece(in, 4);
    case OP_DOUBLE:
        return skip_piece(in, 8);
    case OP_BYTES:
    case OP_DECIMAL:
        return read_sized(in, &number) ? 0 : -1;
    case OP_STRING:
    case OP_UUID:
    case OP_STRING_TO_BYTES:
    case OP_BYTES_TO_STRING:
        return skip_text(in);
    case OP_FIXED:
    case OP_FIXED_DECIMAL:
        return skip_piece(in, node->size);
    case OP_ENUM:
    case OP_UNION:
        return skip_choice(in, node);
    case OP_ARRAY:
    case OP_MAP:
    case OP_RECORD:
        return skip_inside(in, node);
    case OP_MISMATCH:
        return read_refused(in, "the writer's type does not fit the reader's");
    default:
        if ((node->op == OP_DATE || node->op == OP_TIME_MILLIS ? read_int(in, &number) : read_long(in, &number)) < 0)
            return -1;
        return check_moment(in, node->op, number);
    }
}
