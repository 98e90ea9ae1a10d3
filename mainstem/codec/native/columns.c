/* Framed values to the columns of a layout, in one call. What is refused leaves no trace in the columns, and is told
 * with the number of its value. The loading itself runs without the interpreter's lock. */
#include "columns.h"
#include "columns_array.h"

typedef struct {
    PyObject *value; /* bytes; they belong to the list that is held meanwhile */
    Loader *loader;
    int64_t number;
} Job;

typedef struct {
    PyObject *loaders, *otherwise;
    Layout *layout;
    Py_ssize_t max_bytes;
    int64_t id; /* of the loader that was used last, or -1 */
    Loader *loader;
} Batch;

static int
is_loader(const Batch *batch, PyObject *found)
{
    return found && Py_IS_TYPE(found, &LoaderType) && ((Loader *)found)->layout == batch->layout;
}

/* The loader of a value, or what `otherwise` says of it; NULL where that failed. */
static PyObject *
loader_of(Batch *batch, PyObject *value)
{
    int64_t id = PyBytes_CheckExact(value) ? framed_id(value, batch->max_bytes) : -1;
    if (id >= 0 && id == batch->id)
        return Py_NewRef((PyObject *)batch->loader);
    PyObject *key = id < 0 ? NULL : PyLong_FromLongLong(id);
    PyObject *found = key ? Py_XNewRef(PyDict_GetItemWithError(batch->loaders, key)) : NULL;
    Py_XDECREF(key);
    if (PyErr_Occurred())
        return NULL;
    if (!is_loader(batch, found))
        Py_XSETREF(found, PyObject_CallOneArg(batch->otherwise, value));
    if (id >= 0 && is_loader(batch, found)) {
        batch->id = id;
        Py_XSETREF(batch->loader, (Loader *)Py_NewRef(found));
    }
    return found;
}

static int
note(PyObject *list, int64_t number, PyObject *what)
{
    PyObject *item = what ? Py_BuildValue("(LO)", (long long)number, what) : PyLong_FromLongLong(number);
    int failed = item ? PyList_Append(list, item) : -1;
    Py_XDECREF(item);
    return failed;
}

/* Sorts the values: tombstones, what is no value of a known schema, and what is to be loaded. */
static int
plan_jobs(Batch *batch, PyObject *values, Columns *columns, Job *jobs, Py_ssize_t *count)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(values); i++) {
        PyObject *value = PyList_GET_ITEM(values, i);
        if (value == Py_None) {
            if (note(columns->tombstones, i, NULL) < 0)
                return -1;
            continue;
        }
        PyObject *found = loader_of(batch, value);
        if (!found)
            return -1;
        int loads = is_loader(batch, found) && PyBytes_CheckExact(value) && PyBytes_GET_SIZE(value) >= FRAME_BYTES;
        if (loads)
            jobs[(*count)++] = (Job){value, (Loader *)Py_NewRef(found), i};
        int failed = loads ? 0 : note(columns->refused, i, found);
        Py_DECREF(found);
        if (failed)
            return -1;
    }
    return 0;
}

static int
load_one(Load *load, const Job *job)
{
    Reader in;
    start_reader(&in, job->loader->plan, job->value, FRAME_BYTES);
    in.unlocked = 1;
    int64_t rows = load->vectors[0].length;
    if (load_value(load, &in, job->loader->steps) == 0 && left_over(&in) == 0)
        return 0;
    vector_cut(load, 0, rows);
    return -1;
}

static int
note_refusal(Load *load, Columns *columns, int64_t number)
{
    if (load->failure == TOO_MUCH)
        return PyErr_Format(PyExc_OverflowError, "more than 2 GiB in one column: give fewer values at once"), -1;
    if (load->failure == NO_MEMORY)
        return PyErr_NoMemory(), -1;
    if (!PyErr_ExceptionMatches(known.AvroError))
        return -1;
    PyObject *error = taken_error();
    int failed = note(columns->refused, number, error);
    Py_DECREF(error);
    return failed;
}

static int
run_jobs(Load *load, Columns *columns, const Job *jobs, Py_ssize_t count)
{
    PyThreadState *thread = PyEval_SaveThread();
    int failed = 0;
    for (Py_ssize_t i = 0; i < count && !failed; i++) {
        if (load_one(load, &jobs[i]) == 0) {
            columns->rows[columns->count++] = jobs[i].number;
            continue;
        }
        PyEval_RestoreThread(thread);
        failed = note_refusal(load, columns, jobs[i].number);
        thread = PyEval_SaveThread();
    }
    PyEval_RestoreThread(thread);
    return failed;
}

static int
fill_columns(Batch *batch, PyObject *values, Columns *columns)
{
    Py_ssize_t all = PyList_GET_SIZE(values), count = 0;
    Load load = {.layout = batch->layout};
    Job *jobs = PyMem_RawCalloc(all + 1, sizeof *jobs);
    columns->rows = PyMem_RawCalloc(all + 1, sizeof *columns->rows);
    int failed = jobs && columns->rows ? plan_jobs(batch, values, columns, jobs, &count) : (PyErr_NoMemory(), -1);
    if (!failed && vectors_start(&load, count) == 0)
        columns->held = vectors_hold(load.vectors, batch->layout->count);
    if (!failed && !columns->held)
        failed = (PyErr_NoMemory(), -1);
    if (!failed)
        failed = run_jobs(&load, columns, jobs, count);
    if (!columns->held)
        vectors_free(load.vectors, batch->layout->count);
    for (Py_ssize_t i = 0; i < count; i++)
        Py_DECREF((PyObject *)jobs[i].loader);
    PyMem_RawFree(jobs);
    return failed || PyList_Sort(columns->refused) < 0 ? -1 : 0;
}

static PyObject *
decode_columns(PyObject *module, PyObject *args)
{
    Batch batch = {.id = -1};
    PyObject *given;
    if (!PyArg_ParseTuple(args, "O!O!O!On", &PyList_Type, &given, &PyDict_Type, &batch.loaders, &LayoutType,
                          &batch.layout, &batch.otherwise, &batch.max_bytes))
        return NULL;
    PyObject *values = PyList_GetSlice(given, 0, PyList_GET_SIZE(given)); /* nobody else can change it meanwhile */
    Columns *columns = values ? columns_new(batch.layout) : NULL;
    if (columns && fill_columns(&batch, values, columns) < 0)
        Py_CLEAR(columns);
    Py_XDECREF((PyObject *)batch.loader);
    Py_XDECREF(values);
    return (PyObject *)columns;
}

PyMethodDef columns_methods[] = {
    {"decode_columns", decode_columns, METH_VARARGS,
     "decode_columns(values, loaders, layout, otherwise, max_bytes, /): the framed values as columns, by the loaders "
     "of their schemas' ids. otherwise(value) gives another value's loader, or what stands for it among the refused."},
    {"encode_columns", encode_columns, METH_VARARGS,
     "encode_columns(array, loader, frame, /): the rows of an Arrow array as bytes behind the frame, by the layout's "
     "own loader; None for a null, and the AvroError of a row that does not fit."},
    {NULL, NULL, 0, NULL}};
