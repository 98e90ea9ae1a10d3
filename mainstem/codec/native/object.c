/* Records as instances of a class of the caller's: made by calling it with the fields, written from its attributes. */
#include "avro.h"

/* An instance instead of the dict, which is used up; NULL where the class refuses the fields. */
PyObject *
object_of(Reader *in, const Node *node, PyObject *dict)
{
    char reason[160];
    PyObject *made = PyObject_VectorcallDict(node->make, NULL, 0, dict);
    Py_DECREF(dict);
    if (made || !PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError))
        return made;
    PyObject *error = taken_error();
    PyOS_snprintf(reason, sizeof reason, "a record that its class refuses (%.100s)", Py_TYPE(error)->tp_name);
    Py_DECREF(error);
    return read_fail(in, reason);
}

static int
write_attribute(Out *out, const Node *node, Py_ssize_t i, PyObject *value)
{
    PyObject *field = PyObject_GetAttr(value, node->names[i]);
    if (!field && !PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    if (!field)
        return write_fail(out, "an attribute that is missing");
    int failed = write_value(out, node->children[i], field);
    Py_DECREF(field);
    return failed;
}

int
write_object(Out *out, const Node *node, PyObject *value)
{
    Frame frame = {out->top, NULL, -1};
    out->top = &frame;
    for (Py_ssize_t i = 0; i < node->count; i++) {
        frame.name = node->names[i];
        if (write_attribute(out, node, i, value) < 0)
            return -1;
    }
    out->top = frame.up;
    return 0;
}

Py_ssize_t
object_branch(const Node *node, PyObject *value)
{
    for (Py_ssize_t i = 0; i < node->count; i++)
        if (node->children[i]->make == (PyObject *)Py_TYPE(value))
            return i;
    return -1;
}
