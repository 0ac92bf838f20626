// Serve a model with Cutter: the container SDK for C. For C++ see container.hpp.
//
// A container is a process that runs one model. It connects to the engine, takes batches of rows
// that it reads in place, writes the outputs in place, and gives the batch back. A complete one:
//
//     #include <cutter/container.h>
//     #include <stdio.h>
//
//     static int predict(void *context, cutter_batch *batch) {
//         (void)context;
//         float *sums = cutter_batch_outputs(batch, NULL);
//         for (size_t item = 0; item < cutter_batch_count(batch); item++) {
//             size_t bytes;
//             const float *row = cutter_batch_row(batch, item, &bytes);
//             sums[item] = 0;
//             for (size_t i = 0; i < bytes / sizeof *row; i++) sums[item] += row[i];
//         }
//         return 0;
//     }
//
//     int main(void) {
//         cutter_model model = {.output = cutter_scalar(CUTTER_FLOAT32)};
//         if (cutter_serve(&model, predict, NULL) == CUTTER_OK) return 0;
//         fprintf(stderr, "sum: %s\n", cutter_error_text());
//         return 1;
//     }
//
// Build it with: cc -O3 sum.c -o sum $(pkg-config --cflags --libs cutter-container)
//
// cutter_serve() owns the loop. A model with a loop of its own pulls: cutter_connect(),
// cutter_next(), cutter_batch_complete() or cutter_batch_fail(), cutter_close().
//
// The engine finds the container when it starts it, as the configuration's `command`; or the
// container finds the engine by CUTTER_SOCKET in its environment.
//
// Rules
// - A connection and its batch are used by one thread at a time. A connection has one batch at a
//   time.
// - Rows and outputs are memory shared with the engine: touch them only while the batch is in hand.
// - Lengths and strides are in bytes, times in nanoseconds. Numbers are in the machine's own
//   format.
// - A wrong argument gives an error, never a crash, as far as it can be told: a pointer to
//   something that was closed cannot.
//
// Written by tests/sdk/header.rs from the SDK's sources; not to be edited.


#ifndef CUTTER_CONTAINER_H
#define CUTTER_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

// Dimensions of a tensor at most.
#define CUTTER_RANK_MAX 8

// An option of cutter_serve_with() and cutter_connect_with(): before the container gets its first
// query, the engine may try batches of 1, 2, 4, ... inputs of zeros, drop what comes of them, and
// know then how long batches take.
//
// Not for a model that keeps something of what it is asked, or does something with it besides the
// answer: counts, logs, learns, calls somebody.
#define CUTTER_WARM_UP 1

// What a call came to. Errors are negative; cutter_error_text() says more.
typedef enum {
    // Done.
    CUTTER_OK = 0,
    // The engine asks the container to end: leave the loop.
    CUTTER_STOP = 1,
    // No batch came in the time allowed.
    CUTTER_IDLE = 2,
    // A pointer is NULL that must not be, or a model description means nothing.
    CUTTER_ERROR_ARGUMENT = -1,
    // The batch has no item of this index.
    CUTTER_ERROR_ITEM = -2,
    // These bytes do not fit, or are not an output of the declared type.
    CUTTER_ERROR_LENGTH = -3,
    // The batch was given back already.
    CUTTER_ERROR_NO_BATCH = -4,
    // The batch in hand must be given back before the next one comes.
    CUTTER_ERROR_BATCH_IN_HAND = -5,
    // The engine was not found, or the handshake with it failed.
    CUTTER_ERROR_CONNECT = -6,
    // The engine does not want this container.
    CUTTER_ERROR_REFUSED = -7,
    // The engine is gone, or breaks the protocol.
    CUTTER_ERROR_ENGINE = -8,
    // A bug in the SDK.
    CUTTER_ERROR_INTERNAL = -9,
    // Elements of another type were asked for.
    CUTTER_ERROR_TYPE = -10,
    // The batch was given back, but outputs were missing: those items failed, or the batch.
    CUTTER_ERROR_UNWRITTEN = -11,
} cutter_status;

// Element types. A string is UTF-8 without a terminating zero.
typedef enum {
    // Of an input: whatever the application sends. No output is of this type.
    CUTTER_ANY = 0,
    // uint8_t
    CUTTER_BYTES = 1,
    // int32_t
    CUTTER_INT32 = 2,
    // float
    CUTTER_FLOAT32 = 3,
    // double
    CUTTER_FLOAT64 = 4,
    // char
    CUTTER_STRING = 5,
} cutter_type;

