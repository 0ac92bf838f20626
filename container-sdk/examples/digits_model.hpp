// What the models of handwritten digits share: pixels as whole numbers, files, and the way of a
// batch. A model is what remains: what its file holds, and how an image becomes a class.
//
// A row is an image of 28 x 28 floats, 0 for paper and 1 for ink; an answer is a digit, an int32.
// All is counted in whole numbers: no order of summation and no choice of a compiler changes an
// answer, and digits/train_models.py, in another language, finds the same ones.
#pragma once

#include "demo_faults.hpp"

#include <cutter/container.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace digits {

constexpr std::size_t kInputs = 784;
constexpr std::size_t kClasses = 10;
constexpr float kInk = 128;  // a power of two, so that no product is rounded

// An image as models see it: each pixel 0 to 128.
using Image = std::array<std::int16_t, kInputs>;

// Rounds to the nearest; what lies outside 0 to 1 is taken as the end that is nearer, NaN as 0.
inline void read_image(const float *row, Image &image) {
    for (std::size_t i = 0; i < kInputs; i++) {
        const float above = row[i] > 0 ? row[i] : 0;
        const float pixel = above < 1 ? above : 1;
        image[i] = static_cast<std::int16_t>(pixel * kInk + 0.5f);
    }
}

// A file that digits/train_models.py made: 8 bytes of magic, then numbers, little-endian. The
// script describes each. Whatever is wrong with one is thrown, with what to do.
class File {
public:
    File(const std::string &path, std::string_view magic)
        : path_(path), stream_(path, std::ios::binary) {
        static_assert(std::endian::native == std::endian::little, "model files are little-endian");
        if (!stream_) refuse("the file cannot be opened");
        const std::vector<char> begin = numbers<char>(magic.size());
        if (std::string_view(begin.data(), begin.size()) != magic)
            refuse("it does not begin with " + std::string(magic));
    }

    template <class Number>
    std::vector<Number> numbers(std::size_t count) {
        std::vector<Number> numbers(count);
        const auto bytes = static_cast<std::streamsize>(count * sizeof(Number));
        if (!stream_.read(reinterpret_cast<char *>(numbers.data()), bytes))
            refuse("it is cut short");
        return numbers;
    }

    // A size of what follows.
    std::size_t size(const char *of_what, std::size_t max) {
        const std::uint32_t size = numbers<std::uint32_t>(1)[0];
        if (size < 1 || size > max)
            refuse("it holds " + std::to_string(size) + " " + of_what + ", not 1 to "
                   + std::to_string(max));
        return size;
    }

    // Numbers that are each `min` to `max`.
    template <class Number>
    std::vector<Number> numbers(std::size_t count, Number min, Number max) {
        std::vector<Number> all = numbers<Number>(count);
        for (const Number number : all) {
            if (number < min || number > max)
                refuse(std::to_string(number) + " is not " + std::to_string(min) + " to "
                       + std::to_string(max));
        }
        return all;
    }

    // Nothing may follow.
    void end() {
        if (stream_.peek() != std::ifstream::traits_type::eof())
            refuse("it is longer than it says");
    }

    [[noreturn]] void refuse(const std::string &why) const {
        throw std::runtime_error("cannot use the model in '" + path_ + "': " + why
                                 + "; give the path of a file made by digits/train_models.py");
    }

private:
    std::string path_;
    std::ifstream stream_;
};

// The place of the largest score or count; of equal ones the first.
inline std::int32_t largest(std::span<const std::int32_t> scores) {
    const auto place = std::max_element(scores.begin(), scores.end()) - scores.begin();
    return static_cast<std::int32_t>(place);
}

// Answers batches until the engine asks the container to end. `class_of` takes an Image.
template <class ClassOf>
void serve(const ClassOf &class_of) {
    demo::Faults faults(kClasses);
    const cutter::Model model = {
        .output = cutter::scalar<std::int32_t>(),
        .input = cutter::vector<float>(kInputs),
        .warm_up = true,
    };
    cutter::serve(model, [&](cutter::Batch &batch) {
        const std::span<std::int32_t> classes = batch.outputs<std::int32_t>();
        Image image;
        for (std::size_t item = 0; item < batch.size(); item++) {
            read_image(batch.row<float>(item).data(), image);
            classes[item] = class_of(image);
        }
        faults.inflict(classes);
    });
}

// Loads and serves a model, and says why where that cannot be: the end of its main.
template <class Run>
int run(const char *name, const Run &load_and_serve) {
    try {
        load_and_serve();
        return 0;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s: %s\n", name, error.what());
        return 1;
    }
}

}  // namespace digits
