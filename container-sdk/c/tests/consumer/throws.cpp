// Lets an exception leave a function that is given to the C interface, as no model should.
#include <cutter/container.h>

#include <stdexcept>

int main() {
    cutter_model model{};
    model.output = cutter_scalar(CUTTER_FLOAT32);
    cutter_predict predict = [](void *, cutter_batch *) -> int { throw std::runtime_error("oh"); };
    return cutter_serve(&model, predict, nullptr) == CUTTER_OK ? 0 : 1;
}
