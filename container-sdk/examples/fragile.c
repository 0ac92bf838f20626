// A model for tests that does, on request, what models should not do.
//
//   fragile floats    gives the first float of each input, except for these:
//        13  fails the item           99  exits, with the batch in hand
//       555  scribbles over all the shared memory that it can write, then exits
//       666  crashes                 777  hangs
//      1313  fails the whole batch
//   fragile forgetful gives the first float of each input, and nothing for every second batch
//   fragile untyped   asks for rows and outputs as doubles, which they are not
//   fragile twice     connects a second time, also when the first connection was refused
//   fragile fail      fails every batch with a message
//   fragile nonzero   fails every batch without one
//   fragile misuse    calls every function wrongly; gives the number of calls that were not refused
//   fragile strings   echoes strings of up to 4096 bytes; "fail" fails its item
//   fragile bytes     echoes bytes up to 1 MiB, in place
//   fragile forget    asks for the next batch with one in hand, and closes with it in hand
#define _GNU_SOURCE
#include <cutter/container.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STRING_BYTES_MAX = 4096, BYTES_MAX = 1 << 20 };

// Finds what is mapped as shared and writable from the kernel's list, as no model should.
static void scribble(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        char access[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, access) == 3 && strcmp(access, "rw-s") == 0
            && strstr(line, "memfd:cutter-"))
            memset((void *)start, 0xA5, end - start);
    }
    _exit(1);
}

static int predict_floats(void *context, cutter_batch *batch) {
    (void)context;
    float *outputs = cutter_batch_outputs(batch, NULL);
    for (size_t item = 0; item < cutter_batch_count(batch); item++) {
        size_t bytes;
        const float *row = cutter_batch_row(batch, item, &bytes);
        float first = bytes < sizeof first ? 0 : row[0];
        outputs[item] = first;
        if (first == 13) cutter_batch_fail_item(batch, item, "13 is unlucky");
        if (first == 99) _exit(0);
        if (first == 555) scribble();
        if (first == 666) raise(SIGSEGV);
        if (first == 777) for (;;) pause();
        if (first == 1313) return cutter_batch_fail(batch, "1313 is a bad year");
    }
    return 0;
}

static int predict_forgetful(void *context, cutter_batch *batch) {
    static int turn;
    return turn++ % 2 ? 0 : predict_floats(context, batch);
}

static int predict_untyped(void *context, cutter_batch *batch) {
    (void)context;
    size_t elements = 1;
    if (cutter_batch_row_type(batch, 0) != CUTTER_FLOAT32) return 1;
    if (cutter_batch_output_type(batch) != CUTTER_FLOAT32) return 2;
    if (!cutter_batch_row_as(batch, 0, CUTTER_FLOAT32, &elements) || elements != 1) return 3;
    if (!cutter_batch_row_as(batch, 0, CUTTER_ANY, &elements) || elements != 4) return 4;
    if (cutter_batch_row_as(batch, 0, CUTTER_FLOAT64, &elements) || elements != 0) return 5;
    if (cutter_error_status() != CUTTER_ERROR_TYPE) return 6;
    if (cutter_batch_row_as(batch, 0, 77, NULL)) return 7;
    if (cutter_error_status() != CUTTER_ERROR_ARGUMENT) return 8;
    if (cutter_batch_output_as(batch, 0, CUTTER_INT32, &elements) || elements != 0) return 9;
    if (cutter_batch_outputs_as(batch, CUTTER_FLOAT64, NULL)) return 10;
    return cutter_batch_fail(batch, cutter_error_text());
}

static int predict_fail(void *context, cutter_batch *batch) {
    (void)context;
    return cutter_batch_fail(batch, "this model always fails");
}

static int predict_nonzero(void *context, cutter_batch *batch) {
    (void)context, (void)batch;
    return 3;
}

static int count_accepted(cutter_batch *batch) {
    size_t count = cutter_batch_count(batch), beyond = count, huge = (size_t)-1, bytes = 1;
    char little[1];
    cutter_batch *next = batch;
    cutter_container *container = NULL;
    cutter_model untyped = {0};
    int accepted = 0;
    accepted += cutter_batch_row(batch, beyond, &bytes) != NULL || bytes != 0;
    accepted += cutter_batch_row(batch, huge, NULL) != NULL;
    accepted += cutter_batch_row(NULL, 0, NULL) != NULL;
    accepted += cutter_batch_count(NULL) != 0;
    accepted += cutter_batch_deadline_ns(NULL) != 0;
    accepted += cutter_batch_dense(NULL, NULL, NULL) != NULL;
    accepted += cutter_batch_output(batch, beyond) != NULL;
    accepted += cutter_batch_outputs(NULL, NULL) != NULL;
    accepted += cutter_batch_gather(batch, little, 1, sizeof little) != CUTTER_ERROR_LENGTH;
    accepted += cutter_batch_gather(batch, little, huge, huge) != CUTTER_ERROR_LENGTH;
    accepted += cutter_batch_gather(batch, NULL, 64, 64 * count) != CUTTER_ERROR_ARGUMENT;
    accepted += cutter_batch_set_output_bytes(batch, 0, 3) != CUTTER_ERROR_LENGTH;
    accepted += cutter_batch_set_output_bytes(batch, beyond, 4) != CUTTER_ERROR_ITEM;
    accepted += cutter_batch_write_output(batch, beyond, "1234", 4) != CUTTER_ERROR_ITEM;
    accepted += cutter_batch_write_output(batch, 0, "123456", 6) != CUTTER_ERROR_LENGTH;
    accepted += cutter_batch_write_output(batch, 0, NULL, 4) != CUTTER_ERROR_ARGUMENT;
    accepted += cutter_batch_fail_item(batch, beyond, NULL) != CUTTER_ERROR_ITEM;
    accepted += cutter_batch_complete(NULL) != CUTTER_ERROR_ARGUMENT;
    accepted += cutter_batch_fail(NULL, NULL) != CUTTER_ERROR_ARGUMENT;
    accepted += cutter_next(NULL, 0, &next) != CUTTER_ERROR_ARGUMENT || next != NULL;
    accepted += cutter_connect(NULL, &container) != CUTTER_ERROR_ARGUMENT;
    accepted += cutter_connect(&untyped, &container) != CUTTER_ERROR_ARGUMENT;
    accepted += cutter_connect(&untyped, NULL) != CUTTER_ERROR_ARGUMENT;
    accepted += cutter_serve(&untyped, NULL, NULL) != CUTTER_ERROR_ARGUMENT;
    accepted += cutter_socket(NULL) != -1;
    cutter_close(NULL);
    return accepted;
}

