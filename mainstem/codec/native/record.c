/* A record that is read when it is looked at: one pass over its bytes finds and checks every field, a field becomes a
 * Python value when it is first asked for, and what nobody changed is written by copying its bytes. */
#include "varint.h"
#include "record.h"

#include <stddef.h>

static Record *
record_alloc(Plan *plan, const Node *node, PyObject *owner)
{
    Py_ssize_t fields = node->count + PyTuple_GET_SIZE(node->defaults);
    Record *self = PyObject_GC_NewVar(Record, &RecordType, fields);
    if (!self)
        return NULL;
    self->plan = (Plan *)Py_NewRef((PyObject *)plan);
    self->owner = Py_NewRef(owner);
    self->node = node;
    memset(self->slots, 0, fields * sizeof *self->slots);
    return self;
}

/* The view of the record at the reader's place; the reader then stands behind it. */
PyObject *
record_new(Reader *in, const Node *node)
{
    if (in->end - in->start > UINT32_MAX)
        return read_fail(in, "more than 4 GiB");
    Record *self = record_alloc(in->plan, node, in->owner);
    if (!self)
        return NULL;
    Frame frame = {in->top, NULL, -1};
    in->top = &frame;
    self->start = in->at - in->start;
    for (Py_ssize_t i = 0; i < node->count; i++) {
        frame.name = node->names[i];
        if (skip_value(in, node->children[i]) < 0) {
            Py_DECREF(self);
            return NULL;
        }
        self->slots[i].end = (uint32_t)(in->at - in->start - self->start);
    }
    in->top = frame.up;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* The value of a field, new if it is looked at for the first time. A borrowed reference. */
PyObject *
record_field(Record *self, Py_ssize_t i)
{
    Slot *slot = &self->slots[i];
    Reader in;
    if (slot->value)
        return slot->value;
    if (i >= self->node->count) {
        PyObject *pair = PyTuple_GET_ITEM(self->node->defaults, i - self->node->count);
        slot->value = default_copy(PyTuple_GET_ITEM(pair, 1));
        return slot->value;
    }
    if (start_reader(&in, self->plan, self->owner, field_start(self, i)) < 0)
        return NULL;
    in.views = 1;
    Frame frame = {NULL, self->node->names[i], -1};
    in.top = &frame;
    PyObject *value = read_value(&in, self->node->children[i]);
    Py_XSETREF(slot->value, value);
    return value;
}

/* The number of a field; -1 without an exception where there is none. */
Py_ssize_t
record_number(const Record *self, PyObject *name)
{
    if (!PyUnicode_Check(name))
        return -1;
    PyObject *number = PyDict_GetItemWithError(self->node->table, name);
    return number ? PyLong_AsSsize_t(number) : -1;
}

static int
is_skipped(const Record *self, Py_ssize_t i)
{
    return i < self->node->count && self->node->skipped[i];
}

static PyObject *
name_of(const Record *self, Py_ssize_t i)
{
    if (i < self->node->count)
        return self->node->names[i];
    return PyTuple_GET_ITEM(PyTuple_GET_ITEM(self->node->defaults, i - self->node->count), 0);
}

static PyObject *
plain(PyObject *value);

/* A dict of all fields: with nested records as they are, or as dicts too. */
static PyObject *
as_dict(Record *self, int deep)
{
    PyObject *dict = PyDict_Copy(self->node->blank);
    for (Py_ssize_t i = 0; dict && i < Py_SIZE(self); i++) {
        if (is_skipped(self, i))
            continue;
        PyObject *value = record_field(self, i);
        value = value ? deep ? plain(value) : Py_NewRef(value) : NULL;
        if (!value || PyDict_SetItem(dict, name_of(self, i), value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *
plain_list(PyObject *value)
{
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(value); i++) {
        PyObject *item = Py_NewRef(PyList_GET_ITEM(value, i));
        Py_SETREF(item, plain(item));
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *
plain_dict(PyObject *value)
{
    PyObject *dict = PyDict_New(), *pairs = PyDict_Items(value);
    for (Py_ssize_t i = 0; dict && i < (pairs ? PyList_GET_SIZE(pairs) : 0); i++) {
        PyObject *pair = PyList_GET_ITEM(pairs, i);
        PyObject *item = plain(PyTuple_GET_ITEM(pair, 1));
        if (!item || PyDict_SetItem(dict, PyTuple_GET_ITEM(pair, 0), item) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(item);
    }
    if (!pairs)
        Py_CLEAR(dict);
    Py_XDECREF(pairs);
    return dict;
}

/* The value with no views in it. */
static PyObject *
plain(PyObject *value)
{
    int holds = Py_IS_TYPE(value, &RecordType) || PyList_CheckExact(value) || PyDict_CheckExact(value);
    if (!holds || Py_EnterRecursiveCall(" while copying a record"))
        return holds ? NULL : Py_NewRef(value);
    PyObject *copy = Py_IS_TYPE(value, &RecordType) ? as_dict((Record *)value, 1)
                     : PyList_CheckExact(value)     ? plain_list(value)
                                                    : plain_dict(value);
    Py_LeaveRecursiveCall();
    return copy;
}

static PyObject *
record_replace(PyObject *self, PyObject *args, PyObject *changes)
{
    Record *old = (Record *)self;
    if (PyTuple_GET_SIZE(args))
        return PyErr_Format(PyExc_TypeError, "replace takes fields by name");
    Record *copy = record_alloc(old->plan, old->node, old->owner);
    if (!copy)
        return NULL;
    copy->start = old->start;
    for (Py_ssize_t i = 0; i < Py_SIZE(old); i++) {
        copy->slots[i] = old->slots[i];
        Py_XINCREF(copy->slots[i].value);
    }
    PyObject *name, *value;
    for (Py_ssize_t at = 0; changes && PyDict_Next(changes, &at, &name, &value);) {
        Py_ssize_t i = record_number(copy, name);
        if (i < 0) {
            Py_DECREF(copy);
            return PyErr_Format(PyExc_KeyError, "the record has no field %R", name);
        }
        Py_XSETREF(copy->slots[i].value, Py_NewRef(value));
        copy->slots[i].changed = 1;
    }
    PyObject_GC_Track(copy);
    return (PyObject *)copy;
}

static PyObject *
record_get(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2)
        return PyErr_Format(PyExc_TypeError, "get takes a name and a default");
    Py_ssize_t i = record_number((Record *)self, args[0]);
    PyObject *value = i < 0 ? count == 2 ? args[1] : Py_None : record_field((Record *)self, i);
    return Py_XNewRef(value);
}

static PyObject *
record_subscript(PyObject *self, PyObject *name)
{
    Py_ssize_t i = record_number((Record *)self, name);
    if (i >= 0)
        return Py_XNewRef(record_field((Record *)self, i));
    PyErr_SetObject(PyExc_KeyError, name);
    return NULL;
}

static int
record_contains(PyObject *self, PyObject *name)
{
    return record_number((Record *)self, name) >= 0;
}

static Py_ssize_t
record_length(PyObject *self)
{
    return PyDict_GET_SIZE(((Record *)self)->node->blank);
}

static PyObject *
record_iter(PyObject *self)
{
    return PyObject_GetIter(((Record *)self)->node->blank);
}

/* keys(), values() and items(), of a dict that is made for it. */
static PyObject *
of_dict(PyObject *self, const char *method)
{
    PyObject *dict = as_dict((Record *)self, 0);
    PyObject *view = dict ? PyObject_CallMethod(dict, method, NULL) : NULL;
    Py_XDECREF(dict);
    return view;
}

static PyObject *
record_keys(PyObject *self, PyObject *ignored)
{
    PyObject *names = PyDict_Copy(((Record *)self)->node->blank);
    PyObject *view = names ? PyObject_CallMethod(names, "keys", NULL) : NULL;
    Py_XDECREF(names);
    return view;
}

static PyObject *
record_values(PyObject *self, PyObject *ignored)
{
    return of_dict(self, "values");
}

static PyObject *
record_items(PyObject *self, PyObject *ignored)
{
    return of_dict(self, "items");
}

static PyObject *
record_to_dict(PyObject *self, PyObject *ignored)
{
    return as_dict((Record *)self, 1);
}

static PyObject *
record_reduce(PyObject *self, PyObject *ignored)
{
    PyObject *dict = as_dict((Record *)self, 1);
    return dict ? Py_BuildValue("(O(N))", &PyDict_Type, dict) : NULL;
}

static PyObject *
record_repr(PyObject *self)
{
    PyObject *dict = as_dict((Record *)self, 0);
    PyObject *text = dict ? PyObject_Repr(dict) : NULL;
    Py_XDECREF(dict);
    return text;
}

static PyObject *
record_compare(PyObject *self, PyObject *other, int how)
{
    int both = Py_IS_TYPE(other, &RecordType);
    if ((how != Py_EQ && how != Py_NE) || (!both && !PyDict_Check(other)))
        Py_RETURN_NOTIMPLEMENTED;
    PyObject *one = as_dict((Record *)self, 0);
    PyObject *two = both ? as_dict((Record *)other, 0) : Py_NewRef(other);
    PyObject *verdict = one && two ? PyObject_RichCompare(one, two, how) : NULL;
    Py_XDECREF(one);
    Py_XDECREF(two);
    return verdict;
}

static int
record_traverse(PyObject *self, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++)
        Py_VISIT(((Record *)self)->slots[i].value);
    return 0;
}

static int
record_clear(PyObject *self)
{
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++)
        Py_CLEAR(((Record *)self)->slots[i].value);
    return 0;
}

static void
record_dealloc(PyObject *self)
{
    Record *record = (Record *)self;
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, record_dealloc)
    for (Py_ssize_t i = 0; i < Py_SIZE(self); i++)
        Py_XDECREF(record->slots[i].value);
    Py_DECREF(record->owner);
    Py_DECREF((PyObject *)record->plan);
    PyObject_GC_Del(self);
    Py_TRASHCAN_END
}

static PyMethodDef methods[] = {
    {"get", (PyCFunction)(void (*)(void))record_get, METH_FASTCALL, "get(name, default=None, /)"},
    {"keys", record_keys, METH_NOARGS, "The names of the fields."},
    {"values", record_values, METH_NOARGS, "The values of the fields."},
    {"items", record_items, METH_NOARGS, "Names and values."},
    {"to_dict", record_to_dict, METH_NOARGS, "A dict of its own, with dicts for the records in it."},
    {"replace", (PyCFunction)(void (*)(void))record_replace, METH_VARARGS | METH_KEYWORDS,
     "replace(**changes): the record with other values in these fields."},
    {"__reduce__", record_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL}};

static PyMappingMethods mapping = {record_length, record_subscript, NULL};
static PySequenceMethods sequence = {.sq_contains = record_contains};

PyTypeObject RecordType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "mainstem.codec.native._avro.Record",
    .tp_doc = "A decoded record whose fields become values when they are looked at. It compares and prints as a dict.",
    .tp_basicsize = offsetof(Record, slots),
    .tp_itemsize = sizeof(Slot),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_MAPPING,
    .tp_dealloc = record_dealloc,
    .tp_traverse = record_traverse,
    .tp_clear = record_clear,
    .tp_repr = record_repr,
    .tp_hash = PyObject_HashNotImplemented,
    .tp_richcompare = record_compare,
    .tp_iter = record_iter,
    .tp_as_mapping = &mapping,
    .tp_as_sequence = &sequence,
    .tp_methods = methods,
};
