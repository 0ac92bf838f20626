// The sum of the floats of each input.
#include <cutter/container.h>
#include <stdio.h>

static int predict(void *context, cutter_batch *batch) {
    (void)context;
    float *sums = cutter_batch_outputs(batch, NULL);
    for (size_t item = 0; item < cutter_batch_count(batch); item++) {
        size_t bytes, i = 0;
        const float *row = cutter_batch_row(batch, item, &bytes);
        float lanes[16] = {0};  // Sums side by side, for vector registers.
        for (; i + 16 <= bytes / sizeof *row; i += 16)
            for (int lane = 0; lane < 16; lane++) lanes[lane] += row[i + lane];
        for (; i < bytes / sizeof *row; i++) lanes[0] += row[i];
        for (sums[item] = 0, i = 0; i < 16; i++) sums[item] += lanes[i];
    }
    return 0;
}

int main(void) {
    cutter_model model = {.output = cutter_scalar(CUTTER_FLOAT32)};
    if (cutter_serve_with(&model, CUTTER_WARM_UP, predict, NULL) == CUTTER_OK) return 0;
    return fprintf(stderr, "sum: %s\n", cutter_error_text()), 1;
}
