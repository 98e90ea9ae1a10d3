/* A batch of columns as a Python object, which hands them out without a copy, as often as it is asked.
 * Source: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html */
#include "columns_array.h"

static PyObject *
columns_schema(PyObject *self, PyObject *ignored)
{
    return layout_schema(((Columns *)self)->layout);
}

static PyObject *
columns_export(PyObject *self, PyObject *args, PyObject *named)
{
    static char *words[] = {"requested_schema", NULL};
    PyObject *requested; /* a wish, which need not be granted */
    if (!PyArg_ParseTupleAndKeywords(args, named, "|O", words, &requested))
        return NULL;
    PyObject *schema = columns_schema(self, NULL);
    PyObject *array = schema ? columns_array((Columns *)self) : NULL;
    if (array)
        return Py_BuildValue("(NN)", schema, array);
    Py_XDECREF(schema);
    return NULL;
}

Columns *
columns_new(Layout *layout)
{
    Columns *columns = (Columns *)ColumnsType.tp_alloc(&ColumnsType, 0);
    if (!columns)
        return NULL;
    columns->layout = (Layout *)Py_NewRef((PyObject *)layout);
    columns->refused = PyList_New(0);
    columns->tombstones = PyList_New(0);
    if (!columns->refused || !columns->tombstones)
        Py_CLEAR(columns);
    return columns;
}

static int
columns_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Columns *)self)->refused);
    Py_VISIT(((Columns *)self)->tombstones);
    return 0;
}

static int
columns_clear(PyObject *self)
{
    Py_CLEAR(((Columns *)self)->refused);
    Py_CLEAR(((Columns *)self)->tombstones);
    return 0;
}

static void
columns_dealloc(PyObject *self)
{
    Columns *columns = (Columns *)self;
    PyObject_GC_UnTrack(self);
    columns_clear(self);
    if (columns->held)
        let_go(columns->held);
    PyMem_RawFree(columns->rows);
    Py_DECREF((PyObject *)columns->layout);
    Py_TYPE(self)->tp_free(self);
}

static Py_ssize_t
columns_length(PyObject *self)
{
    return ((Columns *)self)->count;
}

static PyObject *
columns_rows(PyObject *self, void *ignored)
{
    Columns *columns = (Columns *)self;
    PyObject *list = PyList_New(columns->count);
    for (Py_ssize_t i = 0; list && i < columns->count; i++) {
        PyObject *number = PyLong_FromLongLong(columns->rows[i]);
        if (number)
            PyList_SET_ITEM(list, i, number);
        else
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *
columns_refused(PyObject *self, void *ignored)
{
    return Py_NewRef(((Columns *)self)->refused);
}

static PyObject *
columns_tombstones(PyObject *self, void *ignored)
{
    return Py_NewRef(((Columns *)self)->tombstones);
}

static PyMethodDef methods[] = {
    {"__arrow_c_schema__", columns_schema, METH_NOARGS, "The Arrow type of the columns."},
    {"__arrow_c_array__", (PyCFunction)(void (*)(void))columns_export, METH_VARARGS | METH_KEYWORDS,
     "The columns as an Arrow array, which `pyarrow.record_batch` and its like take without a copy."},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef attributes[] = {
    {"rows", columns_rows, NULL, "For each row the number of its value.", NULL},
    {"refused", columns_refused, NULL, "The number of each value that is no row, and why, in order.", NULL},
    {"tombstones", columns_tombstones, NULL, "The numbers of the values that are None.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PySequenceMethods sequence = {.sq_length = columns_length};

PyTypeObject ColumnsType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mainstem.codec.native._avro.Columns",
    .tp_doc = "A batch of decoded values as Arrow columns.",
    .tp_basicsize = sizeof(Columns),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_dealloc = columns_dealloc,
    .tp_traverse = columns_traverse,
    .tp_clear = columns_clear,
    .tp_as_sequence = &sequence,
    .tp_methods = methods,
    .tp_getset = attributes,
};
