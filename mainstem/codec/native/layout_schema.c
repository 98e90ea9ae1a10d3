/* The Arrow schema of a layout, in a capsule. */
#include "columns.h"

/* Each schema owns its text and its children, for a consumer may take a child away from its parent. */
static void
release_schema(struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct ArrowSchema *child = schema->children[i];
        if (child && child->release)
            child->release(child);
        PyMem_RawFree(child);
    }
    if (schema->dictionary && schema->dictionary->release)
        schema->dictionary->release(schema->dictionary);
    PyMem_RawFree(schema->dictionary);
    PyMem_RawFree(schema->children);
    PyMem_RawFree((char *)schema->format);
    PyMem_RawFree((char *)schema->name);
    PyMem_RawFree((char *)schema->metadata);
    schema->release = NULL;
}

static char *
copy_text(PyObject *text)
{
    Py_ssize_t size;
    const char *from = PyUnicode_AsUTF8AndSize(text, &size);
    char *copy = from ? PyMem_RawMalloc(size + 1) : NULL;
    return copy ? memcpy(copy, from, size + 1) : NULL;
}

/* The type's name and no settings, as the format of the metadata wants it: counts and lengths as 32-bit numbers. */
static char *
extension_of(PyObject *name)
{
    static const char key[] = "ARROW:extension:name", settings[] = "ARROW:extension:metadata";
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(name, &size);
    int32_t sizes[] = {2, sizeof key - 1, (int32_t)size, sizeof settings - 1, 0};
    char *made = text ? PyMem_RawMalloc(sizeof sizes + sizeof key + size + sizeof settings) : NULL, *at = made;
    if (!made)
        return NULL;
    memcpy(at, sizes, 8);
    memcpy(at + 8, key, sizeof key - 1);
    at += 8 + sizeof key - 1;
    memcpy(at, &sizes[2], 4);
    memcpy(at + 4, text, size);
    at += 4 + size;
    memcpy(at, &sizes[3], 4);
    memcpy(at + 4, settings, sizeof settings - 1);
    memcpy(at + 4 + sizeof settings - 1, &sizes[4], 4);
    return made;
}

static int
dictionary_schema(struct ArrowSchema *schema)
{
    struct ArrowSchema *dictionary = schema->dictionary = PyMem_RawCalloc(1, sizeof *dictionary);
    char *format = PyMem_RawCalloc(2, 1), *name = PyMem_RawCalloc(1, 1);
    if (!dictionary || !format || !name) {
        PyMem_RawFree(format);
        PyMem_RawFree(name);
        return -1;
    }
    format[0] = 'u';
    dictionary->format = format;
    dictionary->name = name;
    dictionary->flags = ARROW_FLAG_NULLABLE;
    dictionary->release = release_schema;
    return 0;
}

static int
fill_schema(struct ArrowSchema *schema, const Layout *layout, const Column *column)
{
    schema->release = release_schema;
    schema->flags = column->nullable ? ARROW_FLAG_NULLABLE : 0;
    schema->format = copy_text(column->format);
    schema->name = copy_text(column->name);
    if (!schema->format || !schema->name)
        return -1;
    if (PyUnicode_GET_LENGTH(column->extension) && !(schema->metadata = extension_of(column->extension)))
        return -1;
    if (PyTuple_GET_SIZE(column->symbols) && dictionary_schema(schema) < 0)
        return -1;
    if (!(schema->children = PyMem_RawCalloc(column->count + 1, sizeof *schema->children)))
        return -1;
    schema->n_children = column->count;
    for (Py_ssize_t i = 0; i < column->count; i++) {
        schema->children[i] = PyMem_RawCalloc(1, sizeof **schema->children);
        if (!schema->children[i] || fill_schema(schema->children[i], layout, &layout->columns[column->children[i]]) < 0)
            return -1;
    }
    return 0;
}

static void
free_capsule(PyObject *capsule)
{
    struct ArrowSchema *schema = PyCapsule_GetPointer(capsule, "arrow_schema");
    if (schema->release)
        schema->release(schema);
    PyMem_RawFree(schema);
}

PyObject *
layout_schema(const Layout *layout)
{
    struct ArrowSchema *schema = PyMem_RawCalloc(1, sizeof *schema);
    if (!schema)
        return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(schema, "arrow_schema", free_capsule);
    if (!capsule)
        PyMem_RawFree(schema);
    else if (fill_schema(schema, layout, layout->columns) < 0) {
        PyErr_NoMemory();
        Py_CLEAR(capsule);
    }
    return capsule;
}
