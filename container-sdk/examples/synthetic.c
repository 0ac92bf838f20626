// A model whose service time is known: FIXED_US + PER_ITEM_US x items, spent busy.
//
// It takes any input and gives, for each item, the number of items in its batch.
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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const double TIME_US_MAX = 60e6;

struct times {
    double fixed_us;
    double per_item_us;
};

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

static int predict(void *context, cutter_batch *batch) {
    double start_us = now_us();
    // Others may write the file at any time: each time is read once, as a whole.
    const volatile struct times *times = context;
    size_t count = cutter_batch_count(batch);
    double service_us = times->fixed_us + times->per_item_us * (double)count;
    float *outputs = cutter_batch_outputs(batch, NULL);
    for (size_t item = 0; item < count; item++) outputs[item] = (float)count;
    if (!(service_us >= 0 && service_us <= TIME_US_MAX))
        return cutter_batch_fail(batch, "the service time is not between 0 and 60 s");
    while (now_us() - start_us < service_us) continue;
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
    const struct times *times = &given;
    int controlled = argc == 5 && strcmp(argv[3], "--control") == 0;
    if ((argc != 3 && !controlled) || !read_us(argv[1], &given.fixed_us)
        || !read_us(argv[2], &given.per_item_us)) {
        fprintf(stderr, "usage: synthetic FIXED_US PER_ITEM_US [--control PATH]\n");
        return 2;
    }
    if (controlled && !(times = map_control(argv[4], given))) {
        fprintf(stderr, "synthetic: %s: %s\n", argv[4], strerror(errno));
        return 1;
    }
    cutter_model model = {.output = cutter_scalar(CUTTER_FLOAT32)};
    if (cutter_serve(&model, predict, (void *)times) == CUTTER_OK) return 0;
    fprintf(stderr, "synthetic: %s\n", cutter_error_text());
    return 1;
}
