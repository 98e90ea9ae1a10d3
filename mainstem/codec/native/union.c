/* Which branch of a union a value is written with: the one that fastavro takes. It takes the first that the value is
 * valid for; but a double before a float, and of several records the one with the most fields. Where that would need
 * more than a look at the value's own type, fastavro is left to decide. */
#include "avro.h"

enum { NO, YES, UNSURE };

static int
fits_number(PyObject *value, int64_t low, int64_t high)
{
    int over;
    if (!PyLong_CheckExact(value))
        return NO;
    int64_t number = PyLong_AsLongLongAndOverflow(value, &over);
    return over || number < low || number > high ? NO : YES;
}

static int
fits_dict(const Node *node, PyObject *value)
{
    if (!PyDict_CheckExact(value) && !Py_IS_TYPE(value, &RecordType))
        return NO;
    return node->op == OP_RECORD && PyMapping_HasKey(value, known.type_key) ? UNSURE : YES;
}

static int
fits_moment(const Node *node, PyObject *value)
{
    switch (node->op) {
    case OP_DATE:
        if (PyUnicode_CheckExact(value) || is_datetime(value))
            return UNSURE;
        return is_date(value) ? YES : fits_number(value, INT32_MIN, INT32_MAX);
    case OP_TIME_MILLIS:
        return is_time(value) ? YES : fits_number(value, INT32_MIN, INT32_MAX);
    case OP_TIME_MICROS:
        return is_time(value) ? YES : fits_number(value, INT64_MIN, INT64_MAX);
    default:
        return is_datetime(value) ? YES : fits_number(value, INT64_MIN, INT64_MAX);
    }
}

static int
fits(const Node *node, PyObject *value)
{
    switch (node->op) {
    case OP_NULL:
        return value == Py_None;
    case OP_BOOLEAN:
        return PyBool_Check(value);
    case OP_INT:
        return fits_number(value, INT32_MIN, INT32_MAX);
    case OP_LONG:
        return fits_number(value, INT64_MIN, INT64_MAX);
    case OP_FLOAT:
    case OP_DOUBLE:
        return PyFloat_CheckExact(value) || PyLong_CheckExact(value);
    case OP_STRING:
        return PyUnicode_CheckExact(value);
    case OP_UUID:
        return PyUnicode_CheckExact(value) || (PyObject *)Py_TYPE(value) == known.UUID;
    case OP_BYTES:
        return PyBytes_CheckExact(value);
    case OP_FIXED:
        return PyBytes_CheckExact(value) && PyBytes_GET_SIZE(value) == node->size;
    case OP_DECIMAL:
    case OP_FIXED_DECIMAL:
        return PyBytes_CheckExact(value) ? UNSURE : (PyObject *)Py_TYPE(value) == known.Decimal;
    case OP_ENUM:
        return PyUnicode_CheckExact(value) && PyDict_GetItemWithError(node->table, value) ? YES : NO;
    case OP_ARRAY:
        return PyBytes_CheckExact(value) ? UNSURE : PyList_CheckExact(value);
    case OP_MAP:
    case OP_RECORD:
        return fits_dict(node, value);
    case OP_UNION:
        return UNSURE;
    default:
        return fits_moment(node, value);
    }
}

/* Whether fits() knows all that there is to know about values of this type. */
static int
is_plain(PyObject *value)
{
    return value == Py_None || PyBool_Check(value) || PyLong_CheckExact(value) || PyFloat_CheckExact(value) ||
           PyUnicode_CheckExact(value) || PyBytes_CheckExact(value) || PyList_CheckExact(value) ||
           PyDict_CheckExact(value) || Py_IS_TYPE(value, &RecordType) || is_date(value) || is_time(value) || is_datetime(value) ||
           (PyObject *)Py_TYPE(value) == known.Decimal || (PyObject *)Py_TYPE(value) == known.UUID;
}

static int
is_dict_branch(const Node *node)
{
    return node->op == OP_RECORD || node->op == OP_MAP;
}

static Py_ssize_t
unsure(Out *out)
{
    return write_fail(out, "a value that may be of several branches of the union");
}

Py_ssize_t
branch_of(Out *out, const Node *node, PyObject *value)
{
    if (!is_plain(value)) {
        Py_ssize_t branch = object_branch(node, value);
        return branch < 0 ? unsure(out) : branch;
    }
    for (Py_ssize_t i = 0; i < node->count; i++) {
        int verdict = fits(node->children[i], value);
        if (verdict == NO)
            continue;
        if (verdict == UNSURE)
            return unsure(out);
        for (Py_ssize_t later = i + 1; later < node->count; later++) {
            if (is_dict_branch(node->children[i]) && is_dict_branch(node->children[later]))
                return unsure(out);
            if (node->children[i]->op == OP_FLOAT && node->children[later]->op == OP_DOUBLE)
                return later;
        }
        return i;
    }
    return write_fail(out, "a value of none of the union's branches");
}
