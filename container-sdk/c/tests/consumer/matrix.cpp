// Gives for each input of 4 floats: its sum read in place, its sum out of a gathered copy, and
// whether the batch was dense. An input that begins with -1 makes it throw.
#include <cutter/container.hpp>

#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <vector>

static float sum(std::span<const float> floats) {
    return std::accumulate(floats.begin(), floats.end(), 0.0f);
}

static void predict(cutter::Batch &batch) {
    constexpr std::size_t stride = 6;
    auto outputs = batch.outputs<float>();
    auto dense = batch.dense<float>();
    std::vector<float> gathered(batch.size() * stride, 7.0f);
    batch.gather<float>(gathered, stride);
    for (std::size_t item = 0; item < batch.size(); item++) {
        auto row = dense ? (*dense)[item] : batch.row<float>(item);
        if (row[0] == -1) throw std::runtime_error("-1 is no input");
        outputs[3 * item] = sum(row);
        outputs[3 * item + 1] = sum(std::span(gathered).subspan(item * stride, stride));
        outputs[3 * item + 2] = dense ? 1.0f : 0.0f;
    }
}

int main() try {
    cutter::Model model{.output = cutter::vector<float>(3), .input = cutter::vector<float>(4),
                        .items_max = 16, .name = "matrix", .version = "2"};
    cutter::serve(model, predict);
} catch (const std::exception &error) {
    std::fprintf(stderr, "matrix: %s\n", error.what());
    return 1;
}
