/* Views to bytes: what nobody changed is copied, in pieces as long as may be. */
#include "varint.h"
#include "record.h"

static int
same_wire(const Node *one, const Node *other)
{
    return one == other || (one->wire == other->wire && PyUnicode_GET_LENGTH(one->wire));
}

/* Whether the field's bytes are still its value: a list or a dict that was given out may have been changed since. */
static int
is_untouched(const Slot *slot)
{
    if (slot->changed)
        return 0;
    return !slot->value || !(PyList_CheckExact(slot->value) || PyDict_CheckExact(slot->value) ||
                             Py_IS_TYPE(slot->value, &RecordType));
}

static int
copy_fields(Out *out, Record *record, Py_ssize_t from, Py_ssize_t to)
{
    Py_ssize_t start = field_start(record, from);
    return put_piece(out, PyBytes_AS_STRING(record->owner) + start, field_start(record, to) - start);
}

static int
write_slot(Out *out, const Node *node, Record *record, Py_ssize_t i)
{
    PyObject *value = Py_XNewRef(record_field(record, i));
    int failed = value ? write_value(out, node, value) : -1;
    Py_XDECREF(value);
    return failed;
}

/* By place: the schema is that of the bytes. */
static int
write_alike(Out *out, const Node *node, Record *record, Frame *frame)
{
    Py_ssize_t from = 0;
    for (Py_ssize_t i = 0; i < node->count; i++) {
        if (is_untouched(&record->slots[i]))
            continue;
        frame->name = node->names[i];
        if (copy_fields(out, record, from, i) < 0 || write_slot(out, node->children[i], record, i) < 0)
            return -1;
        from = i + 1;
    }
    return copy_fields(out, record, from, node->count);
}

/* By name: another schema, of which single fields may have the same bytes. */
static int
write_by_name(Out *out, const Node *node, Record *record, Frame *frame)
{
    for (Py_ssize_t i = 0; i < node->count; i++) {
        frame->name = node->names[i];
        Py_ssize_t place = record_number(record, node->names[i]);
        int failed;
        if (place < 0 && !node->fills[i])
            return write_fail(out, "no value and no default");
        if (place < 0)
            failed = put_piece(out, PyBytes_AS_STRING(node->fills[i]), PyBytes_GET_SIZE(node->fills[i]));
        else if (place < record->node->count && is_untouched(&record->slots[place]) &&
                 same_wire(node->children[i], record->node->children[place]))
            failed = copy_fields(out, record, place, place + 1);
        else
            failed = write_slot(out, node->children[i], record, place);
        if (failed)
            return -1;
    }
    return 0;
}

int
write_view(Out *out, const Node *node, PyObject *value)
{
    Record *record = (Record *)value;
    Frame frame = {out->top, NULL, -1};
    out->top = &frame;
    int alike = same_wire(node, record->node) && PyTuple_GET_SIZE(record->node->defaults) == 0;
    int failed = alike ? write_alike(out, node, record, &frame) : write_by_name(out, node, record, &frame);
    out->top = frame.up;
    return failed;
}
