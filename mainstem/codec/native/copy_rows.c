/* Framed values to what COPY (FORMAT BINARY) reads, in one call and without the interpreter's lock. All of them or none:
 * a value that is not taken is somebody else's to look at. */
#include "copy.h"
#include "varint.h"

#define HEADER "PGCOPY\n\377\r\n\0" "\0\0\0\0" "\0\0\0\0" /* the signature, no flags, no extension */
#define HEADER_BYTES 19
#define PLACE_BYTES 8

typedef struct {
    PyObject *value; /* bytes; they belong to the list that is held meanwhile */
    CopyPlan *plan;
} Job;

/* Where a column of a row is among the lines. */
typedef struct {
    size_t start, end;
} Span;

typedef struct {
    Lines lines;
    Span *spans;        /* by column */
    int columns;
    int numbered;       /* each row begins with its number */
    const int *key;     /* columns that identify a row */
    Py_ssize_t key_count;
    Keys keys;
    uint8_t *swap;
    size_t swap_room;
} Copy;

/* Brings the columns of the last row into their order. */
static int
arrange(Copy *copy, size_t start)
{
    Lines *lines = &copy->lines;
    size_t size = lines->used - start;
    if (size > copy->swap_room) {
        uint8_t *swap = PyMem_RawRealloc(copy->swap, size * 2);
        if (!swap)
            return -1;
        copy->swap = swap;
        copy->swap_room = size * 2;
    }
    memcpy(copy->swap, lines->data + start, size);
    size_t at = start;
    for (int column = 0; column < copy->columns; column++) {
        Span *span = &copy->spans[column];
        size_t length = span->end - span->start;
        memcpy(lines->data + at, copy->swap + (span->start - start), length);
        *span = (Span){at, at + length};
        at += length;
    }
    return 0;
}

static int
copy_fields(Copy *copy, Reader *in, const CopyPlan *plan)
{
    const Node *root = plan->plan->root;
    Lines *lines = &copy->lines;
    Frame frame = {in->top, NULL, -1};
    if (enter(in) < 0 || charge(in, root->cost) < 0)
        return -1;
    in->top = &frame;
    for (Py_ssize_t i = 0; i < root->count; i++) {
        const Target *target = &plan->targets[i];
        size_t start = lines->used;
        if (target->column < 0) {
            if (skip_value(in, root->children[i]) < 0)
                return -1;
            continue;
        }
        if (copy_cell(lines, in, root->children[i], target->cell) < 0)
            return -1;
        copy->spans[target->column] = (Span){start, lines->used};
    }
    in->top = frame.up;
    return left_over(in);
}

static int
copy_constants(Copy *copy, const CopyPlan *plan)
{
    Lines *lines = &copy->lines;
    for (Py_ssize_t i = 0; i < plan->constant_count; i++) {
        const Constant *constant = &plan->constants[i];
        size_t size = (size_t)PyBytes_GET_SIZE(constant->bytes);
        if (lines_room(lines, size) < 0)
            return -1;
        memcpy(lines->data + lines->used, PyBytes_AS_STRING(constant->bytes), size);
        copy->spans[constant->column] = (Span){lines->used, lines->used + size};
        lines->used += size;
    }
    return 0;
}

static void
note_key(Copy *copy)
{
    uint64_t hash = HASH_START;
    for (Py_ssize_t i = 0; i < copy->key_count; i++) {
        const Span *span = &copy->spans[copy->key[i]];
        hash = hash_more(hash, copy->lines.data + span->start, span->end - span->start);
    }
    if (copy->key_count)
        keys_add(&copy->keys, hash);
}

static int
copy_row(Copy *copy, const Job *job, Py_ssize_t number)
{
    Reader in;
    Lines *lines = &copy->lines;
    if (lines_room(lines, 2 + PLACE_BYTES) < 0)
        return -1;
    put_u16(lines->data + lines->used, (uint16_t)(copy->columns + copy->numbered));
    lines->used += 2;
    if (copy->numbered) {
        put_u32(lines->data + lines->used, 4);
        put_u32(lines->data + lines->used + 4, (uint32_t)number);
        lines->used += PLACE_BYTES;
    }
    size_t start = lines->used;
    start_reader(&in, job->plan->plan, job->value, FRAME_BYTES);
    in.unlocked = 1;
    if (copy_fields(copy, &in, job->plan) < 0 || copy_constants(copy, job->plan) < 0)
        return -1;
    if (!job->plan->in_order && arrange(copy, start) < 0)
        return -1;
    note_key(copy);
    return 0;
}

/* Where it fails AvroError is set, or nothing for want of memory. */
static int
copy_all(Copy *copy, const Job *jobs, Py_ssize_t count)
{
    if (lines_room(&copy->lines, HEADER_BYTES) < 0)
        return -1;
    memcpy(copy->lines.data, HEADER, HEADER_BYTES);
    copy->lines.used = HEADER_BYTES;
    for (Py_ssize_t i = 0; i < count; i++)
        if (copy_row(copy, &jobs[i], i) < 0)
            return -1;
    if (lines_room(&copy->lines, 2) < 0)
        return -1;
    put_u16(copy->lines.data + copy->lines.used, UINT16_MAX);
    copy->lines.used += 2;
    return 0;
}

