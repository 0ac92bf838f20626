// neighbours: the class of a handwritten digit is that of the most similar image it remembers.
//
//     neighbours digits/neighbours.bin
//
// The most similar is the one with the smallest sum of squared differences, pixel by pixel; of
// equally similar ones the first.

#include "digits_model.hpp"

namespace {

using digits::Image;
using digits::kClasses;
using digits::kInputs;

constexpr std::size_t kImagesMax = 1024;
constexpr std::uint8_t kPixelMax = 128;
static_assert(kInputs * kPixelMax * kPixelMax < (1u << 31), "a distance fits");

struct Memory {
    std::vector<Image> images;
    std::vector<std::uint8_t> classes;

    explicit Memory(digits::File file) : images(file.size("images", kImagesMax)) {
        classes = file.numbers<std::uint8_t>(images.size(), 0, kClasses - 1);
        for (Image &image : images) {
            const auto pixels = file.numbers<std::uint8_t>(kInputs, 0, kPixelMax);
            std::copy(pixels.begin(), pixels.end(), image.begin());
        }
        file.end();
    }

    std::int32_t class_of(const Image &asked) const {
        std::size_t nearest = 0;
        std::int32_t nearest_distance = INT32_MAX;
        for (std::size_t i = 0; i < images.size(); i++) {
            const std::int32_t distance = squared_distance(images[i], asked);
            if (distance < nearest_distance) {
                nearest = i;
                nearest_distance = distance;
            }
        }
        return classes[nearest];
    }

    static std::int32_t squared_distance(const Image &one, const Image &other) {
        std::int32_t sum = 0;
        for (std::size_t i = 0; i < kInputs; i++) {
            // 16 bits wide, so that a vector of them is squared and summed up in one instruction.
            const auto difference = static_cast<std::int16_t>(one[i] - other[i]);
            sum += difference * difference;
        }
        return sum;
    }
};

}  // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: neighbours FILE\n");
        return 2;
    }
    return digits::run("neighbours", [&] {
        const Memory memory(digits::File(argv[1], "CUTNEAR1"));
        digits::serve([&](const Image &image) { return memory.class_of(image); });
    });
}
