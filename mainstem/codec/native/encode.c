/* Python values to Avro bytes, by a plan: those of exactly the types that decoding makes. What is refused here may still
 * be written by fastavro, which takes more. */
#include "varint.h"

void
out_start(Out *out, Plan *plan)
{
    out->data = out->small;
    out->used = 0;
    out->room = OUT_SMALL;
    out->top = NULL;
    out->depth = plan->max_depth;
}

void
out_free(Out *out)
{
    if (out->data != out->small)
        PyMem_Free(out->data);
}

/* Makes room for so many bytes more. */
int
out_room(Out *out, size_t more)
{
    if (more > (size_t)PY_SSIZE_T_MAX / 2 - out->used) {
        PyErr_NoMemory();
        return -1;
    }
    size_t room = out->room * 2 > out->used + more ? out->room * 2 : out->used + more;
    uint8_t *data = PyMem_Realloc(out->data == out->small ? NULL : out->data, room);
    if (!data) {
        PyErr_NoMemory();
        return -1;
    }
    if (out->data == out->small)
        memcpy(data, out->small, out->used);
    out->data = data;
    out->room = room;
    return 0;
}

static int
write_text(Out *out, PyObject *value)
{
    if (!PyUnicode_CheckExact(value))
        return write_fail(out, "expected text");
    if (PyUnicode_IS_COMPACT_ASCII(value))
        return put_sized(out, PyUnicode_1BYTE_DATA(value), PyUnicode_GET_LENGTH(value));
    PyObject *bytes = PyUnicode_AsUTF8String(value);
    if (!bytes)
        return write_fail(out, "text that is not Unicode");
    int failed = put_sized(out, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return failed;
}

static int
write_number(Out *out, PyObject *value, int64_t low, int64_t high)
{
    int over;
    if (!PyLong_CheckExact(value))
        return write_fail(out, "expected a whole number");
    int64_t number = PyLong_AsLongLongAndOverflow(value, &over);
    if (over || number < low || number > high)
        return write_fail(out, "a number out of range");
    return put_long(out, number);
}

static int
write_float(Out *out, const Node *node, PyObject *value)
{
    char bytes[8];
    double number;
    if (PyFloat_CheckExact(value))
        number = PyFloat_AS_DOUBLE(value);
    else if (!PyLong_CheckExact(value) || ((number = PyLong_AsDouble(value)) == -1.0 && PyErr_Occurred()))
        return write_fail(out, "expected a number");
    int size = node->op == OP_FLOAT ? 4 : 8;
    if ((size == 4 ? PyFloat_Pack4(number, bytes, 1) : PyFloat_Pack8(number, bytes, 1)) < 0)
        return write_fail(out, "a number out of range");
    return put_piece(out, bytes, size);
}

static int
write_bytes(Out *out, const Node *node, PyObject *value)
{
    if (!PyBytes_CheckExact(value))
        return write_fail(out, "expected bytes");
    Py_ssize_t size = PyBytes_GET_SIZE(value);
    if (node->op == OP_BYTES)
        return put_sized(out, PyBytes_AS_STRING(value), size);
    if (size != node->size)
        return write_fail(out, "bytes of another length");
    return put_piece(out, PyBytes_AS_STRING(value), size);
}

static int
write_enum(Out *out, const Node *node, PyObject *value)
{
    for (Py_ssize_t i = 0; i < node->count && i < 16; i++)
        if (node->names[i] == value)
            return put_long(out, i);
    PyObject *number = PyUnicode_CheckExact(value) ? PyDict_GetItemWithError(node->table, value) : NULL;
    return number ? put_long(out, PyLong_AsLongLong(number)) : write_fail(out, "not one of the enum's symbols");
}

static int
write_uuid(Out *out, PyObject *value)
{
    if ((PyObject *)Py_TYPE(value) != known.UUID)
        return write_text(out, value);
    PyObject *text = PyObject_Str(value);
    int failed = text ? write_text(out, text) : write_fail(out, "expected a UUID");
    Py_XDECREF(text);
    return failed;
}

static int
write_array(Out *out, const Node *node, PyObject *value)
{
    if (!PyList_CheckExact(value))
        return write_fail(out, "expected a list");
    Py_ssize_t count = PyList_GET_SIZE(value);
    Frame frame = {out->top, NULL, 0};
    if (count && put_long(out, count) < 0)
        return -1;
    out->top = &frame;
    for (; frame.index < count; frame.index++) {
        if (PyList_GET_SIZE(value) != count)
            return write_fail(out, "a list that changed meanwhile");
        PyObject *item = Py_NewRef(PyList_GET_ITEM(value, frame.index));
        int failed = write_value(out, node->children[0], item);
        Py_DECREF(item);
        if (failed)
            return -1;
    }
    out->top = frame.up;
    return put_long(out, 0);
}

static int
write_map(Out *out, const Node *node, PyObject *value)
{
    if (!PyDict_CheckExact(value))
        return write_fail(out, "expected a dict");
    Py_ssize_t count = PyDict_GET_SIZE(value), at = 0;
    PyObject *key, *item;
    Frame frame = {out->top, NULL, 0};
    if (count && put_long(out, count) < 0)
        return -1;
    out->top = &frame;
    for (; PyDict_Next(value, &at, &key, &item); frame.index++) {
        Py_INCREF(key);
        Py_INCREF(item);
        int failed = write_text(out, key) < 0 || write_value(out, node->children[0], item) < 0;
        Py_DECREF(key);
        Py_DECREF(item);
        if (failed)
            return -1;
        if (PyDict_GET_SIZE(value) != count)
            return write_fail(out, "a dict that changed meanwhile");
    }
    if (frame.index != count)
        return write_fail(out, "a dict that changed meanwhile");
    out->top = frame.up;
    return put_long(out, 0);
}

static int
write_field(Out *out, const Node *node, Py_ssize_t i, PyObject *dict)
{
    PyObject *value = PyDict_GetItemWithError(dict, node->names[i]);
    if (!value) {
        if (PyErr_Occurred() || !node->fills[i])
            return write_fail(out, "no value and no default");
        return put_piece(out, PyBytes_AS_STRING(node->fills[i]), PyBytes_GET_SIZE(node->fills[i]));
    }
    Py_INCREF(value);
    int failed = write_value(out, node->children[i], value);
    Py_DECREF(value);
    return failed;
}

static int
write_record(Out *out, const Node *node, PyObject *value)
{
    if (Py_IS_TYPE(value, &RecordType))
        return write_view(out, node, value);
    if (node->make == (PyObject *)Py_TYPE(value))
        return write_object(out, node, value);
    if (!PyDict_CheckExact(value))
        return write_fail(out, "expected a dict");
    Frame frame = {out->top, NULL, -1};
    out->top = &frame;
    for (Py_ssize_t i = 0; i < node->count; i++) {
        frame.name = node->names[i];
        if (write_field(out, node, i, value) < 0)
            return -1;
    }
    out->top = frame.up;
    return 0;
}

static int
write_union(Out *out, const Node *node, PyObject *value)
{
    Py_ssize_t branch = branch_of(out, node, value);
    if (branch < 0 || put_long(out, branch) < 0)
        return -1;
    return write_value(out, node->children[branch], value);
}

static int
write_inside(Out *out, const Node *node, PyObject *value)
{
    if (--out->depth < 0)
        return write_fail(out, "nested too deep");
    int failed = node->op == OP_RECORD ? write_record(out, node, value)
                 : node->op == OP_MAP  ? write_map(out, node, value)
                                       : write_array(out, node, value);
    out->depth++;
    return failed;
}

int
write_value(Out *out, const Node *node, PyObject *value)
{
    uint8_t byte;
    switch (node->op) {
    case OP_NULL:
        return value == Py_None ? 0 : write_fail(out, "expected nothing");
    case OP_BOOLEAN:
        if (!PyBool_Check(value))
            return write_fail(out, "expected true or false");
        byte = value == Py_True;
        return put_piece(out, &byte, 1);
    case OP_INT:
        return write_number(out, value, INT32_MIN, INT32_MAX);
    case OP_LONG:
        return write_number(out, value, INT64_MIN, INT64_MAX);
    case OP_FLOAT:
    case OP_DOUBLE:
        return write_float(out, node, value);
    case OP_BYTES:
    case OP_FIXED:
        return write_bytes(out, node, value);
    case OP_STRING:
        return write_text(out, value);
    case OP_ENUM:
        return write_enum(out, node, value);
    case OP_UNION:
        return write_union(out, node, value);
    case OP_ARRAY:
    case OP_MAP:
    case OP_RECORD:
        return write_inside(out, node, value);
    case OP_DECIMAL:
    case OP_FIXED_DECIMAL:
        return write_decimal(out, node, value);
    case OP_UUID:
        return write_uuid(out, value);
    case OP_INT_TO_DOUBLE:
    case OP_LONG_TO_DOUBLE:
    case OP_STRING_TO_BYTES:
    case OP_BYTES_TO_STRING:
    case OP_MISMATCH:
    case OP_COUNT:
        return write_fail(out, "a plan that only reads");
    default:
        return write_moment(out, node, value);
    }
}
