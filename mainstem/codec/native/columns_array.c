/* Vectors shown as Arrow arrays: each array holds all of them, for a consumer may take a child away from its parent. */
#include "columns_array.h"

Held *
vectors_hold(Vector *vectors, Py_ssize_t count)
{
    Held *held = PyMem_RawCalloc(1, sizeof *held);
    if (!held || !(held->lock = PyThread_allocate_lock())) {
        PyMem_RawFree(held);
        return NULL;
    }
    held->holders = 1;
    held->vectors = vectors;
    held->count = count;
    return held;
}

static void
hold(Held *held)
{
    PyThread_acquire_lock(held->lock, WAIT_LOCK);
    held->holders++;
    PyThread_release_lock(held->lock);
}

void
let_go(Held *held)
{
    PyThread_acquire_lock(held->lock, WAIT_LOCK);
    int64_t left = --held->holders;
    PyThread_release_lock(held->lock);
    if (left)
        return;
    PyThread_free_lock(held->lock);
    vectors_free(held->vectors, held->count);
    PyMem_RawFree(held);
}

/* What one array owns besides its share in the vectors. */
typedef struct {
    Held *held;
    const void *buffers[3];
} Share;

static void
release_array(struct ArrowArray *array)
{
    Share *share = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) {
        struct ArrowArray *child = array->children[i];
        if (child && child->release)
            child->release(child);
        PyMem_RawFree(child);
    }
    if (array->dictionary && array->dictionary->release)
        array->dictionary->release(array->dictionary);
    PyMem_RawFree(array->dictionary);
    PyMem_RawFree(array->children);
    let_go(share->held);
    PyMem_RawFree(share);
    array->release = NULL;
}

/* An array without values yet; it holds the vectors from now on. */
static Share *
start_array(struct ArrowArray *array, Held *held)
{
    Share *share = PyMem_RawCalloc(1, sizeof *share);
    if (!share)
        return NULL;
    hold(held);
    share->held = held;
    array->private_data = share;
    array->release = release_array;
    array->buffers = share->buffers;
    return share;
}

static int64_t
nulls_of(const Vector *vector, const Column *column)
{
    int64_t valid = 0;
    if (column->shape == SHAPE_NULL)
        return vector->length;
    for (int64_t i = 0; vector->validity && i < vector->length; i++)
        valid += vector->validity[i / 8] >> i % 8 & 1;
    return vector->validity ? vector->length - valid : 0;
}

static int
fill_dictionary(struct ArrowArray *array, Held *held, const Vector *vector, const Column *column)
{
    struct ArrowArray *dictionary = array->dictionary = PyMem_RawCalloc(1, sizeof *dictionary);
    Share *share = dictionary ? start_array(dictionary, held) : NULL;
    if (!share)
        return -1;
    dictionary->length = PyTuple_GET_SIZE(column->symbols);
    dictionary->n_buffers = 3;
    share->buffers[1] = vector->symbols;
    share->buffers[2] = vector->symbols + (dictionary->length + 1) * (int64_t)sizeof(int32_t);
    return 0;
}

static int
fill_array(struct ArrowArray *array, Held *held, const Layout *layout, int number)
{
    static const int buffers[SHAPE_COUNT] = {[SHAPE_BIT] = 2,  [SHAPE_FIXED] = 2, [SHAPE_SIZED] = 3,
                                             [SHAPE_LIST] = 2, [SHAPE_MAP] = 2,   [SHAPE_STRUCT] = 1};
    const Column *column = &layout->columns[number];
    const Vector *vector = &held->vectors[number];
    Share *share = start_array(array, held);
    if (!share)
        return -1;
    array->length = vector->length;
    array->null_count = nulls_of(vector, column);
    array->n_buffers = buffers[column->shape];
    share->buffers[0] = array->null_count ? vector->validity : NULL;
    share->buffers[1] = vector->offsets ? (const void *)vector->offsets : vector->data;
    share->buffers[2] = vector->data;
    if (vector->symbols && fill_dictionary(array, held, vector, column) < 0)
        return -1;
    if (!(array->children = PyMem_RawCalloc(column->count + 1, sizeof *array->children)))
        return -1;
    array->n_children = column->count;
    for (Py_ssize_t i = 0; i < column->count; i++) {
        array->children[i] = PyMem_RawCalloc(1, sizeof **array->children);
        if (!array->children[i] || fill_array(array->children[i], held, layout, column->children[i]) < 0)
            return -1;
    }
    return 0;
}

static void
free_capsule(PyObject *capsule)
{
    struct ArrowArray *array = PyCapsule_GetPointer(capsule, "arrow_array");
    if (array->release)
        array->release(array);
    PyMem_RawFree(array);
}

/* The columns as an Arrow array in a new capsule. */
PyObject *
columns_array(const Columns *columns)
{
    struct ArrowArray *array = PyMem_RawCalloc(1, sizeof *array);
    if (!array)
        return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(array, "arrow_array", free_capsule);
    if (!capsule)
        PyMem_RawFree(array);
    else if (fill_array(array, columns->held, columns->layout, 0) < 0) {
        PyErr_NoMemory();
        Py_CLEAR(capsule);
    }
    return capsule;
}
