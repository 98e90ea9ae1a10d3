/* Arrow columns, whoever made them, to the rows' Avro bytes. */
#include "columns.h"

/* Whether the steps are those of the layout's own schema, whose bytes can be written. */
static int
is_own(const Loader *loader)
{
    for (Py_ssize_t i = 0; i < loader->count; i++) {
        const Step *step = &loader->steps[i];
        if ((step->op != OP_MEMBER && step->op != (int)step->node->op) || step->fill_count)
            return 0;
        for (Py_ssize_t child = 0; child < step->count && step->op == OP_RECORD; child++)
            if (!step->children[child])
                return 0;
        if (step->op >= OP_INT_TO_DOUBLE && step->op != OP_MEMBER)
            return 0;
        if ((step->op == OP_INT || step->op == OP_FLOAT) && step->width != 4)
            return 0;
    }
    return 1;
}

static PyObject *
write_one(Out *out, const Loader *loader, const Source *sources, PyObject *frame, int64_t row)
{
    if (source_is_null(&sources[0], row) && loader->steps[0].op != OP_UNION && loader->steps[0].op != OP_NULL)
        Py_RETURN_NONE;
    out->used = 0;
    out->top = NULL;
    out->depth = loader->plan->max_depth;
    size_t size = (size_t)PyBytes_GET_SIZE(frame);
    if (size > out->room && out_room(out, size) < 0)
        return NULL;
    memcpy(out->data, PyBytes_AS_STRING(frame), size);
    out->used = size;
    if (write_row(out, loader, sources, loader->steps, row) == 0)
        return PyBytes_FromStringAndSize((const char *)out->data, (Py_ssize_t)out->used);
    return PyErr_ExceptionMatches(known.AvroError) ? taken_error() : NULL;
}

static PyObject *
write_all(const Loader *loader, PyObject *frame, const struct ArrowSchema *schema, const struct ArrowArray *array)
{
    Out out;
    Source *sources = sources_new(loader, schema, array);
    PyObject *rows = sources ? PyList_New(array->length) : NULL;
    out_start(&out, loader->plan);
    for (int64_t i = 0; rows && i < array->length; i++) {
        PyObject *row = write_one(&out, loader, sources, frame, i);
        if (row)
            PyList_SET_ITEM(rows, i, row);
        else
            Py_CLEAR(rows);
    }
    out_free(&out);
    if (sources)
        sources_free(sources, loader->layout->count);
    return rows;
}

/* Asks for the layout's own types; who cannot give them gives others, which are refused. */
static PyObject *
asked(PyObject *data, const Layout *layout)
{
    PyObject *wanted = layout_schema(layout);
    PyObject *pair = wanted ? PyObject_CallMethod(data, "__arrow_c_array__", "O", wanted) : NULL;
    Py_XDECREF(wanted);
    if (!pair || (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2))
        return pair;
    Py_DECREF(pair);
    return PyErr_Format(PyExc_TypeError, "expected an Arrow array");
}

PyObject *
encode_columns(PyObject *module, PyObject *args)
{
    PyObject *data, *frame, *rows = NULL;
    Loader *loader;
    if (!PyArg_ParseTuple(args, "OO!S", &data, &LoaderType, &loader, &frame))
        return NULL;
    if (!is_own(loader))
        return PyErr_Format(PyExc_ValueError, "a loader that only reads");
    PyObject *pair = asked(data, loader->layout);
    if (!pair)
        return NULL;
    const struct ArrowSchema *schema = PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 0), "arrow_schema");
    const struct ArrowArray *array = schema ? PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 1), "arrow_array") : NULL;
    if (array && schema->release && array->release)
        rows = write_all(loader, frame, schema, array);
    else if (array)
        PyErr_Format(PyExc_ValueError, "an Arrow array that was taken already");
    Py_DECREF(pair);
    return rows;
}
