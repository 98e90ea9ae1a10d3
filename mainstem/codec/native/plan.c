/* The plan of a (writer, reader) pair, made from the flat list of nodes that plan.py has resolved. */
#include "avro.h"

static const char *const NAMES[OP_COUNT] = {
    "null", "boolean", "int", "long", "float", "double", "bytes", "string", "fixed", "enum",
    "array", "map", "union", "record",
    "bytes-decimal", "fixed-decimal", "int-date", "int-time-millis", "long-time-micros",
    "long-timestamp-millis", "long-timestamp-micros", "long-local-timestamp-millis", "long-local-timestamp-micros",
    "string-uuid",
    "int-to-double", "long-to-double", "string-to-bytes", "bytes-to-string", "mismatch"};

Op
op_of(const char *name)
{
    int op = 0;
    while (op < OP_COUNT && strcmp(NAMES[op], name) != 0)
        op++;
    return (Op)op;
}

static int
wrong(const char *what)
{
    PyErr_Format(PyExc_ValueError, "a plan with a bad %s", what);
    return -1;
}

static int
take_children(Plan *plan, Node *node, PyObject *numbers)
{
    Py_ssize_t count = PyTuple_GET_SIZE(numbers);
    if (!(node->children = PyMem_Calloc(count + 1, sizeof *node->children)))
        return PyErr_NoMemory(), -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t number = PyLong_AsSsize_t(PyTuple_GET_ITEM(numbers, i));
        if (number < 0 || number >= plan->count)
            return PyErr_Occurred() ? -1 : wrong("child");
        node->children[i] = &plan->nodes[number];
    }
    node->count = count;
    return 0;
}

static int
take_names(Node *node, PyObject *names, PyObject *skipped)
{
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    if ((node->op == OP_RECORD && count != node->count) || PyBytes_GET_SIZE(skipped) != count)
        return wrong("number of names");
    node->names = PyMem_Calloc(count + 1, sizeof *node->names);
    node->skipped = PyMem_Calloc(count + 1, 1);
    node->table = PyDict_New();
    node->blank = PyDict_New();
    if (!node->names || !node->skipped || !node->table || !node->blank)
        return PyErr_NoMemory(), -1;
    memcpy(node->skipped, PyBytes_AS_STRING(skipped), count);
    if (node->op == OP_ENUM)
        node->count = count;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (!PyUnicode_CheckExact(name))
            return wrong("name");
        node->names[i] = Py_NewRef(name);
        PyUnicode_InternInPlace(&node->names[i]);
        if (node->skipped[i])
            continue;
        PyObject *number = PyLong_FromSsize_t(i);
        int failed = !number || PyDict_SetItem(node->table, node->names[i], number) < 0 ||
                     PyDict_SetItem(node->blank, node->names[i], Py_None) < 0;
        Py_XDECREF(number);
        if (failed)
            return -1;
    }
    return 0;
}

static int
take_defaults(Node *node, PyObject *defaults)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(defaults); i++) {
        PyObject *pair = PyTuple_GET_ITEM(defaults, i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2)
            return wrong("default");
        PyObject *name = PyTuple_GET_ITEM(pair, 0), *number = PyLong_FromSsize_t(node->count + i);
        int failed = !number || PyDict_SetItem(node->table, name, number) < 0 ||
                     PyDict_SetItem(node->blank, name, Py_None) < 0;
        Py_XDECREF(number);
        if (failed)
            return -1;
    }
    node->defaults = Py_NewRef(defaults);
    return 0;
}

static int
take_fills(Node *node, PyObject *fills)
{
    if (PyTuple_GET_SIZE(fills) != node->count)
        return wrong("number of fills");
    if (!(node->fills = PyMem_Calloc(node->count + 1, sizeof *node->fills)))
        return PyErr_NoMemory(), -1;
    for (Py_ssize_t i = 0; i < node->count; i++) {
        PyObject *fill = PyTuple_GET_ITEM(fills, i);
        if (fill != Py_None && !PyBytes_CheckExact(fill))
            return wrong("fill");
        node->fills[i] = fill == Py_None ? NULL : Py_NewRef(fill);
    }
    return 0;
}

static int
take_node(Plan *plan, Node *node, PyObject *parts)
{
    const char *kind;
    PyObject *children, *names, *skipped, *fills, *defaults, *wire, *make;
    long long smallest, cost;
    if (!PyTuple_Check(parts))
        return wrong("node");
    if (!PyArg_ParseTuple(parts, "siiiO!O!O!O!O!O!LLO", &kind, &node->size, &node->scale, &node->precision,
                          &PyTuple_Type, &children, &PyTuple_Type, &names, &PyBytes_Type, &skipped, &PyTuple_Type,
                          &fills, &PyTuple_Type, &defaults, &PyUnicode_Type, &wire, &smallest, &cost, &make))
        return -1;
    node->op = op_of(kind);
    if (node->op == OP_COUNT)
        return wrong("kind");
    if (node->size < 0 || node->scale < 0 || node->precision < 0 || smallest < 0 || cost < 1)
        return wrong("size");
    node->smallest = smallest;
    node->cost = cost;
    node->wire = Py_NewRef(wire);
    PyUnicode_InternInPlace(&node->wire);
    if (take_children(plan, node, children) < 0)
        return -1;
    if ((node->op == OP_ARRAY || node->op == OP_MAP) && node->count != 1)
        return wrong("number of children");
    if (node->op != OP_RECORD && node->op != OP_ENUM)
        return 0;
    if (make != Py_None && (node->op != OP_RECORD || !PyType_Check(make)))
        return wrong("class");
    node->make = make == Py_None ? NULL : Py_NewRef(make);
    if (take_names(node, names, skipped) < 0)
        return -1;
    return node->op == OP_ENUM ? 0 : take_defaults(node, defaults) < 0 ? -1 : take_fills(node, fills);
}

