/* What the parts of the extension share: the plan of a schema pair, and the states of reading and writing. */
#ifndef MAINSTEM_AVRO_H
#define MAINSTEM_AVRO_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* In the order of the names in plan.c. */
typedef enum {
    OP_NULL, OP_BOOLEAN, OP_INT, OP_LONG, OP_FLOAT, OP_DOUBLE, OP_BYTES, OP_STRING, OP_FIXED, OP_ENUM,
    OP_ARRAY, OP_MAP, OP_UNION, OP_RECORD,
    OP_DECIMAL, OP_FIXED_DECIMAL, OP_DATE, OP_TIME_MILLIS, OP_TIME_MICROS,
    OP_INSTANT_MILLIS, OP_INSTANT_MICROS, OP_LOCAL_MILLIS, OP_LOCAL_MICROS, OP_UUID,
    OP_INT_TO_DOUBLE, OP_LONG_TO_DOUBLE, OP_STRING_TO_BYTES, OP_BYTES_TO_STRING, OP_MISMATCH,
    OP_COUNT
} Op;

/* One part of a plan. Its pieces belong to the plan and live as long as it does. */
typedef struct Node Node;
struct Node {
    Op op;
    int32_t size;        /* fixed: bytes */
    int32_t scale;       /* decimal */
    int32_t precision;   /* decimal: digits */
    Py_ssize_t count;    /* of names or children */
    Node **children;     /* array, map: one; union: by branch; record: by field on the wire */
    PyObject **names;    /* record: fields on the wire; enum: symbols by number */
    uint8_t *skipped;    /* record: 1 where the reader has no such field; enum: 1 where it has no such symbol */
    PyObject **fills;    /* record: a field's default, encoded, or NULL */
    PyObject *table;     /* record, enum: name -> number; a record's defaults count on */
    PyObject *blank;     /* record: a dict that has every key, so that a copy never grows */
    PyObject *defaults;  /* record: tuple of (name, value) of the fields that are not on the wire */
    PyObject *make;      /* record: the class whose instances its values are; NULL for dicts */
    PyObject *wire;      /* the same object for parts whose bytes mean the same; empty where none may be taken over */
    int64_t smallest;    /* bytes on the wire */
    int64_t cost;        /* about so many bytes of memory: a scalar, or a record with its scalars */
};

typedef struct {
    PyObject_HEAD
    Py_ssize_t count;
    Node *nodes;
    Node *root;
    int64_t max_memory;
    int max_depth;
} Plan;

/* Where a reader or writer stands in the schema; lives on the C stack, innermost first. */
typedef struct Frame Frame;
struct Frame {
    Frame *up;
    PyObject *name;   /* of a field, or NULL */
    Py_ssize_t index; /* of an item, or -1 */
};

typedef struct {
    const uint8_t *start, *at, *end;
    Frame *top;
    int depth;           /* how many levels may still be entered */
    int64_t memory;      /* how many bytes of Python objects may still be made */
    int views;           /* records become views instead of dicts */
    int unlocked;        /* the interpreter's lock is not held */
    Plan *plan;
    PyObject *owner;     /* the bytes object that is read */
} Reader;

#define CONTAINER_BYTES 88 /* a list or a dict without its items */
#define OUT_SMALL 1024
typedef struct {
    uint8_t *data;
    size_t used, room;
    Frame *top;
    int depth;
    uint8_t small[OUT_SMALL];
} Out;

/* Python's own types and values, looked up once. */
typedef struct {
    PyObject *AvroError;
    PyObject *Decimal;
    PyObject *UUID;
    PyObject *big_decimal;    /* (bytes, scale, precision) -> Decimal */
    PyObject *decimal_bytes;  /* (Decimal, scale, precision) -> bytes */
    PyObject *type_key;       /* "-type" */
    PyObject *utcoffset;      /* "utcoffset" */
} Known;

extern Known known;
extern PyTypeObject PlanType;
extern PyTypeObject RecordType;

/* errors.c: raise AvroError, or leave a MemoryError as it is; give NULL and -1. */
PyObject *read_fail(Reader *in, const char *reason);
int read_refused(Reader *in, const char *reason);
int write_fail(Out *out, const char *reason);
int left_over(Reader *in);
PyObject *taken_error(void); /* the exception that is set, which then is not set any more */

/* decode.c */
PyObject *read_value(Reader *in, const Node *node);
PyObject *read_text(Reader *in);
PyObject *default_copy(PyObject *value);
int start_reader(Reader *in, Plan *plan, PyObject *owner, Py_ssize_t start);
int enter(Reader *in);
int charge(Reader *in, int64_t bytes);
int block_items(Reader *in, const Node *node, int64_t *count);

/* scan.c: passes over a value and checks all of it. */
int skip_value(Reader *in, const Node *node);

/* moment.c: dates and times. */
PyObject *read_moment(Reader *in, const Node *node);
int check_moment(Reader *in, Op op, int64_t number);
const char *moment_problem(Op op, int64_t number); /* NULL where there is none */
int write_moment(Out *out, const Node *node, PyObject *value);
int start_moments(void);
int is_date(PyObject *value);
int is_time(PyObject *value);
int is_datetime(PyObject *value);

/* decimal.c */
PyObject *read_decimal(Reader *in, const Node *node, const uint8_t *bytes, Py_ssize_t size);
int write_decimal(Out *out, const Node *node, PyObject *value);

/* encode.c */
int write_value(Out *out, const Node *node, PyObject *value);
void out_start(Out *out, Plan *plan);
void out_free(Out *out);
int out_room(Out *out, size_t more);

/* object.c: records as instances of a class. The branch of a union that has the value's class, or -1. */
PyObject *object_of(Reader *in, const Node *node, PyObject *dict);
int write_object(Out *out, const Node *node, PyObject *value);
Py_ssize_t object_branch(const Node *node, PyObject *value);

/* union.c: the number of the branch that fastavro would write the value with, or -1. */
Py_ssize_t branch_of(Out *out, const Node *node, PyObject *value);

/* record.c and record_write.c */
PyObject *record_new(Reader *in, const Node *node);
int write_view(Out *out, const Node *node, PyObject *value);

/* plan.c: the kind of that name, or OP_COUNT; the whole value behind the bytes `before`, which may be NULL. */
Op op_of(const char *name);
PyObject *plan_write(Out *out, Plan *plan, PyObject *value, PyObject *before);

/* batch.c */
#define FRAME_BYTES 5
extern PyMethodDef batch_methods[];
int64_t framed_id(PyObject *value, Py_ssize_t max_bytes);

#endif
