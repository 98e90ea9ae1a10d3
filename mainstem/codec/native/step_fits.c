/* Whether a step puts into its columns what they hold, so that executing it needs no checks. */
#include "columns.h"

static int
is_fixed(const Column *column, int width, int other)
{
    return column->shape == SHAPE_FIXED && (column->width == width || column->width == other);
}

/* Whether the column holds what a step without children puts into it. */
static int
holds(const Column *column, const Step *step)
{
    switch (step->op) {
    case OP_NULL:
        return column->nullable || column->shape == SHAPE_NULL;
    case OP_BOOLEAN:
        return column->shape == SHAPE_BIT;
    case OP_DATE:
    case OP_TIME_MILLIS:
        return is_fixed(column, 4, 4);
    case OP_ENUM:
        return is_fixed(column, 4, 4) && step->count == step->node->count && PyTuple_GET_SIZE(column->symbols);
    case OP_INT:
    case OP_INT_TO_DOUBLE:
    case OP_LONG_TO_DOUBLE:
    case OP_FLOAT:
        return is_fixed(column, 4, 8);
    case OP_BYTES:
    case OP_STRING:
    case OP_STRING_TO_BYTES:
    case OP_BYTES_TO_STRING:
        return column->shape == SHAPE_SIZED;
    case OP_FIXED:
        return is_fixed(column, step->node->size, step->node->size);
    case OP_DECIMAL:
    case OP_FIXED_DECIMAL:
        return is_fixed(column, 16, 32);
    case OP_UUID:
        return is_fixed(column, 16, 16);
    case OP_MISMATCH:
        return 1;
    default:
        return is_fixed(column, 8, 8); /* doubles, longs, and the times of 64 bits */
    }
}

/* Whether each child of the column gets a value from exactly one field. */
static int
covers(const Layout *layout, const Column *column, const Step *step)
{
    Py_ssize_t given = 0;
    for (Py_ssize_t i = 0; i < column->count; i++) {
        int times = 0;
        for (Py_ssize_t field = 0; field < step->count; field++)
            times += step->children[field] && step->children[field]->column == column->children[i];
        for (Py_ssize_t fill = 0; fill < step->fill_count; fill++)
            times += step->fills[fill].step->column == column->children[i];
        if (times != 1)
            return 0;
        given++;
    }
    Py_ssize_t all = step->fill_count;
    for (Py_ssize_t field = 0; field < step->count; field++)
        all += step->children[field] != NULL;
    return all == given;
}

static int
is_member(const Layout *layout, const Column *column, const Step *step)
{
    int found = 0;
    if (column->shape != SHAPE_STRUCT || step->count != 1)
        return 0;
    for (Py_ssize_t i = 0; i < column->count; i++) {
        const Column *child = &layout->columns[column->children[i]];
        if (!child->nullable && child->shape != SHAPE_NULL)
            return 0;
        found |= column->children[i] == step->children[0]->column;
    }
    return found;
}

/* A step that does not fit its column is refused, and never executed. */
int
step_fits(const Layout *layout, const Step *step)
{
    const Column *column = &layout->columns[step->column];
    switch (step->op) {
    case OP_RECORD:
        return step->node->op == OP_RECORD && column->shape == SHAPE_STRUCT && step->count == step->node->count &&
               covers(layout, column, step);
    case OP_ARRAY:
        return step->node->op == OP_ARRAY && column->shape == SHAPE_LIST && step->count == 1 &&
               step->children[0]->column == column->children[0];
    case OP_MAP:
        return step->node->op == OP_MAP && column->shape == SHAPE_MAP && step->count == 1 &&
               step->children[0]->column == layout->columns[column->children[0]].children[1];
    case OP_UNION:
        for (Py_ssize_t i = 0; i < step->count; i++)
            if (step->children[i]->column != step->column)
                return 0;
        return step->node->op == OP_UNION && step->count == step->node->count;
    case OP_MEMBER:
        return is_member(layout, column, step);
    default:
        return holds(column, step);
    }
}
