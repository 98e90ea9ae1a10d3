/* Whole batches in one call: the frame is checked, the schema's plan looked up and the value read in one loop. Whatever
 * is not plain goes to a function of the caller's. */
#include "avro.h"

/* The schema's id of a framed value; -1 where it is not framed, or too large. */
int64_t
framed_id(PyObject *value, Py_ssize_t max_bytes)
{
    Py_ssize_t size = PyBytes_GET_SIZE(value);
    const uint8_t *at = (const uint8_t *)PyBytes_AS_STRING(value);
    if (size < FRAME_BYTES || size > max_bytes || at[0] != 0)
        return -1;
    return (int64_t)at[1] << 24 | (int64_t)at[2] << 16 | (int64_t)at[3] << 8 | at[4];
}

/* The plan of an id, or NULL: the last one again, or from the dict. A strong reference. */
static Plan *
plan_of(PyObject *plans, int64_t id)
{
    PyObject *key = PyLong_FromLongLong(id);
    PyObject *plan = key ? PyDict_GetItemWithError(plans, key) : NULL;
    Py_XDECREF(key);
    return plan && Py_IS_TYPE(plan, &PlanType) ? (Plan *)Py_NewRef(plan) : NULL;
}

typedef struct {
    PyObject *plans, *otherwise;
    Py_ssize_t max_bytes;
    int views;
    int64_t id; /* of the plan that was used last */
    Plan *plan;
} Batch;

/* The value, or NULL without an exception where it is not plain. */
static PyObject *
read_one(Batch *batch, PyObject *value)
{
    Reader in;
    int64_t id = PyBytes_CheckExact(value) ? framed_id(value, batch->max_bytes) : -1;
    if (id < 0)
        return NULL;
    if (id != batch->id || !batch->plan) {
        Py_XSETREF(batch->plan, plan_of(batch->plans, id));
        batch->id = id;
        if (!batch->plan)
            return NULL;
    }
    start_reader(&in, batch->plan, value, FRAME_BYTES);
    in.views = batch->views;
    PyObject *read = read_value(&in, batch->plan->root);
    if (read && left_over(&in) < 0)
        Py_CLEAR(read);
    if (!read && PyErr_ExceptionMatches(known.AvroError))
        PyErr_Clear();
    return read;
}

static PyObject *
decode_batch(PyObject *module, PyObject *args)
{
    Batch batch = {.id = -1};
    PyObject *values;
    if (!PyArg_ParseTuple(args, "O!O!Onp", &PyList_Type, &values, &PyDict_Type, &batch.plans, &batch.otherwise,
                          &batch.max_bytes, &batch.views))
        return NULL;
    PyObject *read = PyList_New(0);
    for (Py_ssize_t i = 0; read && i < PyList_GET_SIZE(values); i++) {
        PyObject *value = Py_NewRef(PyList_GET_ITEM(values, i));
        PyObject *one = value == Py_None ? Py_NewRef(Py_None) : read_one(&batch, value);
        if (!one && !PyErr_Occurred())
            one = PyObject_CallOneArg(batch.otherwise, value);
        if (!one || PyList_Append(read, one) < 0)
            Py_CLEAR(read);
        Py_XDECREF(one);
        Py_DECREF(value);
    }
    Py_XDECREF((PyObject *)batch.plan);
    return read;
}

/* The value's bytes behind the frame, or NULL without an exception where it is not plain. */
static PyObject *
write_one(Plan *plan, PyObject *value, PyObject *frame)
{
    Out out;
    out_start(&out, plan);
    PyObject *bytes = plan_write(&out, plan, value, frame);
    out_free(&out);
    if (!bytes && PyErr_ExceptionMatches(known.AvroError))
        PyErr_Clear();
    return bytes;
}

static PyObject *
encode_batch(PyObject *module, PyObject *args)
{
    PyObject *values, *plan, *frame, *otherwise;
    if (!PyArg_ParseTuple(args, "O!O!SO", &PyList_Type, &values, &PlanType, &plan, &frame, &otherwise))
        return NULL;
    PyObject *written = PyList_New(0);
    for (Py_ssize_t i = 0; written && i < PyList_GET_SIZE(values); i++) {
        PyObject *value = Py_NewRef(PyList_GET_ITEM(values, i));
        PyObject *one = value == Py_None ? Py_NewRef(Py_None) : write_one((Plan *)plan, value, frame);
        if (!one && !PyErr_Occurred())
            one = PyObject_CallOneArg(otherwise, value);
        if (!one || PyList_Append(written, one) < 0)
            Py_CLEAR(written);
        Py_XDECREF(one);
        Py_DECREF(value);
    }
    return written;
}

PyMethodDef batch_methods[] = {
    {"decode_batch", decode_batch, METH_VARARGS,
     "decode_batch(values, plans, otherwise, max_bytes, views, /): the framed values by the plans of their schemas' ids; "
     "None stays None, and otherwise(value) gives what stands for a value that is not plain."},
    {"encode_batch", encode_batch, METH_VARARGS,
     "encode_batch(values, plan, frame, otherwise, /): the values' bytes behind the frame; None stays None, and "
     "otherwise(value) gives what stands for a value that the plan does not write."},
    {NULL, NULL, 0, NULL}};