/* Finds each value's plan; 0 where one has none, -1 on an error. */
static int
plan_jobs(PyObject *values, PyObject *plans, Py_ssize_t max_bytes, Copy *copy, Job *jobs)
{
    int64_t last = -1;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(values); i++) {
        PyObject *value = PyList_GET_ITEM(values, i);
        int64_t id = PyBytes_CheckExact(value) ? framed_id(value, max_bytes) : -1;
        if (id < 0)
            return 0;
        if (id != last) {
            PyObject *key = PyLong_FromLongLong(id);
            PyObject *found = key ? PyDict_GetItemWithError(plans, key) : NULL;
            Py_XDECREF(key);
            if (!found)
                return PyErr_Occurred() ? -1 : 0;
            if (!Py_IS_TYPE(found, &CopyPlanType))
                return PyErr_Format(PyExc_TypeError, "expected a copy plan"), -1;
            jobs[i].plan = (CopyPlan *)found; /* the dict is the caller's, who waits for us with it */
            last = id;
            if (copy->columns && copy->columns != jobs[i].plan->columns)
                return PyErr_Format(PyExc_ValueError, "copy plans of different columns"), -1;
            copy->columns = jobs[i].plan->columns;
        }
        else
            jobs[i].plan = jobs[i - 1].plan;
        jobs[i].value = value;
    }
    return 1;
}

static int
take_key(Copy *copy, PyObject *numbers, int *key, Py_ssize_t rows)
{
    copy->key = key;
    copy->key_count = PyTuple_GET_SIZE(numbers);
    for (Py_ssize_t i = 0; i < copy->key_count; i++) {
        long number = PyLong_AsLong(PyTuple_GET_ITEM(numbers, i));
        if (number < 0 || number >= copy->columns)
            return PyErr_Occurred() ? -1 : (PyErr_Format(PyExc_ValueError, "a key that is no column"), -1);
        key[i] = (int)number;
    }
    copy->spans = PyMem_RawCalloc((size_t)copy->columns + 1, sizeof *copy->spans);
    return copy->spans && keys_start(&copy->keys, (size_t)rows) == 0 ? 0 : (PyErr_NoMemory(), -1);
}

static PyObject *
run(Copy *copy, const Job *jobs, Py_ssize_t count)
{
    PyThreadState *thread = PyEval_SaveThread();
    int failed = copy_all(copy, jobs, count);
    PyEval_RestoreThread(thread);
    if (!failed)
        return Py_BuildValue("(y#O)", (const char *)copy->lines.data, (Py_ssize_t)copy->lines.used,
                             copy->keys.differ ? Py_True : Py_False);
    if (!PyErr_Occurred())
        return PyErr_NoMemory();
    if (!PyErr_ExceptionMatches(known.AvroError))
        return NULL;
    PyErr_Clear();
    Py_RETURN_NONE;
}

static PyObject *
copy_rows(PyObject *module, PyObject *args)
{
    PyObject *given, *plans, *numbers, *made = NULL;
    Py_ssize_t max_bytes;
    Copy copy = {.columns = 0};
    if (!PyArg_ParseTuple(args, "O!O!npO!", &PyList_Type, &given, &PyDict_Type, &plans, &max_bytes, &copy.numbered,
                          &PyTuple_Type, &numbers))
        return NULL;
    PyObject *values = PyList_GetSlice(given, 0, PyList_GET_SIZE(given)); /* nobody else can change it meanwhile */
    PyObject *held = values ? PyDict_Copy(plans) : NULL;
    Py_ssize_t count = values ? PyList_GET_SIZE(values) : 0;
    Job *jobs = PyMem_Calloc(count + 1, sizeof *jobs);
    int *key = PyMem_Calloc(PyTuple_GET_SIZE(numbers) + 1, sizeof *key);
    if (held && (!jobs || !key))
        PyErr_NoMemory();
    else if (held) {
        int found = plan_jobs(values, held, max_bytes, &copy, jobs);
        if (found == 0)
            made = Py_NewRef(Py_None);
        else if (found > 0 && take_key(&copy, numbers, key, count) == 0)
            made = run(&copy, jobs, count);
    }
    PyMem_RawFree(copy.lines.data);
    PyMem_RawFree(copy.spans);
    PyMem_RawFree(copy.keys.hashes);
    PyMem_RawFree(copy.swap);
    PyMem_Free(key);
    PyMem_Free(jobs);
    Py_XDECREF(held);
    Py_XDECREF(values);
    return made;
}

PyMethodDef copy_methods[] = {
    {"copy_rows", copy_rows, METH_VARARGS,
     "copy_rows(values, plans, max_bytes, numbered, key, /): the framed values as what binary COPY reads, by the plans "
     "of their schemas' ids, and whether no two rows have the same key columns; None where a value is not taken."},
    {NULL, NULL, 0, NULL}};