static PyObject *
plan_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    static char *words[] = {"nodes", "max_depth", "max_memory", NULL};
    PyObject *nodes;
    int max_depth;
    long long max_memory;
    if (!PyArg_ParseTupleAndKeywords(args, named, "O!iL", words, &PyList_Type, &nodes, &max_depth, &max_memory))
        return NULL;
    Plan *plan = (Plan *)type->tp_alloc(type, 0);
    if (!plan)
        return NULL;
    Py_ssize_t count = PyList_GET_SIZE(nodes);
    plan->nodes = PyMem_Calloc(count + 1, sizeof *plan->nodes);
    if (!plan->nodes || count == 0) {
        int is_empty = plan->nodes != NULL;
        Py_DECREF(plan);
        return is_empty ? (wrong("number of nodes"), NULL) : PyErr_NoMemory();
    }
    plan->count = count;
    plan->root = plan->nodes;
    plan->max_depth = max_depth;
    plan->max_memory = max_memory;
    for (Py_ssize_t i = 0; i < count; i++)
        if (take_node(plan, &plan->nodes[i], PyList_GET_ITEM(nodes, i)) < 0) {
            Py_DECREF(plan);
            return NULL;
        }
    return (PyObject *)plan;
}

static void
plan_dealloc(PyObject *self)
{
    Plan *plan = (Plan *)self;
    for (Py_ssize_t i = 0; i < plan->count; i++) {
        Node *node = &plan->nodes[i];
        for (Py_ssize_t at = 0; at < node->count; at++) {
            if (node->names)
                Py_XDECREF(node->names[at]);
            if (node->fills)
                Py_XDECREF(node->fills[at]);
        }
        PyMem_Free(node->children);
        PyMem_Free(node->names);
        PyMem_Free(node->skipped);
        PyMem_Free(node->fills);
        Py_XDECREF(node->table);
        Py_XDECREF(node->blank);
        Py_XDECREF(node->defaults);
        Py_XDECREF(node->wire);
        Py_XDECREF(node->make);
    }
    PyMem_Free(plan->nodes);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *
plan_read(PyObject *self, PyObject *const *args, Py_ssize_t count, int views)
{
    Reader in;
    Py_ssize_t start = count == 2 ? PyLong_AsSsize_t(args[1]) : 0;
    if (count < 1 || count > 2)
        return PyErr_Format(PyExc_TypeError, "reading takes the bytes and where they start");
    if ((start == -1 && PyErr_Occurred()) || start_reader(&in, (Plan *)self, args[0], start) < 0)
        return NULL;
    in.views = views;
    PyObject *value = read_value(&in, in.plan->root);
    if (value && left_over(&in) < 0)
        Py_CLEAR(value);
    return value;
}

static PyObject *
plan_decode(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    return plan_read(self, args, count, 0);
}

static PyObject *
plan_view(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    return plan_read(self, args, count, 1);
}

PyObject *
plan_write(Out *out, Plan *plan, PyObject *value, PyObject *before)
{
    size_t size = before ? (size_t)PyBytes_GET_SIZE(before) : 0;
    if (size > out->room && out_room(out, size) < 0)
        return NULL;
    if (size)
        memcpy(out->data, PyBytes_AS_STRING(before), size);
    out->used = size;
    if (write_value(out, plan->root, value) < 0)
        return NULL;
    return PyBytes_FromStringAndSize((const char *)out->data, (Py_ssize_t)out->used);
}

static PyObject *
plan_encode(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Out out;
    if (count < 1 || count > 2 || (count == 2 && !PyBytes_Check(args[1])))
        return PyErr_Format(PyExc_TypeError, "encode takes the value and the bytes to stand before it");
    out_start(&out, (Plan *)self);
    PyObject *bytes = plan_write(&out, (Plan *)self, args[0], count == 2 ? args[1] : NULL);
    out_free(&out);
    return bytes;
}

static PyMethodDef methods[] = {
    {"decode", (PyCFunction)(void (*)(void))plan_decode, METH_FASTCALL,
     "decode(value, start=0, /): the whole of the bytes from start, as Python values."},
    {"view", (PyCFunction)(void (*)(void))plan_view, METH_FASTCALL,
     "view(value, start=0, /): as decode; but records are checked whole, and made values when they are looked at."},
    {"encode", (PyCFunction)(void (*)(void))plan_encode, METH_FASTCALL,
     "encode(value, before=b'', /): the value's bytes, behind those before."},
    {NULL, NULL, 0, NULL}};

PyTypeObject PlanType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mainstem.codec.native._avro.Plan",
    .tp_doc = "How bytes of one schema become values of another. plan.compile_plan makes it.",
    .tp_basicsize = sizeof(Plan),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = plan_new,
    .tp_dealloc = plan_dealloc,
    .tp_methods = methods,
};