// A batch in hand: rows to read in place, outputs to write in place.
typedef struct cutter_batch cutter_batch;

// A connection to the engine. Use it from one thread at a time.
typedef struct cutter_container cutter_container;

// What one item is: an element type, and a shape or a bound on its bytes. All zero means
// CUTTER_ANY.
typedef struct {
    // A cutter_type.
    uint32_t type;
    // Dimensions in use; 0 is a scalar.
    uint32_t rank;
    // The dimensions, outermost first.
    uint32_t shape[CUTTER_RANK_MAX];
    // When not 0: items have lengths of their own, of at most this many bytes; rank is 0.
    uint32_t bytes_max;
} cutter_spec;

// What the engine is told of a model. Set the fields that matter; zero is right for the others.
typedef struct {
    // What the model gives for each item.
    cutter_spec output;
    // What it takes. The engine refuses to link it with an application of another input.
    cutter_spec input;
    // Items that it takes in one batch; 0 for any number.
    uint32_t items_max;
    // Which model of the configuration this is. It matters only for a container that is started
    // by hand, where CUTTER_MODEL=name:version in the environment overrides it. May be NULL.
    const char *name;
    // May be NULL.
    const char *version;
} cutter_model;

// Predicts one batch: reads its rows, writes its outputs, and returns 0.
//
// To fail the whole batch: return cutter_batch_fail(batch, "why"). Another return value than 0
// fails it too, without a reason. The container lives on. An item whose output was not written
// fails, and so does a batch of which nothing was written.
//
// No C++ exception may leave it: that ends the process. cutter::serve() of container.hpp catches
// them, and fails the batch.
typedef int (*cutter_predict)(void *context, cutter_batch *batch);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// What the last call that failed in this thread has to say, as UTF-8; never NULL.
//
// The text stays until the next call of this thread fails.
const char *cutter_error_text(void);

// The code of the last call that failed in this thread, for those that give NULL; CUTTER_OK when
// none has.
cutter_status cutter_error_status(void);

// The version of the library: major.minor.patch.
const char *cutter_version(void);

// One element.
cutter_spec cutter_scalar(uint32_t type);

// A vector of exactly this many elements. For more dimensions fill a cutter_spec.
cutter_spec cutter_vector(uint32_t type, uint32_t elements);

// Items with lengths of their own, of at most this many bytes: the usual thing for CUTTER_STRING.
cutter_spec cutter_at_most(uint32_t type, uint32_t bytes_max);

// Connects, and calls predict for batch after batch until the engine asks the container to end.
//
// Load the model first: batches come from here on. CUTTER_OK when the engine asked; else an error.
// context is handed on to predict.
cutter_status cutter_serve(const cutter_model *model, cutter_predict predict, void *context);

// The same with options, as CUTTER_WARM_UP: one, or several joined by |.
cutter_status cutter_serve_with(const cutter_model *model,
                                uint32_t options,
                                cutter_predict predict,
                                void *context);

// Connects to the engine. For a model with a loop of its own; others use cutter_serve().
//
// The engine sends batches from the first call of cutter_next() on: a model may load before that,
// or before it connects. On CUTTER_OK, *container is to be closed with cutter_close(); else it is
// NULL. A process that the engine started connects once: the socket that it inherited is taken by
// the first call, whatever comes of it.
cutter_status cutter_connect(const cutter_model *model, cutter_container **container);

// The same with options, as CUTTER_WARM_UP: one, or several joined by |.
cutter_status cutter_connect_with(const cutter_model *model,
                                  uint32_t options,
                                  cutter_container **container);

// Waits for the next batch: for at most timeout_ns nanoseconds, forever when it is negative; with
// 0 it only looks. The first call tells the engine that the model is ready.
//
// CUTTER_OK: *batch is in hand until cutter_batch_complete() or cutter_batch_fail() gives it back.
// CUTTER_IDLE: none came. CUTTER_STOP: the engine asks the container to end. Else an error. Unless
// CUTTER_OK, *batch is NULL.
cutter_status cutter_next(cutter_container *container, int64_t timeout_ns, cutter_batch **batch);

// A descriptor that becomes readable when the engine is gone or has something to say, for an event
// loop; -1 for NULL.
//
// Then call cutter_next() with a timeout of 0: it hears what there is, and tells an end as an
// error. Batches do not show on it: ask cutter_next() all the same.
int cutter_socket(const cutter_container *container);

// Ends the connection. A batch in hand fails. NULL is allowed.
void cutter_close(cutter_container *container);

