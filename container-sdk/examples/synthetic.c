// A model whose service time is known: FIXED_US + PER_ITEM_US x items, spent busy.
//
// It takes any input and gives, for each item, the number of items in its batch.
//
// With the word wait it sleeps through its time instead, as a model does whose work is on another
// device: several such replicas fit on one core.
//
// With --control PATH the two times can be changed while it runs: PATH is a file of two doubles in
// the machine's own format, FIXED_US and PER_ITEM_US. It is made when absent; when it is there, it
// is what counts, and the arguments are not.
#define _GNU_SOURCE
#include <cutter/container.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const double TIME_US_MAX = 60e6;
static const int64_t SECOND_NS = 1000000000;

struct times {
    double fixed_us;
    double per_item_us;
};

struct model {
    const struct times *times;
    int waits;
};

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

// Until an instant, and not for a time: what came between is not added, however often it is woken.
static void sleep_until(int64_t end_ns) {
    struct timespec end = {.tv_sec = end_ns / SECOND_NS, .tv_nsec = end_ns % SECOND_NS};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR) continue;
}

static int predict(void *context, cutter_batch *batch) {
    int64_t start_ns = now_ns();
    const struct model *model = context;
    // Others may write the file at any time: each time is read once, as a whole.
    const volatile struct times *times = model->times;
    size_t count = cutter_batch_count(batch);
    double service_us = times->fixed_us + times->per_item_us * (double)count;
    float *outputs = cutter_batch_outputs(batch, NULL);
    for (size_t item = 0; item < count; item++) outputs[item] = (float)count;
    if (!(service_us >= 0 && service_us <= TIME_US_MAX))
        return cutter_batch_fail(batch, "the service time is not between 0 and 60 s");
    int64_t end_ns = start_ns + (int64_t)(service_us * 1e3);
    if (model->waits) sleep_until(end_ns);
    while (now_ns() < end_ns) continue;
    return 0;
}

static const struct times *map_control(const char *path, struct times times) {
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat stat;
    if (file < 0 || fstat(file, &stat) < 0) return NULL;
    if (stat.st_size < (off_t)sizeof times
        && pwrite(file, &times, sizeof times, 0) != (ssize_t)sizeof times) return NULL;
    void *map = mmap(NULL, sizeof times, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    return map == MAP_FAILED ? NULL : map;
}

static int read_us(const char *text, double *us) {
    char *end;
    *us = strtod(text, &end);
    return end != text && *end == '\0' && *us >= 0 && *us <= TIME_US_MAX;
}

int main(int argc, char **argv) {
    struct times given;
    struct model model = {.times = &given};
    const char *control = NULL;
    int known = argc >= 3 && read_us(argv[1], &given.fixed_us)
        && read_us(argv[2], &given.per_item_us);
    int word = 3;
    if (known && word < argc && strcmp(argv[word], "wait") == 0) model.waits = 1, word++;
    if (known && word + 1 < argc && strcmp(argv[word], "--control") == 0) {
        control = argv[word + 1];
        word += 2;
    }
    if (!known || word != argc) {
        fprintf(stderr, "usage: synthetic FIXED_US PER_ITEM_US [wait] [--control PATH]\n");
        return 2;
    }
    if (control && !(model.times = map_control(control, given))) {
        fprintf(stderr, "synthetic: %s: %s\n", control, strerror(errno));
        return 1;
    }
    // Of a sleep the kernel may make 50 us more, to wake several sleepers at once; not of these.
    if (model.waits) prctl(PR_SET_TIMERSLACK, 1);
    cutter_model described = {.output = cutter_scalar(CUTTER_FLOAT32)};
    if (cutter_serve_with(&described, CUTTER_WARM_UP, predict, &model) == CUTTER_OK) return 0;
    fprintf(stderr, "synthetic: %s\n", cutter_error_text());
    return 1;
}
