// forest: the class of a handwritten digit for which most of its decision trees vote.
//
//     forest digits/forest.bin                all trees of the file
//     forest digits/forest.bin FIRST COUNT    COUNT trees from FIRST on; FIRST counts from 0
//
// So one file is many models: trees 0 to 4, trees 5 to 9, and so on.
//
// A tree asks `depth` questions, each about one pixel, and then names a class:
//
//                  question 0
//        at most ╱            ╲ more
//         question 1        question 2
//          ╱      ╲          ╱      ╲
//      class 0  class 1  class 2  class 3        (depth 2)

#include "digits_model.hpp"

#include <charconv>
#include <cstring>

namespace {

using digits::Image;
using digits::kClasses;
using digits::kInputs;

constexpr std::size_t kTreesMax = 1000;
constexpr std::size_t kDepthMax = 12;

struct Question {
    std::uint16_t pixel;
    std::uint16_t threshold;
};

struct Tree {
    std::vector<Question> questions;
    std::vector<std::uint8_t> classes;

    Tree(digits::File &file, std::size_t depth) {
        const std::size_t classes_count = std::size_t{1} << depth;
        for (std::size_t i = 0; i + 1 < classes_count; i++) {
            const std::uint16_t pixel = file.numbers<std::uint16_t>(1, 0, kInputs - 1)[0];
            questions.push_back({pixel, file.numbers<std::uint16_t>(1)[0]});
        }
        classes = file.numbers<std::uint8_t>(classes_count, 0, kClasses - 1);
    }

    std::uint8_t class_of(const Image &image) const {
        std::size_t at = 0;
        while (at < questions.size()) {
            const auto [pixel, threshold] = questions[at];
            at = 2 * at + (image[pixel] <= threshold ? 1 : 2);
        }
        return classes[at - questions.size()];
    }
};

struct Forest {
    std::vector<Tree> trees;

    explicit Forest(digits::File file) {
        const std::size_t count = file.size("trees", kTreesMax);
        const std::size_t depth = file.size("questions a tree", kDepthMax);
        for (std::size_t i = 0; i < count; i++) trees.emplace_back(file, depth);
        file.end();
    }

    // Forgets all other trees.
    void keep(std::size_t first, std::size_t count) {
        if (count < 1 || first > trees.size() || count > trees.size() - first)
            throw std::runtime_error("there are no " + std::to_string(count) + " trees from tree "
                                     + std::to_string(first) + " on; the file holds "
                                     + std::to_string(trees.size()));
        trees = {trees.begin() + first, trees.begin() + first + count};
    }

    std::int32_t class_of(const Image &image) const {
        std::array<std::int32_t, kClasses> votes{};
        for (const Tree &tree : trees) votes[tree.class_of(image)]++;
        return digits::largest(votes);
    }
};

bool read_number(const char *text, std::size_t &number) {
    const char *const end = text + std::strlen(text);
    const auto [rest, error] = std::from_chars(text, end, number);
    return error == std::errc() && rest == end;
}

}  // namespace

int main(int argc, char **argv) {
    std::size_t first = 0, count = 0;
    const bool part = argc == 4 && read_number(argv[2], first) && read_number(argv[3], count);
    if (argc != 2 && !part) {
        std::fprintf(stderr, "usage: forest FILE [FIRST COUNT]\n");
        return 2;
    }
    return digits::run("forest", [&] {
        Forest forest(digits::File(argv[1], "CUTTREES"));
        if (part) forest.keep(first, count);
        digits::serve([&](const Image &image) { return forest.class_of(image); });
    });
}
