/* Somebody else's Arrow arrays, looked up once for all rows: each is of its column's type and as long as its parent says. */
#include "columns.h"

static int
wrong(const char *what, const Column *column)
{
    PyErr_Format(PyExc_TypeError, "columns with another %s than %U at %R", what, column->format, column->name);
    return -1;
}

static int
same_text(PyObject *text, const char *other)
{
    return other && PyUnicode_CompareWithASCIIString(text, other) == 0;
}

/* The schema's numbers of the values of a dictionary. */
static int
take_dictionary(Source *source, const Column *column, const struct ArrowSchema *schema)
{
    const struct ArrowArray *dictionary = source->array->dictionary;
    if (!dictionary || !schema->dictionary || strcmp(schema->dictionary->format, "u") != 0)
        return wrong("type", column);
    if (!(source->symbols = PyMem_Calloc(dictionary->length + 1, sizeof *source->symbols)))
        return PyErr_NoMemory(), -1;
    const int32_t *ends = (const int32_t *)dictionary->buffers[1] + dictionary->offset;
    for (int64_t i = 0; i < dictionary->length; i++) {
        const char *text = (const char *)dictionary->buffers[2] + ends[i];
        Py_ssize_t size, symbol = PyTuple_GET_SIZE(column->symbols);
        while (--symbol >= 0) {
            const char *known_text = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(column->symbols, symbol), &size);
            if (size == ends[i + 1] - ends[i] && (size == 0 || memcmp(known_text, text, size) == 0))
                break;
        }
        source->symbols[i] = (int32_t)symbol;
    }
    return 0;
}

/* How many values of its children an array shows. */
static int64_t
shown(const Column *column, const struct ArrowArray *array)
{
    int64_t end = array->offset + array->length;
    if (column->shape == SHAPE_STRUCT || array->length == 0)
        return array->length ? end : 0;
    return ((const int32_t *)array->buffers[1])[end];
}

static int
take_source(const Loader *loader, Source *sources, int number, const struct ArrowSchema *schema,
            const struct ArrowArray *array)
{
    const Column *column = &loader->layout->columns[number];
    Source *source = &sources[number];
    source->array = array;
    if (!same_text(column->format, schema->format) || schema->n_children != column->count ||
        array->n_children != column->count)
        return wrong("type", column);
    if (PyTuple_GET_SIZE(column->symbols) && take_dictionary(source, column, schema) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < column->count; i++) {
        const Column *child = &loader->layout->columns[column->children[i]];
        if (column->shape == SHAPE_STRUCT && !same_text(child->name, schema->children[i]->name))
            return wrong("field", child);
        if (array->children[i]->length < shown(column, array))
            return wrong("length", child);
        if (take_source(loader, sources, column->children[i], schema->children[i], array->children[i]) < 0)
            return -1;
    }
    return 0;
}

Source *
sources_new(const Loader *loader, const struct ArrowSchema *schema, const struct ArrowArray *array)
{
    Source *sources = PyMem_Calloc(loader->layout->count, sizeof *sources);
    if (!sources)
        return (Source *)PyErr_NoMemory();
    if (take_source(loader, sources, 0, schema, array) == 0)
        return sources;
    sources_free(sources, loader->layout->count);
    return NULL;
}

void
sources_free(Source *sources, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        PyMem_Free(sources[i].symbols);
    PyMem_Free(sources);
}
