/* Rows of PostgreSQL's binary COPY, written straight from a writer's bytes.
 * Source: https://www.postgresql.org/docs/current/sql-copy.html (Binary Format), and the receive functions of the types. */
#ifndef MAINSTEM_COPY_H
#define MAINSTEM_COPY_H

#include "avro.h"

/* What PostgreSQL is told that a cell is. In the order of the names in copy_plan.c. */
typedef enum {
    CELL_TEXT, CELL_INT8, CELL_FLOAT8, CELL_BOOL, CELL_BYTEA, CELL_NUMERIC, CELL_DATE, CELL_TIME, CELL_TIMESTAMP,
    CELL_TIMESTAMPTZ, CELL_UUID,
    CELL_COUNT
} Cell;

/* A field on the wire, and the column that it goes to. */
typedef struct {
    int column; /* -1: the reader has no such field */
    Cell cell;
} Target;

/* A column that is not on the wire: the same bytes for every row, its length before them. */
typedef struct {
    int column;
    PyObject *bytes;
} Constant;

typedef struct {
    PyObject_HEAD
    Plan *plan;
    int columns;
    int in_order;     /* the fields come in the order of the columns, and the constants are the last ones */
    Target *targets;  /* by field on the wire */
    Constant *constants;
    Py_ssize_t constant_count;
} CopyPlan;

extern PyTypeObject CopyPlanType;

/* Bytes that grow without the interpreter's lock. */
typedef struct {
    uint8_t *data;
    size_t used, room;
} Lines;

int lines_room(Lines *lines, size_t more); /* -1 where there is no memory */

static inline void
put_u16(uint8_t *at, uint16_t number)
{
    at[0] = (uint8_t)(number >> 8);
    at[1] = (uint8_t)number;
}

static inline void
put_u32(uint8_t *at, uint32_t number)
{
    put_u16(at, (uint16_t)(number >> 16));
    put_u16(at + 2, (uint16_t)number);
}

static inline void
put_u64(uint8_t *at, uint64_t number)
{
    put_u32(at, (uint32_t)(number >> 32));
    put_u32(at + 4, (uint32_t)number);
}

/* copy_cell.c: the value at the reader's place as a cell. -1 where it is not taken (AvroError is set) or there is no
 * memory (nothing is set). */
int copy_cell(Lines *lines, Reader *in, const Node *node, Cell cell);

/* numeric.c: at most NUMERIC_BYTES bytes of a numeric, without their length; 0 where it has more digits than it may. */
#define NUMERIC_BYTES 64
int numeric_of_long(uint8_t *at, int64_t number, int scale);
int numeric_of_bytes(uint8_t *at, const uint8_t *bytes, int64_t size, int scale, int precision);

/* copy_keys.c: whether keys differ, told by their hashes alone. Two that collide count as the same key: the merge is
 * slower then, and as right. */
#define HASH_START UINT64_C(0xcbf29ce484222325)

typedef struct {
    uint64_t *hashes; /* of the keys so far; 0 is an empty place */
    size_t places;    /* a power of two */
    int differ;
} Keys;

int keys_start(Keys *keys, size_t rows); /* -1 where there is no memory; PyMem_RawFree(hashes) ends it */
uint64_t hash_more(uint64_t hash, const uint8_t *at, size_t size);
void keys_add(Keys *keys, uint64_t hash);

/* copy_rows.c */
extern PyMethodDef copy_methods[];

/* copy_batch.c */
extern PyMethodDef copy_batch_methods[];

#endif
