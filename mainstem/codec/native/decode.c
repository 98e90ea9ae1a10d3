/* Avro bytes to Python values, by a plan. */
#include "varint.h"
#include "utf8.h"

#define ITEM_BYTES 8
#define ENTRY_BYTES 160

int
start_reader(Reader *in, Plan *plan, PyObject *owner, Py_ssize_t start)
{
    if (!PyBytes_Check(owner)) {
        PyErr_Format(PyExc_TypeError, "expected bytes, not %.100s", Py_TYPE(owner)->tp_name);
        return -1;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(owner);
    in->start = (const uint8_t *)PyBytes_AS_STRING(owner);
    in->at = in->start + (start < 0 ? 0 : start > size ? size : start);
    in->end = in->start + size;
    in->top = NULL;
    in->depth = plan->max_depth;
    in->memory = plan->max_memory;
    in->views = 0;
    in->unlocked = 0;
    in->plan = plan;
    in->owner = owner;
    return 0;
}

int
enter(Reader *in)
{
    return --in->depth < 0 ? read_refused(in, "nested too deep") : 0;
}

int
charge(Reader *in, int64_t bytes)
{
    in->memory -= bytes;
    return in->memory < 0 ? read_refused(in, "too many values") : 0;
}

/* How many items a block of an array or map has: 0 at its end. Refuses more than the bytes that follow can hold. */
int
block_items(Reader *in, const Node *node, int64_t *count)
{
    const Node *item = node->children[0];
    int64_t key = node->op == OP_MAP, smallest = item->smallest + key, ignored;
    if (read_long(in, count) < 0)
        return -1;
    if (*count < 0) {
        if (*count == INT64_MIN)
            return read_refused(in, "a block with a bad number of items");
        if (read_long(in, &ignored) < 0)
            return -1;
        *count = -*count;
    }
    if (*count == 0)
        return 0;
    if (smallest && *count > (in->end - in->at) / smallest)
        return read_refused(in, "a block with more items than bytes");
    int64_t each = (key ? ENTRY_BYTES : ITEM_BYTES) + (item->op == OP_RECORD ? 0 : item->cost); /* it pays itself */
    if (*count > in->memory / each)
        return read_refused(in, "too many values");
    return charge(in, *count * each);
}

PyObject *
read_text(Reader *in)
{
    int64_t size;
    const uint8_t *piece = read_sized(in, &size);
    if (!piece)
        return NULL;
    if (size > 1 && is_ascii(piece, size)) {
        PyObject *text = PyUnicode_New(size, 127);
        if (text)
            memcpy(PyUnicode_1BYTE_DATA(text), piece, size);
        return text;
    }
    PyObject *text = PyUnicode_DecodeUTF8((const char *)piece, size, "strict");
    return text ? text : read_fail(in, "text that is not UTF-8");
}

static PyObject *
read_bytes(Reader *in, int64_t size)
{
    const uint8_t *piece = read_piece(in, size);
    return piece ? PyBytes_FromStringAndSize((const char *)piece, size) : NULL;
}

/* The blocks after the first: writers make one, as a rule. */
static int
read_blocks(Reader *in, const Node *node, PyObject *list, Frame *frame)
{
    for (int64_t count;;) {
        if (block_items(in, node, &count) < 0)
            return -1;
        if (count == 0)
            return 0;
        for (; count > 0; count--, frame->index++) {
            PyObject *item = read_value(in, node->children[0]);
            int failed = item ? PyList_Append(list, item) : -1;
            Py_XDECREF(item);
            if (failed)
                return -1;
        }
    }
}

static PyObject *
read_array(Reader *in, const Node *node)
{
    if (enter(in) < 0 || charge(in, CONTAINER_BYTES) < 0)
        return NULL;
    Frame frame = {in->top, NULL, 0};
    int64_t count;
    if (block_items(in, node, &count) < 0)
        return NULL;
    PyObject *list = PyList_New(count);
    in->top = &frame;
    for (; list && frame.index < count; frame.index++) {
        PyObject *item = read_value(in, node->children[0]);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, frame.index, item);
    }
    if (list && count && read_blocks(in, node, list, &frame) < 0)
        Py_CLEAR(list);
    in->top = frame.up;
    in->depth++;
    return list;
}

static PyObject *
read_map(Reader *in, const Node *node)
{
    if (enter(in) < 0 || charge(in, CONTAINER_BYTES) < 0)
        return NULL;
    Frame frame = {in->top, NULL, 0};
    PyObject *dict = PyDict_New();
    int64_t count;
    while (dict) {
        if (block_items(in, node, &count) < 0) {
            Py_CLEAR(dict);
            break;
        }
        if (count == 0)
            break;
        in->top = &frame;
        for (; count > 0 && dict; count--, frame.index++) {
            PyObject *key = read_text(in);
            PyObject *value = key ? read_value(in, node->children[0]) : NULL;
            if (!value || PyDict_SetItem(dict, key, value) < 0)
                Py_CLEAR(dict);
            Py_XDECREF(key);
            Py_XDECREF(value);
        }
        in->top = frame.up;
    }
    in->depth++;
    return dict;
}

