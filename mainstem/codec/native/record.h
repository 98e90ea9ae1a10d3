/* What a view keeps of its record. */
#ifndef MAINSTEM_RECORD_H
#define MAINSTEM_RECORD_H

#include "avro.h"

typedef struct {
    PyObject *value; /* NULL until it is looked at */
    uint32_t end;    /* of the field's bytes, from the record's start */
    int changed;     /* the value is not that of the bytes */
} Slot;

typedef struct {
    PyObject_VAR_HEAD
    Plan *plan;       /* which keeps the node */
    PyObject *owner;  /* the bytes object */
    const Node *node;
    Py_ssize_t start; /* of the record's bytes in the owner */
    Slot slots[1];    /* fields on the wire, then those that have their default */
} Record;

PyObject *record_field(Record *self, Py_ssize_t i);
Py_ssize_t record_number(const Record *self, PyObject *name);

static inline Py_ssize_t
field_start(const Record *self, Py_ssize_t i)
{
    return self->start + (i ? self->slots[i - 1].end : 0);
}

#endif
