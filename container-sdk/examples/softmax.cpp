// softmax: the class of a handwritten digit by a linear model of 784 inputs and 10 classes.
//
//     softmax digits/weights.bin     as good as a linear model gets: 0.96 of the images right
//     softmax digits/linear.bin      from few images: one of the models that demos choose among
//
// The largest logit is the largest probability too, so the exponentials of a softmax are never
// needed to name the class. digits/train.py and train_models.py make the weights; the first
// describes their file.

#include "demo_faults.hpp"

#include <cutter/container.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

namespace softmax {

constexpr std::size_t kInputs = 784;
constexpr std::size_t kClasses = 10;
constexpr std::size_t kLanes = 4;       // floats in a vector of any x86-64 or arm64
constexpr std::size_t kVectors = 3;     // hold all classes and two lanes of padding
constexpr std::size_t kRowsAtOnce = 4;  // 4 x 3 vectors of sums fit in 16 registers

using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

// The weights of one input stand together: they are multiplied by the same value of a row.
// Padding lanes are zero and are never looked at.
struct alignas(64) Weights {
  Lanes of_input[kInputs][kVectors];
  Lanes bias[kVectors];
};

// Reads the file that digits/train.py writes. Throws std::runtime_error if it is anything else.
std::unique_ptr<Weights> load_weights(const std::string& path);

// Sums up the logits of `count` rows and writes the class with the largest one of each row to
// `out_class`; of equal logits the first wins. A row is 784 floats; the next row begins
// `stride_bytes` after the one before, a multiple of alignof(float).
void classify(const float* rows, std::size_t stride_bytes, std::size_t count,
              const Weights& weights, std::int32_t* out_class);

namespace {

static_assert(std::endian::native == std::endian::little, "weight files are little-endian");

struct Header {
  std::array<char, 8> magic;
  std::uint32_t inputs;
  std::uint32_t classes;
};

// The file as it lies on disk.
struct File {
  Header header;
  float of_input[kInputs][kClasses];
  float bias[kClasses];
};
static_assert(sizeof(File) == 16 + 4 * (kInputs * kClasses + kClasses), "no padding");

constexpr std::array<char, 8> kMagic = {'C', 'U', 'T', 'S', 'M', 'A', 'X', '1'};

// Blocks of Rows rows share each load of the weights. The vectors are spelled out because plain
// loops are left to luck: GCC 12 vectorised them well at -O2 and several times worse at -O3. The
// loops over a block must be unrolled, or the sums live in memory and each addition waits for a
// store; -O2 needs the pragmas for that.
// Every sum runs from the bias over the inputs in order, so Rows changes nothing but the speed.
template <std::size_t Rows>
void classify_block(const std::byte* block, std::size_t stride_bytes, const Weights& weights,
                     std::int32_t* out_class) {
  const float* row[Rows];
  Lanes sum[Rows][kVectors];
#pragma GCC unroll 4
  for (std::size_t r = 0; r < Rows; ++r) {
    row[r] = reinterpret_cast<const float*>(block + r * stride_bytes);
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = weights.bias[v];
  }
  for (std::size_t i = 0; i < kInputs; ++i) {
#pragma GCC unroll 4
    for (std::size_t r = 0; r < Rows; ++r) {
#pragma GCC unroll 3
      for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] += row[r][i] * weights.of_input[i][v];
    }
  }
#pragma GCC unroll 4
  for (std::size_t r = 0; r < Rows; ++r) {
    float logit[kVectors * kLanes];
    std::memcpy(logit, sum[r], sizeof(logit));
    out_class[r] = static_cast<std::int32_t>(std::max_element(logit, logit + kClasses) - logit);
  }
}

bool all_finite(const float* values, std::size_t count) {
  return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw std::runtime_error("cannot use the weights in '" + path + "': " + why +
                           "; give the path of a weights.bin made by digits/train.py");
}

}  // namespace

std::unique_ptr<Weights> load_weights(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) refuse(path, "the file cannot be opened");
  auto file = std::make_unique<File>();
  stream.read(reinterpret_cast<char*>(file.get()), sizeof(File));
  const auto bytes = static_cast<std::size_t>(stream.gcount());
  const std::string wanted = std::to_string(sizeof(File)) + " bytes";
  if (bytes != sizeof(File)) {
    refuse(path, "it holds " + std::to_string(bytes) + " bytes instead of " + wanted);
  }
  if (stream.peek() != std::ifstream::traits_type::eof()) {
    refuse(path, "it is longer than " + wanted);
  }
  if (file->header.magic != kMagic) refuse(path, "it does not begin with CUTSMAX1");
  if (file->header.inputs != kInputs || file->header.classes != kClasses) {
    refuse(path, "it is a model of " + std::to_string(file->header.inputs) + " inputs and " +
                     std::to_string(file->header.classes) + " classes instead of 784 and 10");
  }
  if (!all_finite(file->of_input[0], kInputs * kClasses) || !all_finite(file->bias, kClasses)) {
    refuse(path, "a weight is not a finite number");
  }

  auto weights = std::make_unique<Weights>();
  for (std::size_t i = 0; i < kInputs; ++i) {
    std::memcpy(weights->of_input[i], file->of_input[i], sizeof(file->of_input[i]));
  }
  std::memcpy(weights->bias, file->bias, sizeof(file->bias));
  return weights;
}

void classify(const float* rows, std::size_t stride_bytes, std::size_t count,
              const Weights& weights, std::int32_t* out_class) {
  const auto* base = reinterpret_cast<const std::byte*>(rows);
  std::size_t done = 0;
  for (; count - done >= kRowsAtOnce; done += kRowsAtOnce) {
    classify_block<kRowsAtOnce>(base + done * stride_bytes, stride_bytes, weights,
                                out_class + done);
  }
  for (; done < count; ++done) {
    classify_block<1>(base + done * stride_bytes, stride_bytes, weights, out_class + done);
  }
}

}  // namespace softmax

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: softmax WEIGHTS\n");
    return 2;
  }
  try {
    const auto weights = softmax::load_weights(argv[1]);
    const cutter::Model model = {
        .output = cutter::scalar<std::int32_t>(),
        .input = cutter::vector<float>(softmax::kInputs),
        .warm_up = true,
    };
    demo::Faults faults(softmax::kClasses);
    cutter::serve(model, [&](cutter::Batch& batch) {
      const auto classes = batch.outputs<std::int32_t>();
      if (const auto all = batch.dense<float>()) {
        softmax::classify(all->data, all->stride * sizeof(float), all->rows, *weights,
                          classes.data());
      } else {
        for (std::size_t item = 0; item < batch.size(); ++item) {
          softmax::classify(batch.row<float>(item).data(), 0, 1, *weights, &classes[item]);
        }
      }
      faults.inflict(classes);
    });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "softmax: %s\n", error.what());
    return 1;
  }
  return 0;
}
