// mlp: the class of a handwritten digit by a network with one layer of hidden units.
//
//     mlp digits/mlp-small.bin
//
//     784 pixels ──weights, bias──▶ hidden units, at least 0 ──weights, bias──▶ 10 scores
//
// The class with the largest score is the answer; of equal scores the first wins.

#include "digits_model.hpp"

#include <algorithm>

namespace {

using digits::Image;
using digits::kClasses;
using digits::kInputs;

constexpr std::size_t kHiddenMax = 256;

// Keeps hidden units within 16 bits: (784 x 128 x 127 + kBiasMax) >> kShift is below 2^15.
constexpr int kShift = 9;
constexpr std::int32_t kBiasMax = 1 << 21;
static_assert(((kInputs * 128 * 127 + kBiasMax) >> kShift) < (1 << 15), "hidden units fit");
static_assert(kHiddenMax * (1 << 15) * 128 + kBiasMax < (1u << 31), "scores fit");

// One layer: the weights of a unit stand together. They are 8 bits wide, and 16 in memory, where a
// vector of them is multiplied and summed up in one instruction.
struct Layer {
    std::vector<std::int16_t> weights;
    std::vector<std::int32_t> bias;

    Layer(digits::File &file, std::size_t units, std::size_t inputs) {
        const auto narrow = file.numbers<std::int8_t>(units * inputs);
        weights.assign(narrow.begin(), narrow.end());
        bias = file.numbers<std::int32_t>(units, -kBiasMax, kBiasMax);
    }

    std::int32_t sum(std::size_t unit, std::span<const std::int16_t> inputs) const {
        const std::int16_t *const weights_of_unit = &weights[unit * inputs.size()];
        std::int32_t sum = bias[unit];
        for (std::size_t i = 0; i < inputs.size(); i++) sum += inputs[i] * weights_of_unit[i];
        return sum;
    }
};

struct Network {
    std::size_t units;
    Layer hidden;
    Layer scores;

    explicit Network(digits::File file)
        : units(file.size("hidden units", kHiddenMax)), hidden(file, units, kInputs),
          scores(file, kClasses, units) {
        file.end();
    }

    std::int32_t class_of(const Image &image) const {
        std::array<std::int16_t, kHiddenMax> active;
        for (std::size_t unit = 0; unit < units; unit++) {
            const std::int32_t sum = std::max(hidden.sum(unit, image), 0);
            active[unit] = static_cast<std::int16_t>(sum >> kShift);
        }
        std::array<std::int32_t, kClasses> score;
        for (std::size_t digit = 0; digit < kClasses; digit++)
            score[digit] = scores.sum(digit, {active.data(), units});
        return digits::largest(score);
    }
};

}  // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: mlp FILE\n");
        return 2;
    }
    return digits::run("mlp", [&] {
        const Network network(digits::File(argv[1], "CUTMLP_1"));
        digits::serve([&](const Image &image) { return network.class_of(image); });
    });
}
