/* The one exception: what is wrong, at which byte, in which field. It never quotes a value. */
#include "avro.h"

#define SHOWN_FRAMES 64

/* `lines[2].sku`; empty at the root. */
static PyObject *
path_of(Frame *top)
{
    Frame *frames[SHOWN_FRAMES];
    int count = 0;
    for (Frame *frame = top; frame; frame = frame->up)
        frames[count++ % SHOWN_FRAMES] = frame;
    int shown = count < SHOWN_FRAMES ? count : SHOWN_FRAMES;
    PyObject *path = PyUnicode_FromString("");
    for (int i = 1; i <= shown && path; i++) {
        Frame *frame = frames[(count - i) % SHOWN_FRAMES];
        PyObject *longer;
        if (frame->name)
            longer = PyUnicode_FromFormat(PyUnicode_GET_LENGTH(path) ? "%U.%U" : "%U%U", path, frame->name);
        else
            longer = frame->index < 0 ? Py_NewRef(path) : PyUnicode_FromFormat("%U[%zd]", path, frame->index);
        Py_SETREF(path, longer);
    }
    return path;
}

static void
raise(Frame *top, const char *reason, Py_ssize_t offset)
{
    if (PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_MemoryError) || PyErr_ExceptionMatches(known.AvroError))
            return;
        PyErr_Clear();
    }
    PyObject *path = path_of(top);
    if (!path)
        return;
    const char *form = PyUnicode_GET_LENGTH(path) ? "%s at %U (byte %zd)" : "%s%U (byte %zd)";
    PyObject *message = PyUnicode_FromFormat(form, reason, path, offset);
    PyObject *error = message ? PyObject_CallOneArg(known.AvroError, message) : NULL;
    PyObject *place = PyLong_FromSsize_t(offset);
    if (error && place && PyObject_SetAttrString(error, "offset", place) == 0 &&
        PyObject_SetAttrString(error, "path", path) == 0)
        PyErr_SetObject(known.AvroError, error);
    Py_XDECREF(place);
    Py_XDECREF(error);
    Py_XDECREF(message);
    Py_DECREF(path);
}

PyObject *
read_fail(Reader *in, const char *reason)
{
    if (!in->unlocked) {
        raise(in->top, reason, in->at - in->start);
        return NULL;
    }
    PyGILState_STATE held = PyGILState_Ensure();
    raise(in->top, reason, in->at - in->start);
    PyGILState_Release(held);
    return NULL;
}

int
read_refused(Reader *in, const char *reason)
{
    read_fail(in, reason);
    return -1;
}

int
write_fail(Out *out, const char *reason)
{
    raise(out->top, reason, (Py_ssize_t)out->used);
    return -1;
}

/* Refuses what stands behind a whole value. */
int
left_over(Reader *in)
{
    char reason[64];
    if (in->at == in->end)
        return 0;
    PyOS_snprintf(reason, sizeof reason, "%lld bytes are left", (long long)(in->end - in->at));
    return read_refused(in, reason);
}

PyObject *
taken_error(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return value;
#endif
}
