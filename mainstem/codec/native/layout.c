/* The columns that a schema's values come to, from the flat list that columns.py makes. */
#include "columns.h"

#define MAX_DIGITS 76

static const char *const SHAPES[SHAPE_COUNT] = {"null", "bit", "fixed", "sized", "list", "map", "struct"};

static int
wrong(const char *what)
{
    PyErr_Format(PyExc_ValueError, "a layout with a bad %s", what);
    return -1;
}

static int
take_children(Layout *layout, int number, PyObject *numbers, uint8_t *taken)
{
    Column *column = &layout->columns[number];
    Py_ssize_t count = PyTuple_GET_SIZE(numbers);
    if (!(column->children = PyMem_Calloc(count + 1, sizeof *column->children)))
        return PyErr_NoMemory(), -1;
    column->count = count;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t child = PyLong_AsSsize_t(PyTuple_GET_ITEM(numbers, i));
        if (child == -1 && PyErr_Occurred())
            return -1;
        if (child <= number || child >= layout->count || taken[child])
            return wrong("child");
        taken[child] = 1;
        column->children[i] = (int)child;
    }
    if (column->shape == SHAPE_LIST || column->shape == SHAPE_MAP)
        return count == 1 ? 0 : wrong("number of children");
    return count && column->shape != SHAPE_STRUCT ? wrong("shape") : 0;
}

static int
take_symbols(Column *column)
{
    int64_t bytes = ((int64_t)PyTuple_GET_SIZE(column->symbols) + 1) * (int64_t)sizeof(int32_t);
    if (PyTuple_GET_SIZE(column->symbols) && (column->shape != SHAPE_FIXED || column->width != 4))
        return wrong("shape");
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(column->symbols); i++) {
        PyObject *symbol = PyTuple_GET_ITEM(column->symbols, i);
        Py_ssize_t size;
        if (!PyUnicode_CheckExact(symbol) || !PyUnicode_AsUTF8AndSize(symbol, &size))
            return PyErr_Occurred() ? -1 : wrong("symbol");
        if ((bytes += size) > INT32_MAX)
            return wrong("symbol");
    }
    column->symbols_bytes = (size_t)bytes;
    return 0;
}

static int
take_column(Layout *layout, int number, PyObject *parts, uint8_t *taken)
{
    Column *column = &layout->columns[number];
    const char *shape;
    PyObject *format, *name, *children, *symbols, *extension;
    int precision, at = 0;
    if (!PyTuple_Check(parts))
        return wrong("column");
    if (!PyArg_ParseTuple(parts, "sUUpiiO!O!U", &shape, &format, &name, &column->nullable, &column->width, &precision,
                          &PyTuple_Type, &children, &PyTuple_Type, &symbols, &extension))
        return -1;
    while (at < SHAPE_COUNT && strcmp(SHAPES[at], shape) != 0)
        at++;
    if (at == SHAPE_COUNT)
        return wrong("shape");
    column->shape = (Shape)at;
    column->format = Py_NewRef(format);
    column->name = Py_NewRef(name);
    column->symbols = Py_NewRef(symbols);
    column->extension = Py_NewRef(extension);
    if (column->width < 0 || precision < 0 || precision > MAX_DIGITS)
        return wrong("size");
    if (precision && column->width != 16 && column->width != 32)
        return wrong("size");
    if (!PyUnicode_AsUTF8(format) || !PyUnicode_AsUTF8(name) || !PyUnicode_AsUTF8(extension))
        return -1;
    wide_bound(column->bound, precision);
    return take_symbols(column) < 0 ? -1 : take_children(layout, number, children, taken);
}

/* A map's only child are its entries: a key that is text, and a value. */
static int
is_whole(const Layout *layout, const Column *column)
{
    if (column->shape != SHAPE_MAP)
        return 1;
    const Column *entries = &layout->columns[column->children[0]];
    return entries->shape == SHAPE_STRUCT && entries->count == 2 && !entries->nullable &&
           layout->columns[entries->children[0]].shape == SHAPE_SIZED;
}

static int64_t
slot_of(const Layout *layout, const Column *column)
{
    int64_t slot = 1 + column->width + (column->shape == SHAPE_STRUCT ? 0 : 4);
    for (Py_ssize_t i = 0; column->shape == SHAPE_STRUCT && i < column->count; i++)
        slot += layout->columns[column->children[i]].slot;
    return slot;
}

static int
fill_layout(Layout *layout, PyObject *columns)
{
    uint8_t *taken = PyMem_Calloc(layout->count, 1);
    int failed = taken ? 0 : (PyErr_NoMemory(), -1);
    for (int i = 0; !failed && i < layout->count; i++)
        failed = take_column(layout, i, PyList_GET_ITEM(columns, i), taken);
    for (int i = (int)layout->count - 1; !failed && i >= 0; i--) {
        Column *column = &layout->columns[i];
        if ((i > 0 && !taken[i]) || !is_whole(layout, column))
            failed = wrong("child");
        column->slot = slot_of(layout, column);
    }
    PyMem_Free(taken);
    return failed;
}

static PyObject *
layout_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    static char *words[] = {"columns", "max_bytes", NULL};
    PyObject *columns;
    long long max_bytes;
    if (!PyArg_ParseTupleAndKeywords(args, named, "O!L", words, &PyList_Type, &columns, &max_bytes))
        return NULL;
    Py_ssize_t count = PyList_GET_SIZE(columns);
    if (count == 0 || count > INT32_MAX || max_bytes < 0 || max_bytes > INT32_MAX)
        return wrong("size"), NULL;
    Layout *layout = (Layout *)type->tp_alloc(type, 0);
    if (!layout)
        return NULL;
    layout->max_bytes = max_bytes;
    if ((layout->columns = PyMem_Calloc(count, sizeof *layout->columns)))
        layout->count = count;
    else
        PyErr_NoMemory();
    if (!layout->columns || fill_layout(layout, columns) < 0)
        Py_CLEAR(layout);
    return (PyObject *)layout;
}

static void
layout_dealloc(PyObject *self)
{
    Layout *layout = (Layout *)self;
    for (Py_ssize_t i = 0; i < layout->count; i++) {
        Column *column = &layout->columns[i];
        PyMem_Free(column->children);
        Py_XDECREF(column->format);
        Py_XDECREF(column->name);
        Py_XDECREF(column->symbols);
        Py_XDECREF(column->extension);
    }
    PyMem_Free(layout->columns);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *
layout_export(PyObject *self, PyObject *ignored)
{
    return layout_schema((Layout *)self);
}

static PyMethodDef methods[] = {
    {"__arrow_c_schema__", layout_export, METH_NOARGS, "The Arrow type of the columns, for `pyarrow.schema`."},
    {NULL, NULL, 0, NULL}};

PyTypeObject LayoutType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mainstem.codec.native._avro.Layout",
    .tp_doc = "The columns of a schema. columns.Table makes it.",
    .tp_basicsize = sizeof(Layout),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = layout_new,
    .tp_dealloc = layout_dealloc,
    .tp_methods = methods,
};