/* A default of a schema is JSON; what can be changed is given out as a copy. */
PyObject *
default_copy(PyObject *value)
{
    PyObject *key, *item, *copy;
    if (PyList_CheckExact(value)) {
        copy = PyList_New(PyList_GET_SIZE(value));
        for (Py_ssize_t i = 0; copy && i < PyList_GET_SIZE(value); i++) {
            if (!(item = default_copy(PyList_GET_ITEM(value, i))))
                Py_CLEAR(copy);
            else
                PyList_SET_ITEM(copy, i, item);
        }
        return copy;
    }
    if (!PyDict_CheckExact(value))
        return Py_NewRef(value);
    copy = PyDict_New();
    for (Py_ssize_t at = 0; copy && PyDict_Next(value, &at, &key, &item);) {
        PyObject *inner = default_copy(item);
        if (!inner || PyDict_SetItem(copy, key, inner) < 0)
            Py_CLEAR(copy);
        Py_XDECREF(inner);
    }
    return copy;
}

static int
fill_record(Reader *in, const Node *node, PyObject *dict)
{
    Frame frame = {in->top, NULL, -1};
    in->top = &frame;
    for (Py_ssize_t i = 0; i < node->count; i++) {
        frame.name = node->names[i];
        if (node->skipped[i]) {
            if (skip_value(in, node->children[i]) < 0)
                return -1;
            continue;
        }
        PyObject *value = read_value(in, node->children[i]);
        if (!value)
            return -1;
        int failed = PyDict_SetItem(dict, frame.name, value);
        Py_DECREF(value);
        if (failed)
            return -1;
    }
    in->top = frame.up;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(node->defaults); i++) {
        PyObject *pair = PyTuple_GET_ITEM(node->defaults, i);
        PyObject *value = default_copy(PyTuple_GET_ITEM(pair, 1));
        int failed = value ? PyDict_SetItem(dict, PyTuple_GET_ITEM(pair, 0), value) : -1;
        Py_XDECREF(value);
        if (failed)
            return -1;
    }
    return 0;
}

static PyObject *
read_record(Reader *in, const Node *node)
{
    if (enter(in) < 0 || charge(in, node->cost) < 0)
        return NULL;
    PyObject *record = in->views ? record_new(in, node) : PyDict_Copy(node->blank);
    if (record && !in->views && fill_record(in, node, record) < 0)
        Py_CLEAR(record);
    if (record && node->make && !in->views)
        record = object_of(in, node, record);
    in->depth++;
    return record;
}

static PyObject *
read_enum(Reader *in, const Node *node)
{
    int64_t number;
    if (read_long(in, &number) < 0)
        return NULL;
    if (number < 0 || number >= node->count)
        return read_fail(in, "an enum number without a symbol");
    if (node->skipped[number])
        return read_fail(in, "a symbol that the reader's enum does not have");
    return Py_NewRef(node->names[number]);
}

static PyObject *
read_uuid(Reader *in)
{
    PyObject *text = read_text(in);
    PyObject *uuid = text ? PyObject_CallOneArg(known.UUID, text) : NULL;
    if (text && !uuid)
        read_fail(in, "text that is no UUID");
    Py_XDECREF(text);
    return uuid;
}

static PyObject *
read_float(Reader *in, int size)
{
    const uint8_t *piece = read_piece(in, size);
    if (!piece)
        return NULL;
    double number = size == 4 ? PyFloat_Unpack4((const char *)piece, 1) : PyFloat_Unpack8((const char *)piece, 1);
    return PyFloat_FromDouble(number);
}

PyObject *
read_value(Reader *in, const Node *node)
{
    int64_t number;
    const uint8_t *piece;
    switch (node->op) {
    case OP_NULL:
        Py_RETURN_NONE;
    case OP_BOOLEAN:
        piece = read_piece(in, 1);
        return piece ? PyBool_FromLong(*piece) : NULL;
    case OP_INT:
        return read_int(in, &number) < 0 ? NULL : PyLong_FromLongLong(number);
    case OP_LONG:
        return read_long(in, &number) < 0 ? NULL : PyLong_FromLongLong(number);
    case OP_INT_TO_DOUBLE:
        return read_int(in, &number) < 0 ? NULL : PyFloat_FromDouble((double)number);
    case OP_LONG_TO_DOUBLE:
        return read_long(in, &number) < 0 ? NULL : PyFloat_FromDouble((double)number);
    case OP_FLOAT:
        return read_float(in, 4);
    case OP_DOUBLE:
        return read_float(in, 8);
    case OP_BYTES:
        return read_long(in, &number) < 0 ? NULL : read_bytes(in, number);
    case OP_STRING_TO_BYTES:
        if (!(piece = read_sized(in, &number)))
            return NULL;
        if (!is_utf8(piece, number))
            return read_fail(in, "text that is not UTF-8");
        return PyBytes_FromStringAndSize((const char *)piece, number);
    case OP_STRING:
    case OP_BYTES_TO_STRING:
        return read_text(in);
    case OP_FIXED:
        return read_bytes(in, node->size);
    case OP_ENUM:
        return read_enum(in, node);
    case OP_ARRAY:
        return read_array(in, node);
    case OP_MAP:
        return read_map(in, node);
    case OP_UNION:
        if (read_long(in, &number) < 0)
            return NULL;
        if (number < 0 || number >= node->count)
            return read_fail(in, "a union's number without a branch");
        return read_value(in, node->children[number]);
    case OP_RECORD:
        return read_record(in, node);
    case OP_DECIMAL:
        piece = read_sized(in, &number);
        return piece ? read_decimal(in, node, piece, number) : NULL;
    case OP_FIXED_DECIMAL:
        piece = read_piece(in, node->size);
        return piece ? read_decimal(in, node, piece, node->size) : NULL;
    case OP_UUID:
        return read_uuid(in);
    case OP_MISMATCH:
        return read_fail(in, "the writer's type does not fit the reader's");
    default:
        return read_moment(in, node);
    }
}