// Uses the batch of before, and gives this one back twice.
static int predict_misuse(void *context, cutter_batch *batch) {
    int *accepted = context;
    *accepted += count_accepted(batch);
    float *outputs = cutter_batch_outputs(batch, NULL);
    for (size_t item = 0; item < cutter_batch_count(batch); item++)
        outputs[item] = (float)*accepted;
    *accepted += cutter_batch_complete(batch) != CUTTER_OK;
    *accepted += cutter_batch_complete(batch) != CUTTER_ERROR_NO_BATCH;
    *accepted += cutter_batch_fail(batch, "twice") != CUTTER_ERROR_NO_BATCH;
    *accepted += cutter_batch_fail_item(batch, 0, "late") != CUTTER_ERROR_NO_BATCH;
    *accepted += cutter_batch_row(batch, 0, NULL) != NULL;
    *accepted += cutter_batch_output(batch, 0) != NULL;
    *accepted += cutter_batch_count(batch) != 0;
    return 0;
}

static int predict_strings(void *context, cutter_batch *batch) {
    (void)context;
    for (size_t item = 0; item < cutter_batch_count(batch); item++) {
        size_t bytes;
        const char *text = cutter_batch_row(batch, item, &bytes);
        if (bytes == 4 && memcmp(text, "fail", 4) == 0)
            cutter_batch_fail_item(batch, item, "as you wish: \xC3\xA9");
        else if (cutter_batch_write_output(batch, item, text, bytes) != CUTTER_OK)
            cutter_batch_fail_item(batch, item, cutter_error_text());
    }
    return 0;
}

static int predict_bytes(void *context, cutter_batch *batch) {
    (void)context;
    for (size_t item = 0; item < cutter_batch_count(batch); item++) {
        size_t bytes;
        const void *input = cutter_batch_row(batch, item, &bytes);
        if (cutter_batch_set_output_bytes(batch, item, bytes) == CUTTER_OK)
            memcpy(cutter_batch_output(batch, item), input, bytes);
        else
            cutter_batch_fail_item(batch, item, cutter_error_text());
    }
    return 0;
}

static int forget(const cutter_model *model) {
    cutter_container *container;
    cutter_batch *batch, *next;
    if (cutter_connect(model, &container) != CUTTER_OK) return 1;
    if (cutter_next(container, -1, &batch) != CUTTER_OK) return 1;
    if (cutter_next(container, 0, &next) != CUTTER_ERROR_BATCH_IN_HAND || next) return 1;
    cutter_close(container);
    pause();
    return 0;
}

static int fail(const char *text);

// A refused container tries again, and so does one that is connected.
static int twice(const cutter_model *model) {
    cutter_container *container, *second;
    cutter_batch *batch;
    cutter_status first = cutter_connect(model, &container);
    if (cutter_connect(model, &second) != CUTTER_ERROR_CONNECT || second) return 2;
    if (first != CUTTER_OK) return fail(cutter_error_text());
    while (cutter_next(container, -1, &batch) == CUTTER_OK)
        cutter_batch_fail(batch, cutter_error_text());
    cutter_close(container);
    return 0;
}

static int fail(const char *text) {
    fprintf(stderr, "fragile: %s\n", text);
    return 1;
}

int main(int argc, char **argv) {
    const char *mode = argc == 2 ? argv[1] : "";
    cutter_spec scalar = cutter_scalar(CUTTER_FLOAT32);
    int accepted = 0;
    struct {
        const char *mode;
        cutter_spec output;
        cutter_predict predict;
    } modes[] = {
        {"floats", scalar, predict_floats},
        {"forgetful", scalar, predict_forgetful},
        {"untyped", scalar, predict_untyped},
        {"twice", scalar, NULL},
        {"fail", scalar, predict_fail},
        {"nonzero", scalar, predict_nonzero},
        {"misuse", scalar, predict_misuse},
        {"strings", cutter_at_most(CUTTER_STRING, STRING_BYTES_MAX), predict_strings},
        {"bytes", cutter_at_most(CUTTER_BYTES, BYTES_MAX), predict_bytes},
        {"forget", scalar, NULL},
    };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(mode, modes[i].mode) != 0) continue;
        cutter_model model = {.output = modes[i].output};
        if (strcmp(mode, "twice") == 0) return twice(&model);
        if (!modes[i].predict) return forget(&model);
        cutter_status status = cutter_serve(&model, modes[i].predict, &accepted);
        return status == CUTTER_OK ? 0 : fail(cutter_error_text());
    }
    return fail("the first argument is one of the modes that the source lists");
}