// The number of items, at least 1; 0 when the batch was given back, or is NULL.
size_t cutter_batch_count(const cutter_batch *batch);

// When the first query of the batch is due: nanoseconds on CLOCK_MONOTONIC. Advice; 0 when the
// batch was given back, or is NULL.
uint64_t cutter_batch_deadline_ns(const cutter_batch *batch);

// The input of one item, in shared memory, aligned to 64 bytes; *bytes is its length. NULL when
// there is no such item. bytes may be NULL.
//
// It is read-only memory, and good until the batch is given back.
const void *cutter_batch_row(const cutter_batch *batch, size_t item, size_t *bytes);

// As cutter_batch_row(), for elements of one cutter_type; *elements is their number. NULL when the
// input is of another type: what an application sends may change without a change of the model.
// Strings are also had as bytes, and bytes as strings; CUTTER_ANY is the bytes of every type.
const void *cutter_batch_row_as(const cutter_batch *batch,
                                size_t item,
                                uint32_t type,
                                size_t *elements);

// The cutter_type of the input of one item; CUTTER_ANY when there is no such item.
cutter_type cutter_batch_row_type(const cutter_batch *batch, size_t item);

// The cutter_type of the outputs; CUTTER_ANY when the batch was given back.
cutter_type cutter_batch_output_type(const cutter_batch *batch);

// All inputs as one matrix, when they lie so; nearly always. Else NULL: read each row for itself,
// or gather them.
//
// All rows have *row_bytes bytes, and one starts *stride_bytes after the other, a multiple of 64.
// Both pointers may be NULL.
const void *cutter_batch_dense(const cutter_batch *batch, size_t *row_bytes, size_t *stride_bytes);

// Copies all rows to a buffer of the model, each to the start of its own stride_bytes; what a
// shorter row leaves of them is zeroed. into_bytes is the size of the buffer.
cutter_status cutter_batch_gather(const cutter_batch *batch,
                                  void *into,
                                  size_t stride_bytes,
                                  size_t into_bytes);

// The place for all outputs, in shared memory, aligned to 64 bytes: item i starts i *
// *stride_bytes after it. NULL when the batch was given back. stride_bytes may be NULL.
//
// It is zeroed when it is first asked for in a batch, and from then on all outputs of a shape
// count as written. They have no gaps. Outputs with lengths of their own start at multiples of 8;
// say how long each is with cutter_batch_set_output_bytes(), else its item fails.
void *cutter_batch_outputs(cutter_batch *batch, size_t *stride_bytes);

// As cutter_batch_outputs(), for elements of one cutter_type; *stride_elements is the distance
// between two outputs. NULL when the model declared outputs of another type.
void *cutter_batch_outputs_as(cutter_batch *batch, uint32_t type, size_t *stride_elements);

// The place for the output of one item, in shared memory. NULL when there is no such item.
//
// It is zeroed when it is first asked for in a batch, and an output of a shape counts as written
// from then on. An item of which neither the place was asked for nor anything was said fails.
void *cutter_batch_output(cutter_batch *batch, size_t item);

// As cutter_batch_output(), for elements of one cutter_type; *elements is how many there is room
// for. NULL when the model declared outputs of another type.
void *cutter_batch_output_as(cutter_batch *batch, size_t item, uint32_t type, size_t *elements);

// Says how many bytes of its place the output of an item has taken. Only needed for outputs with
// lengths of their own.
cutter_status cutter_batch_set_output_bytes(cutter_batch *batch, size_t item, size_t bytes);

// Copies the output of one item to its place and says how long it is.
cutter_status cutter_batch_write_output(cutter_batch *batch,
                                        size_t item,
                                        const void *output,
                                        size_t bytes);

// Fails one item; the others go on. Its client reads the message, UTF-8 of at most 512 bytes,
// which is copied. NULL is allowed.
cutter_status cutter_batch_fail_item(cutter_batch *batch, size_t item, const char *message);

// Gives the batch back with its outputs. cutter_serve() does this for a predict that returns 0.
// CUTTER_ERROR_UNWRITTEN when outputs are missing; the batch is given back all the same.
cutter_status cutter_batch_complete(cutter_batch *batch);

// Fails the whole batch and gives it back. Its clients read the message, UTF-8 of at most 512
// bytes, which is copied. NULL is allowed. The container lives on.
cutter_status cutter_batch_fail(cutter_batch *batch, const char *message);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CUTTER_CONTAINER_H */
