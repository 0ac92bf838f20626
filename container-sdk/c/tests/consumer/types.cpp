// A model of float32 that asks for something else in the way that its argument names: the batch
// fails with what the wrapper says to that.
#include <cutter/container.hpp>

#include <cstdio>
#include <string>
#include <vector>

static void predict(const std::string &mode, cutter::Batch &batch) {
    if (mode == "row") batch.row<double>(0);
    if (mode == "text") batch.text(0);
    if (mode == "dense") batch.dense<std::int32_t>();
    if (mode == "gather") {
        std::vector<double> all(batch.size());
        batch.gather<double>(all, 1);
    }
    if (mode == "outputs") batch.outputs<double>();
    if (mode == "output") batch.output<char>(0);
    // The bytes of every type may be had.
    if (batch.row<std::byte>(0).size() != sizeof(float)) throw std::runtime_error("bytes");
    auto outputs = batch.outputs<std::byte>();
    if (outputs.size() != batch.size() * sizeof(float)) throw std::runtime_error("output bytes");
    for (auto byte : outputs)
        if (byte != std::byte{0}) throw std::runtime_error("not cleared");
}

int main(int argc, char **argv) try {
    std::string mode = argc > 1 ? argv[1] : "";
    cutter::serve({.output = cutter::scalar<float>()},
                  [&](cutter::Batch &batch) { predict(mode, batch); });
} catch (const std::exception &error) {
    std::fprintf(stderr, "types: %s\n", error.what());
    return 1;
}
