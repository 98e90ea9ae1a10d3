/* The extension module: its types, its exception, and what it takes from Python. */
#include "columns.h"
#include "copy.h"

Known known;

static PyObject *
take(const char *module, const char *name)
{
    PyObject *found = PyImport_ImportModule(module);
    PyObject *value = found ? PyObject_GetAttrString(found, name) : NULL;
    Py_XDECREF(found);
    return value;
}

static int
look_up(void)
{
    known.AvroError = PyErr_NewExceptionWithDoc(
        "mainstem.codec.native.AvroError",
        "Bytes or a value that do not fit the schema: what is wrong, at which `path` and `offset` (in bytes).",
        PyExc_ValueError, NULL);
    known.Decimal = take("decimal", "Decimal");
    known.UUID = take("uuid", "UUID");
    known.big_decimal = take("mainstem.codec.native.long_decimal", "from_bytes");
    known.decimal_bytes = take("mainstem.codec.native.long_decimal", "to_bytes");
    known.type_key = PyUnicode_InternFromString("-type");
    known.utcoffset = PyUnicode_InternFromString("utcoffset");
    return known.AvroError && known.Decimal && known.UUID && known.big_decimal && known.decimal_bytes &&
                   known.type_key && known.utcoffset
               ? start_moments()
               : -1;
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "mainstem.codec.native._avro",
    .m_doc = "Avro's binary encoding, executed from plans that were compiled once.",
    .m_size = -1,
    .m_methods = batch_methods,
};

PyMODINIT_FUNC
PyInit__avro(void)
{
    if (look_up() < 0 || PyType_Ready(&PlanType) < 0 || PyType_Ready(&RecordType) < 0 || PyType_Ready(&LayoutType) < 0 ||
        PyType_Ready(&LoaderType) < 0 || PyType_Ready(&ColumnsType) < 0 || PyType_Ready(&CopyPlanType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (!module)
        return NULL;
    if (PyModule_AddObjectRef(module, "AvroError", known.AvroError) < 0 ||
        PyModule_AddObjectRef(module, "Plan", (PyObject *)&PlanType) < 0 ||
        PyModule_AddObjectRef(module, "Record", (PyObject *)&RecordType) < 0 ||
        PyModule_AddObjectRef(module, "Layout", (PyObject *)&LayoutType) < 0 ||
        PyModule_AddObjectRef(module, "Loader", (PyObject *)&LoaderType) < 0 ||
        PyModule_AddObjectRef(module, "Columns", (PyObject *)&ColumnsType) < 0 ||
        PyModule_AddObjectRef(module, "CopyPlan", (PyObject *)&CopyPlanType) < 0 ||
        PyModule_AddFunctions(module, columns_methods) < 0 || PyModule_AddFunctions(module, copy_methods) < 0 ||
        PyModule_AddFunctions(module, copy_batch_methods) < 0)
        Py_CLEAR(module);
    return module;
}
