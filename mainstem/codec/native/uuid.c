/* The text of a UUID as its 16 bytes. */
#include "columns.h"
#include "utf8.h"

static int
hex_of(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The 16 bytes of the usual form, 8-4-4-4-12 digits; 0 for any other. */
static int
usual_uuid(const uint8_t *text, int64_t size, uint8_t uuid[16])
{
    if (size != 36)
        return 0;
    for (int i = 0, at = 0; i < 16; i++, at += 2) {
        if ((at == 8 || at == 13 || at == 18 || at == 23) && text[at++] != '-')
            return 0;
        int high = hex_of(text[at]), low = hex_of(text[at + 1]);
        if (high < 0 || low < 0)
            return 0;
        uuid[i] = (uint8_t)(high << 4 | low);
    }
    return 1;
}

/* Other forms, as Python's UUID takes them. */
static int
unusual_uuid(Reader *in, const uint8_t *text, int64_t size, uint8_t uuid[16])
{
    PyGILState_STATE held = PyGILState_Ensure();
    PyObject *value = PyObject_CallFunction(known.UUID, "s#", (const char *)text, (Py_ssize_t)size);
    PyObject *bytes = value ? PyObject_GetAttrString(value, "bytes") : NULL;
    int taken = bytes && PyBytes_Check(bytes) && PyBytes_GET_SIZE(bytes) == 16;
    if (taken)
        memcpy(uuid, PyBytes_AS_STRING(bytes), 16);
    else
        read_fail(in, "text that is no UUID");
    Py_XDECREF(bytes);
    Py_XDECREF(value);
    PyGILState_Release(held);
    return taken ? 0 : -1;
}

/* Refuses what Python's UUID refuses. */
int
parse_uuid(Reader *in, const uint8_t *text, int64_t size, uint8_t uuid[16])
{
    if (usual_uuid(text, size, uuid))
        return 0;
    return is_utf8(text, size) ? unusual_uuid(in, text, size, uuid) : read_refused(in, "text that is not UTF-8");
}
