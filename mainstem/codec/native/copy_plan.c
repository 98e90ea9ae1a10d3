/* How a writer's record becomes a row of a table, from what copying.py has made out. */
#include "copy.h"

#define MOST_COLUMNS 1600 /* of a table of PostgreSQL */

static const char *const NAMES[CELL_COUNT] = {"text", "int8", "float8", "bool", "bytea", "numeric", "date", "time",
                                              "timestamp", "timestamptz", "uuid"};

static int
wrong(const char *what)
{
    PyErr_Format(PyExc_ValueError, "a copy plan with a bad %s", what);
    return -1;
}

static int
take_column(CopyPlan *plan, long number, uint8_t *taken, int *last)
{
    if (number < 0 || number >= plan->columns || taken[number])
        return wrong("column");
    taken[number] = 1;
    plan->in_order = plan->in_order && number > *last;
    *last = (int)number;
    return 0;
}

/* A symbol's bytes are looked at later without the interpreter's lock: now they are made, and kept. */
static int
make_symbols(const Plan *plan)
{
    Py_ssize_t size;
    for (Py_ssize_t i = 0; i < plan->count; i++)
        for (Py_ssize_t n = 0; plan->nodes[i].op == OP_ENUM && n < plan->nodes[i].count; n++)
            if (!PyUnicode_AsUTF8AndSize(plan->nodes[i].names[n], &size))
                return -1;
    return 0;
}

static int
take_target(CopyPlan *plan, Py_ssize_t i, PyObject *parts, uint8_t *taken, int *last)
{
    int column, cell = 0;
    const char *name;
    if (!PyTuple_Check(parts))
        return wrong("target");
    if (!PyArg_ParseTuple(parts, "is", &column, &name))
        return -1;
    plan->targets[i].column = column;
    if (column == -1)
        return 0;
    while (cell < CELL_COUNT && strcmp(NAMES[cell], name) != 0)
        cell++;
    if (cell == CELL_COUNT)
        return wrong("cell");
    plan->targets[i].cell = (Cell)cell;
    return take_column(plan, column, taken, last);
}

static int
take_constant(CopyPlan *plan, PyObject *parts, uint8_t *taken, int *last)
{
    int column;
    PyObject *bytes;
    if (!PyTuple_Check(parts))
        return wrong("constant");
    if (!PyArg_ParseTuple(parts, "iS", &column, &bytes))
        return -1;
    if (PyBytes_GET_SIZE(bytes) < 4)
        return wrong("constant");
    plan->constants[plan->constant_count++] = (Constant){column, Py_NewRef(bytes)};
    return take_column(plan, column, taken, last);
}

static int
fill_plan(CopyPlan *plan, PyObject *targets, PyObject *constants)
{
    uint8_t taken[MOST_COLUMNS] = {0};
    Py_ssize_t fields = PyTuple_GET_SIZE(targets), others = PyTuple_GET_SIZE(constants);
    int last = -1;
    if (plan->columns < 1 || plan->columns > MOST_COLUMNS || plan->plan->root->op != OP_RECORD ||
        fields != plan->plan->root->count || others > MOST_COLUMNS)
        return wrong("size");
    plan->in_order = 1;
    plan->targets = PyMem_Calloc(fields + 1, sizeof *plan->targets);
    plan->constants = PyMem_Calloc(others + 1, sizeof *plan->constants);
    if (!plan->targets || !plan->constants)
        return PyErr_NoMemory(), -1;
    for (Py_ssize_t i = 0; i < fields; i++)
        if (take_target(plan, i, PyTuple_GET_ITEM(targets, i), taken, &last) < 0)
            return -1;
    for (Py_ssize_t i = 0; i < others; i++)
        if (take_constant(plan, PyTuple_GET_ITEM(constants, i), taken, &last) < 0)
            return -1;
    return memchr(taken, 0, plan->columns) ? wrong("number of columns") : make_symbols(plan->plan);
}

static PyObject *
copy_plan_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    static char *words[] = {"plan", "columns", "targets", "constants", NULL};
    PyObject *inner, *targets, *constants;
    int columns;
    if (!PyArg_ParseTupleAndKeywords(args, named, "O!iO!O!", words, &PlanType, &inner, &columns, &PyTuple_Type,
                                     &targets, &PyTuple_Type, &constants))
        return NULL;
    CopyPlan *plan = (CopyPlan *)type->tp_alloc(type, 0);
    if (!plan)
        return NULL;
    plan->plan = (Plan *)Py_NewRef(inner);
    plan->columns = columns;
    if (fill_plan(plan, targets, constants) < 0)
        Py_CLEAR(plan);
    return (PyObject *)plan;
}

static void
copy_plan_dealloc(PyObject *self)
{
    CopyPlan *plan = (CopyPlan *)self;
    for (Py_ssize_t i = 0; i < plan->constant_count; i++)
        Py_XDECREF(plan->constants[i].bytes);
    PyMem_Free(plan->constants);
    PyMem_Free(plan->targets);
    Py_XDECREF((PyObject *)plan->plan);
    Py_TYPE(self)->tp_free(self);
}

PyTypeObject CopyPlanType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mainstem.codec.native._avro.CopyPlan",
    .tp_doc = "How bytes of one schema become rows of binary COPY. copying.copy_plan makes it.",
    .tp_basicsize = sizeof(CopyPlan),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = copy_plan_new,
    .tp_dealloc = copy_plan_dealloc,
};
