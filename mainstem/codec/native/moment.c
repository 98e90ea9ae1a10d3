/* Dates, times of day and timestamps. The calendar is computed by the formulas of Howard Hinnant's paper
 * "chrono-Compatible Low-Level Date Algorithms" (https://howardhinnant.github.io/date_algorithms.html). */
#include "varint.h"
#include <datetime.h>

#define FIRST_DAY (-719162)       /* 0001-01-01, in days since 1970-01-01 */
#define LAST_DAY 2932896          /* 9999-12-31 */
#define DAY_US INT64_C(86400000000)

int
start_moments(void)
{
    PyDateTime_IMPORT;
    return PyDateTimeAPI ? 0 : -1;
}

int
is_date(PyObject *value)
{
    return PyDate_CheckExact(value);
}

int
is_time(PyObject *value)
{
    return PyTime_CheckExact(value);
}

int
is_datetime(PyObject *value)
{
    return PyDateTime_CheckExact(value);
}

static int64_t
floor_div(int64_t number, int64_t by)
{
    return number / by - (number % by < 0);
}

typedef struct {
    int year, month, day;
} Day;

static Day
day_of(int64_t days)
{
    int64_t shifted = days + 719468; /* days since 0000-03-01 */
    int64_t era = floor_div(shifted, 146097);
    int64_t of_era = shifted - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    Day day = {(int)(year + era * 400 + (month >= 10)), (int)(month < 10 ? month + 3 : month - 9),
               (int)(of_year - (153 * month + 2) / 5 + 1)};
    return day;
}

static int64_t
days_of(int year, int month, int day)
{
    year -= month <= 2;
    int64_t era = floor_div(year, 400), of_era = year - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* How many of the type's units are a day. */
static int64_t
units_of_day(Op op)
{
    switch (op) {
    case OP_DATE:
        return 1;
    case OP_TIME_MILLIS:
    case OP_INSTANT_MILLIS:
    case OP_LOCAL_MILLIS:
        return DAY_US / 1000;
    default:
        return DAY_US;
    }
}

const char *
moment_problem(Op op, int64_t number)
{
    int64_t day = floor_div(number, units_of_day(op));
    if (op == OP_TIME_MILLIS || op == OP_TIME_MICROS)
        return day ? "a time of day outside of the day" : NULL;
    return day < FIRST_DAY || day > LAST_DAY ? "a date outside of the years 1 to 9999" : NULL;
}

int
check_moment(Reader *in, Op op, int64_t number)
{
    const char *problem = moment_problem(op, number);
    return problem ? read_refused(in, problem) : 0;
}

PyObject *
read_moment(Reader *in, const Node *node)
{
    int64_t number, units = units_of_day(node->op);
    int small = node->op == OP_DATE || node->op == OP_TIME_MILLIS;
    if ((small ? read_int(in, &number) : read_long(in, &number)) < 0 || check_moment(in, node->op, number) < 0)
        return NULL;
    int64_t days = floor_div(number, units);
    int64_t us = (number - days * units) * (DAY_US / units);
    int hour = (int)(us / 3600000000), minute = (int)(us / 60000000 % 60), second = (int)(us / 1000000 % 60);
    if (node->op == OP_TIME_MILLIS || node->op == OP_TIME_MICROS)
        return PyTime_FromTime(hour, minute, second, (int)(us % 1000000));
    Day day = day_of(days);
    if (node->op == OP_DATE)
        return PyDate_FromDate(day.year, day.month, day.day);
    int instant = node->op == OP_INSTANT_MILLIS || node->op == OP_INSTANT_MICROS;
    return PyDateTimeAPI->DateTime_FromDateAndTime(day.year, day.month, day.day, hour, minute, second,
                                                   (int)(us % 1000000), instant ? PyDateTime_TimeZone_UTC : Py_None,
                                                   PyDateTimeAPI->DateTimeType);
}

/* Microseconds that the zone is ahead of UTC. */
static int
offset_of(Out *out, PyObject *value, int64_t *us)
{
    *us = 0;
    PyObject *zone = PyDateTime_DATE_GET_TZINFO(value);
    if (zone == PyDateTime_TimeZone_UTC)
        return 0;
    PyObject *offset = zone == Py_None ? NULL : PyObject_CallMethodNoArgs(value, known.utcoffset);
    if (!offset || !PyDelta_Check(offset)) {
        Py_XDECREF(offset);
        return write_fail(out, "a time without a zone");
    }
    *us = PyDateTime_DELTA_GET_DAYS(offset) * DAY_US + PyDateTime_DELTA_GET_SECONDS(offset) * INT64_C(1000000) +
          PyDateTime_DELTA_GET_MICROSECONDS(offset);
    Py_DECREF(offset);
    return 0;
}

static int
write_datetime(Out *out, Op op, PyObject *value)
{
    int64_t ahead = 0;
    if ((op == OP_INSTANT_MILLIS || op == OP_INSTANT_MICROS) && offset_of(out, value, &ahead) < 0)
        return -1;
    int64_t days = days_of(PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value), PyDateTime_GET_DAY(value));
    int64_t seconds = PyDateTime_DATE_GET_HOUR(value) * 3600 + PyDateTime_DATE_GET_MINUTE(value) * 60 +
                      PyDateTime_DATE_GET_SECOND(value);
    int64_t us = days * DAY_US + seconds * 1000000 + PyDateTime_DATE_GET_MICROSECOND(value) - ahead;
    return put_long(out, floor_div(us, DAY_US / units_of_day(op)));
}

static int
write_time(Out *out, Op op, PyObject *value)
{
    int64_t seconds = PyDateTime_TIME_GET_HOUR(value) * 3600 + PyDateTime_TIME_GET_MINUTE(value) * 60 +
                      PyDateTime_TIME_GET_SECOND(value);
    int64_t us = seconds * 1000000 + PyDateTime_TIME_GET_MICROSECOND(value);
    return put_long(out, us / (DAY_US / units_of_day(op)));
}

int
write_moment(Out *out, const Node *node, PyObject *value)
{
    switch (node->op) {
    case OP_DATE:
        if (is_date(value))
            return put_long(out, days_of(PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value),
                                         PyDateTime_GET_DAY(value)));
        return write_fail(out, "expected a date");
    case OP_TIME_MILLIS:
    case OP_TIME_MICROS:
        return is_time(value) ? write_time(out, node->op, value) : write_fail(out, "expected a time of day");
    default:
        return is_datetime(value) ? write_datetime(out, node->op, value) : write_fail(out, "expected a time");
    }
}
