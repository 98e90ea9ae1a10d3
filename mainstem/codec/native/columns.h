/* What the parts of columnar reading share: the layout of a schema's columns, the loader that fills them from a
 * writer's bytes, and the vectors that they consist of. */
#ifndef MAINSTEM_COLUMNS_H
#define MAINSTEM_COLUMNS_H

#include "arrow.h"
#include "avro.h"

/* In the order of the names in layout.c. */
typedef enum {
    SHAPE_NULL, SHAPE_BIT, SHAPE_FIXED, SHAPE_SIZED, SHAPE_LIST, SHAPE_MAP, SHAPE_STRUCT,
    SHAPE_COUNT
} Shape;

typedef struct {
    Shape shape;
    int nullable;
    int32_t width;          /* fixed: bytes of a value */
    Py_ssize_t count;       /* of children */
    int *children;          /* numbers of columns: list, map: one; struct: by field */
    PyObject *format;       /* text, of the C data interface */
    PyObject *name;         /* text */
    PyObject *extension;    /* text, empty where there is none */
    PyObject *symbols;      /* enum: tuple of text; empty elsewhere */
    size_t symbols_bytes;   /* of the dictionary: count + 1 ends, then the text */
    uint64_t bound[4];      /* decimal: the first number that has a digit too many, lowest part first */
    int64_t slot;           /* bytes of a placeholder, with all that is below it */
} Column;

/* The columns of a schema; the first is the whole value. A child comes behind its parent, and has no other. */
typedef struct {
    PyObject_HEAD
    Py_ssize_t count;
    Column *columns;
    int64_t max_bytes; /* of a column's text, and items of a list: offsets have 32 bits */
} Layout;

#define OP_MEMBER OP_COUNT /* of a step: one of a union's columns gets a value, the others none */

/* What is done with one part of a writer's value. */
typedef struct Step Step;

typedef struct {
    Step *step;
    PyObject *bytes;
} Fill;

struct Step {
    int op;              /* an Op, by which the bytes are read, or OP_MEMBER */
    const Node *node;    /* the part of the plan */
    int column;
    int32_t width;       /* of the column */
    Py_ssize_t count;
    Step **children;     /* as the node's; record: NULL where the reader has no such field; member: one */
    int32_t *symbols;    /* enum: the reader's number of a symbol, or -1 */
    Py_ssize_t fill_count;
    Fill *fills;         /* record: the fields that are not on the wire, from their defaults' bytes */
};

typedef struct {
    PyObject_HEAD
    Plan *plan;
    Layout *layout;
    Py_ssize_t count;
    Step *steps; /* the first is the whole value's */
} Loader;

/* The values of one column, one behind the other. Their memory may be freed without the interpreter's lock. */
typedef struct {
    int64_t length, room;
    uint8_t *validity;  /* a bit each; NULL where the column has no nulls */
    uint8_t *data;
    int32_t *offsets;   /* length + 1 */
    int64_t used, data_room; /* sized: bytes of data */
    uint8_t *symbols;   /* enum: the dictionary */
} Vector;

typedef enum { BAD_VALUE, TOO_MUCH, NO_MEMORY } Failure;

typedef struct {
    const Layout *layout;
    Vector *vectors;
    Failure failure; /* why loading failed: BAD_VALUE has raised AvroError, the others nothing yet */
} Load;

extern PyTypeObject LayoutType;
extern PyTypeObject LoaderType;
extern PyTypeObject ColumnsType;

/* layout_schema.c: a new capsule. */
PyObject *layout_schema(const Layout *layout);

/* vector.c */
int vectors_start(Load *load, int64_t rows);
void vectors_free(Vector *vectors, Py_ssize_t count);
int vector_grow(Load *load, int column);
int vector_bytes(Load *load, Vector *vector, int64_t more);
int vector_blank(Load *load, int column);
void vector_cut(Load *load, int column, int64_t length);

/* load.c: the value at the reader's place as the next one of the step's column. On failure the columns below it may be
 * longer than the root: vector_cut mends that. */
int load_value(Load *load, Reader *in, const Step *step);

/* step_fits.c */
int step_fits(const Layout *layout, const Step *step);

/* uuid.c */
int parse_uuid(Reader *in, const uint8_t *text, int64_t size, uint8_t uuid[16]);

/* wide.c */
void wide_bound(uint64_t bound[4], int digits);
int wide_read(uint64_t number[4], const uint8_t *bytes, int64_t size, const uint64_t bound[4]);
int wide_write(uint8_t bytes[33], const uint8_t *number, int width, const uint64_t bound[4]);

/* Where the values of a column of somebody else's array are. */
typedef struct {
    const struct ArrowArray *array;
    int32_t *symbols;   /* enum: the schema's number of a value of the array's dictionary, or -1 */
} Source;

/* sources.c: the arrays of the columns, where they are of the layout's types. */
Source *sources_new(const Loader *loader, const struct ArrowSchema *schema, const struct ArrowArray *array);
void sources_free(Source *sources, Py_ssize_t count);

/* row_write.c */
int write_row(Out *out, const Loader *loader, const Source *sources, const Step *step, int64_t row);
int source_is_null(const Source *source, int64_t row);

/* columns_write.c */
PyObject *encode_columns(PyObject *module, PyObject *args);

extern PyMethodDef columns_methods[];

#endif
