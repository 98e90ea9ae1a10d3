/* What is asked of a batch as a whole, before its values are copied. */
#include "copy.h"

/* The ids of the schemas of all values, or None where one of them is no framed value. */
static PyObject *
schema_ids(PyObject *module, PyObject *args)
{
    PyObject *values;
    Py_ssize_t max_bytes;
    int64_t last = -1;
    if (!PyArg_ParseTuple(args, "O!n", &PyList_Type, &values, &max_bytes))
        return NULL;
    PyObject *ids = PySet_New(NULL);
    for (Py_ssize_t i = 0; ids && i < PyList_GET_SIZE(values); i++) {
        PyObject *value = PyList_GET_ITEM(values, i);
        int64_t id = PyBytes_CheckExact(value) ? framed_id(value, max_bytes) : -1;
        if (id < 0) {
            Py_SETREF(ids, Py_NewRef(Py_None));
            break;
        }
        if (id == last)
            continue;
        PyObject *number = PyLong_FromLongLong(last = id);
        if (!number || PySet_Add(ids, number) < 0)
            Py_CLEAR(ids);
        Py_XDECREF(number);
    }
    return ids;
}

/* Whether a record's headers, a list of pairs or None, have the name: 1, 0, or -1 on an error. */
static int
has_name(PyObject *headers, PyObject *name)
{
    if (headers == Py_None)
        return 0;
    PyObject *pairs = PySequence_Fast(headers, "headers are a list of pairs");
    int found = pairs ? 0 : -1;
    for (Py_ssize_t i = 0; found == 0 && i < PySequence_Fast_GET_SIZE(pairs); i++) {
        PyObject *pair = PySequence_Fast_GET_ITEM(pairs, i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2)
            found = (PyErr_Format(PyExc_TypeError, "a header is a pair"), -1);
        else
            found = PyObject_RichCompareBool(PyTuple_GET_ITEM(pair, 0), name, Py_EQ);
    }
    Py_XDECREF(pairs);
    return found;
}

static PyObject *
any_has_header(PyObject *module, PyObject *args)
{
    PyObject *records, *name, *headers;
    int found = 0;
    if (!PyArg_ParseTuple(args, "OU", &records, &name) || !(records = PyObject_GetIter(records)))
        return NULL;
    while (found == 0 && (headers = PyIter_Next(records))) {
        found = has_name(headers, name);
        Py_DECREF(headers);
    }
    Py_DECREF(records);
    return found < 0 || PyErr_Occurred() ? NULL : PyBool_FromLong(found);
}

PyMethodDef copy_batch_methods[] = {
    {"schema_ids", schema_ids, METH_VARARGS,
     "schema_ids(values, max_bytes, /): the ids before the values; None where one is not framed."},
    {"any_has_header", any_has_header, METH_VARARGS,
     "any_has_header(headers, name, /): whether any record has a header of that name, given the headers of each."},
    {NULL, NULL, 0, NULL}};
