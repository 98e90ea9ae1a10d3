/* How a writer's bytes fill the columns of a layout: steps, from the flat list that loading.py makes. */
#include "columns.h"

static int
wrong(const char *what)
{
    PyErr_Format(PyExc_ValueError, "a loader with a bad %s", what);
    return -1;
}

static int
take_children(Loader *loader, Py_ssize_t number, PyObject *numbers)
{
    Step *step = &loader->steps[number];
    Py_ssize_t count = PyTuple_GET_SIZE(numbers);
    if (!(step->children = PyMem_Calloc(count + 1, sizeof *step->children)))
        return PyErr_NoMemory(), -1;
    step->count = count;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t child = PyLong_AsSsize_t(PyTuple_GET_ITEM(numbers, i));
        if (child == -1 && PyErr_Occurred())
            return -1;
        if (child == -1 && step->op == OP_RECORD)
            continue;
        if (child <= number || child >= loader->count)
            return wrong("child");
        step->children[i] = &loader->steps[child];
    }
    return 0;
}

static int
take_symbols(Step *step, PyObject *numbers, Py_ssize_t known_symbols)
{
    Py_ssize_t count = PyTuple_GET_SIZE(numbers);
    if (step->op != OP_ENUM)
        return count ? wrong("symbol") : 0;
    if (!(step->symbols = PyMem_Calloc(count + 1, sizeof *step->symbols)))
        return PyErr_NoMemory(), -1;
    step->count = count;
    for (Py_ssize_t i = 0; i < count; i++) {
        long symbol = PyLong_AsLong(PyTuple_GET_ITEM(numbers, i));
        if (symbol == -1 && PyErr_Occurred())
            return -1;
        if (symbol < -1 || symbol >= known_symbols)
            return wrong("symbol");
        step->symbols[i] = (int32_t)symbol;
    }
    return 0;
}

static int
take_fills(Loader *loader, Py_ssize_t number, PyObject *fills)
{
    Step *step = &loader->steps[number];
    Py_ssize_t count = PyTuple_GET_SIZE(fills);
    if (!(step->fills = PyMem_Calloc(count + 1, sizeof *step->fills)))
        return PyErr_NoMemory(), -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t child;
        PyObject *bytes;
        if (!PyTuple_Check(PyTuple_GET_ITEM(fills, i)))
            return wrong("fill");
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(fills, i), "nS", &child, &bytes))
            return -1;
        if (step->op != OP_RECORD || child <= number || child >= loader->count)
            return wrong("fill");
        step->fills[i] = (Fill){&loader->steps[child], Py_NewRef(bytes)};
        step->fill_count = i + 1;
    }
    return 0;
}

static int
take_step(Loader *loader, Py_ssize_t number, PyObject *parts)
{
    Step *step = &loader->steps[number];
    const char *kind;
    Py_ssize_t node, column;
    PyObject *children, *symbols, *fills;
    if (!PyTuple_Check(parts))
        return wrong("step");
    if (!PyArg_ParseTuple(parts, "snnO!O!O!", &kind, &node, &column, &PyTuple_Type, &children, &PyTuple_Type, &symbols,
                          &PyTuple_Type, &fills))
        return -1;
    step->op = strcmp(kind, "member") == 0 ? OP_MEMBER : op_of(kind);
    if (step->op == OP_COUNT && strcmp(kind, "member") != 0)
        return wrong("kind");
    if (node < 0 || node >= loader->plan->count || column < 0 || column >= loader->layout->count)
        return wrong("place");
    const Column *target = &loader->layout->columns[column];
    step->node = &loader->plan->nodes[node];
    step->column = (int)column;
    step->width = target->width;
    if (take_children(loader, number, children) < 0 || take_fills(loader, number, fills) < 0)
        return -1;
    return take_symbols(step, symbols, PyTuple_GET_SIZE(target->symbols));
}

static PyObject *
loader_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    static char *words[] = {"plan", "layout", "steps", NULL};
    PyObject *plan, *layout, *steps;
    if (!PyArg_ParseTupleAndKeywords(args, named, "O!O!O!", words, &PlanType, &plan, &LayoutType, &layout, &PyList_Type,
                                     &steps))
        return NULL;
    Py_ssize_t count = PyList_GET_SIZE(steps);
    if (count == 0)
        return wrong("number of steps"), NULL;
    Loader *loader = (Loader *)type->tp_alloc(type, 0);
    if (!loader)
        return NULL;
    loader->plan = (Plan *)Py_NewRef(plan);
    loader->layout = (Layout *)Py_NewRef(layout);
    int failed = (loader->steps = PyMem_Calloc(count, sizeof *loader->steps)) ? 0 : (PyErr_NoMemory(), -1);
    loader->count = failed ? 0 : count;
    for (Py_ssize_t i = 0; !failed && i < count; i++)
        failed = take_step(loader, i, PyList_GET_ITEM(steps, i));
    for (Py_ssize_t i = 0; !failed && i < count; i++)
        failed = step_fits(loader->layout, &loader->steps[i]) ? 0 : wrong("step");
    if (!failed && loader->steps[0].column != 0)
        failed = wrong("first step");
    if (failed)
        Py_CLEAR(loader);
    return (PyObject *)loader;
}

static void
loader_dealloc(PyObject *self)
{
    Loader *loader = (Loader *)self;
    for (Py_ssize_t i = 0; i < loader->count; i++) {
        Step *step = &loader->steps[i];
        for (Py_ssize_t fill = 0; fill < step->fill_count; fill++)
            Py_XDECREF(step->fills[fill].bytes);
        PyMem_Free(step->fills);
        PyMem_Free(step->children);
        PyMem_Free(step->symbols);
    }
    PyMem_Free(loader->steps);
    Py_XDECREF((PyObject *)loader->plan);
    Py_XDECREF((PyObject *)loader->layout);
    Py_TYPE(self)->tp_free(self);
}

PyTypeObject LoaderType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mainstem.codec.native._avro.Loader",
    .tp_doc = "How bytes of one schema fill the columns of a layout. columns.Table makes it.",
    .tp_basicsize = sizeof(Loader),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = loader_new,
    .tp_dealloc = loader_dealloc,
};
