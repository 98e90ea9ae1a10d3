/* The columns of a batch, and what is shared by all who hold a part of them. */
#ifndef MAINSTEM_COLUMNS_ARRAY_H
#define MAINSTEM_COLUMNS_ARRAY_H

#include "columns.h"

/* Vectors that live until the last array that shows them is released, in whichever thread. */
typedef struct {
    PyThread_type_lock lock;
    int64_t holders;
    Vector *vectors;
    Py_ssize_t count;
} Held;

typedef struct {
    PyObject_HEAD
    Layout *layout;
    Held *held;
    int64_t *rows;        /* the number of the value that a row is from */
    Py_ssize_t count;     /* of rows */
    PyObject *refused;    /* list of (number, why) */
    PyObject *tombstones; /* list of numbers */
} Columns;

/* columns_type.c */
Columns *columns_new(Layout *layout);

/* columns_array.c */
Held *vectors_hold(Vector *vectors, Py_ssize_t count);
void let_go(Held *held);
PyObject *columns_array(const Columns *columns);

#endif
