// Takes any input, looks at nothing and gives 0: what the way to a model and back costs.
#include <cutter/container.h>
#include <stdio.h>

// The outputs are 0 when they are asked for.
static int predict(void *context, cutter_batch *batch) {
    (void)context;
    return cutter_batch_outputs(batch, NULL) ? 0 : 1;
}

int main(void) {
    cutter_model model = {.output = cutter_scalar(CUTTER_FLOAT32)};
    if (cutter_serve_with(&model, CUTTER_WARM_UP, predict, NULL) == CUTTER_OK) return 0;
    fprintf(stderr, "noop: %s\n", cutter_error_text());
    return 1;
}
