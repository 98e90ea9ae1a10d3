/* Vectors grow by doubling, take placeholders, and are cut back to what was whole. None of it needs Python. */
#include "columns.h"

#include <stddef.h>

#define FIRST_ROOM 64
#define FIRST_BYTES 4096 /* more of a wide type at once would be paid for by a batch of one */

static int
no_memory(Load *load)
{
    load->failure = NO_MEMORY;
    return -1;
}

/* A piece of memory made longer, at its place or elsewhere; the new part holds whatever it holds. */
static int
resize(void **piece, int64_t count, int64_t width)
{
    if (width && count > PTRDIFF_MAX / width)
        return -1;
    void *longer = PyMem_RawRealloc(*piece, count && width ? (size_t)(count * width) : 1);
    if (!longer)
        return -1;
    *piece = longer;
    return 0;
}

static int
resize_all(Vector *vector, const Column *column, int64_t room)
{
    int failed = 0;
    if (column->nullable && column->shape != SHAPE_NULL)
        failed = resize((void **)&vector->validity, room / 8 + 1, 1) < 0;
    if (column->shape == SHAPE_BIT)
        failed |= resize((void **)&vector->data, room / 8 + 1, 1) < 0;
    else if (column->shape == SHAPE_FIXED)
        failed |= resize((void **)&vector->data, room, column->width) < 0;
    else if (column->shape == SHAPE_SIZED || column->shape == SHAPE_LIST || column->shape == SHAPE_MAP)
        failed |= resize((void **)&vector->offsets, room + 1, sizeof *vector->offsets) < 0;
    if (!failed)
        vector->room = room;
    return failed ? -1 : 0;
}

int
vector_grow(Load *load, int column)
{
    Vector *vector = &load->vectors[column];
    int64_t first = FIRST_BYTES / (load->layout->columns[column].width + 1) + 1;
    int64_t room = vector->room ? vector->room * 2 : first < FIRST_ROOM ? first : FIRST_ROOM;
    return resize_all(vector, &load->layout->columns[column], room) < 0 ? no_memory(load) : 0;
}

/* Makes room for so many bytes more of data: never more than may be used, so that who has room need not look. */
int
vector_bytes(Load *load, Vector *vector, int64_t more)
{
    int64_t most = load->layout->max_bytes;
    if (more > most - vector->used) {
        load->failure = TOO_MUCH;
        return -1;
    }
    int64_t room = vector->data_room * 2 > vector->used + more ? vector->data_room * 2 : vector->used + more;
    room = room < FIRST_BYTES ? FIRST_BYTES : room;
    room = room > most ? most : room;
    if (resize((void **)&vector->data, room, 1) < 0)
        return no_memory(load);
    vector->data_room = room;
    return 0;
}

/* A dictionary: where each symbol ends, the first 0 included, then their text. */
static int
copy_symbols(Vector *vector, const Column *column)
{
    Py_ssize_t count = PyTuple_GET_SIZE(column->symbols);
    if (!count)
        return 0;
    if (resize((void **)&vector->symbols, (int64_t)column->symbols_bytes, 1) < 0)
        return -1;
    int32_t *ends = (int32_t *)vector->symbols;
    char *text = (char *)(ends + count + 1);
    ends[0] = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t size;
        const char *symbol = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(column->symbols, i), &size);
        memcpy(text + ends[i], symbol, size); /* layout.c has seen that it is UTF-8 */
        ends[i + 1] = ends[i] + (int32_t)size;
    }
    return 0;
}

/* Room for the rows in all columns that have one value a row. */
static int
reserve(Load *load, int number, int64_t rows)
{
    const Column *column = &load->layout->columns[number];
    if (column->width <= 64 && resize_all(&load->vectors[number], column, rows) < 0)
        return -1;
    for (Py_ssize_t i = 0; column->shape == SHAPE_STRUCT && i < column->count; i++)
        if (reserve(load, column->children[i], rows) < 0)
            return -1;
    return 0;
}

/* New vectors of the layout, all empty. */
int
vectors_start(Load *load, int64_t rows)
{
    const Layout *layout = load->layout;
    load->failure = NO_MEMORY;
    load->vectors = PyMem_RawCalloc(layout->count, sizeof *load->vectors);
    if (!load->vectors || reserve(load, 0, rows > 0 ? rows : 1) < 0)
        return -1;
    for (int i = 0; i < layout->count; i++) {
        Vector *vector = &load->vectors[i];
        if (copy_symbols(vector, &layout->columns[i]) < 0 || (!vector->room && vector_grow(load, i) < 0))
            return -1;
        if (vector->offsets)
            vector->offsets[0] = 0;
    }
    load->failure = BAD_VALUE;
    return 0;
}

void
vectors_free(Vector *vectors, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; vectors && i < count; i++) {
        PyMem_RawFree(vectors[i].validity);
        PyMem_RawFree(vectors[i].data);
        PyMem_RawFree(vectors[i].offsets);
        PyMem_RawFree(vectors[i].symbols);
    }
    PyMem_RawFree(vectors);
}

/* A null, or what stands below a null where the column itself has none. */
int
vector_blank(Load *load, int number)
{
    Vector *vector = &load->vectors[number];
    const Column *column = &load->layout->columns[number];
    if (vector->length == vector->room && vector_grow(load, number) < 0)
        return -1;
    int64_t at = vector->length;
    uint8_t keep = (uint8_t)~(1 << at % 8);
    if (vector->validity)
        vector->validity[at / 8] &= keep;
    if (column->shape == SHAPE_BIT)
        vector->data[at / 8] &= keep;
    else if (column->shape == SHAPE_FIXED)
        memset(vector->data + at * column->width, 0, column->width);
    else if (vector->offsets)
        vector->offsets[at + 1] = vector->offsets[at];
    for (Py_ssize_t i = 0; column->shape == SHAPE_STRUCT && i < column->count; i++)
        if (vector_blank(load, column->children[i]) < 0)
            return -1;
    vector->length++;
    return 0;
}

/* Leaves the first so many values of a column, and of all that is below it. */
void
vector_cut(Load *load, int number, int64_t length)
{
    Vector *vector = &load->vectors[number];
    const Column *column = &load->layout->columns[number];
    vector->length = length;
    if (column->shape == SHAPE_SIZED)
        vector->used = vector->offsets[length];
    if (vector->offsets)
        length = vector->offsets[length];
    for (Py_ssize_t i = 0; i < column->count; i++)
        vector_cut(load, column->children[i], length);
}
