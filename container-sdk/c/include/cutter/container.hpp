// Serve a model with Cutter: the container SDK for C++20, over the C ABI of container.h.
//
//     #include <cutter/container.hpp>
//     #include <cstdio>
//     #include <numeric>
//
//     int main() try {
//         cutter::serve({.output = cutter::scalar<float>()}, [](cutter::Batch &batch) {
//             auto sums = batch.outputs<float>();
//             for (std::size_t item = 0; item < batch.size(); item++) {
//                 auto row = batch.row<float>(item);
//                 sums[item] = std::accumulate(row.begin(), row.end(), 0.0f);
//             }
//         });
//     } catch (const std::exception &error) {
//         std::fprintf(stderr, "%s\n", error.what());
//         return 1;
//     }
//
// Build it with CMake, find_package(cutter-container REQUIRED) and the target cutter::container, or
// with: c++ -std=c++20 -O3 sum.cpp -o sum $(pkg-config --cflags --libs cutter-container)
//
// An exception that leaves the predict function fails the batch with its text; the container lives
// on. (One that leaves a cutter_predict of your own, given to cutter_serve(), ends the process.)
// Spans point to memory shared with the engine: use them only while the batch is in hand.
//
// Elements have the type that was declared, or an Error says which two differ. std::byte is every
// type's bytes; std::uint8_t and char are the bytes of CUTTER_BYTES and CUTTER_STRING.
#pragma once

// GCC 10 calls it 201709.
#if __cplusplus < 201709L
#error "cutter/container.hpp needs C++20: compile with -std=c++20, or set CMAKE_CXX_STANDARD to 20"
#endif

#include <cutter/container.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace cutter {

// What went wrong, with the code that the C function gave.
class Error : public std::runtime_error {
public:
    Error(cutter_status status, const std::string &text)
        : std::runtime_error(text), status_(status) {}

    cutter_status status() const noexcept { return status_; }

private:
    cutter_status status_;
};

// The types that elements may have in C++.
template <class T>
concept Element = std::same_as<T, std::byte> || std::same_as<T, std::uint8_t>
    || std::same_as<T, std::int32_t> || std::same_as<T, float> || std::same_as<T, double>
    || std::same_as<T, char>;

// The element type of T; char stands for strings.
template <Element T>
constexpr cutter_type type_of() noexcept {
    if constexpr (std::same_as<T, std::int32_t>) return CUTTER_INT32;
    else if constexpr (std::same_as<T, float>) return CUTTER_FLOAT32;
    else if constexpr (std::same_as<T, double>) return CUTTER_FLOAT64;
    else if constexpr (std::same_as<T, char>) return CUTTER_STRING;
    else return CUTTER_BYTES;
}

// One element.
template <Element T>
cutter_spec scalar() noexcept { return cutter_scalar(type_of<T>()); }

// A vector of exactly this many elements.
template <Element T>
cutter_spec vector(std::uint32_t elements) noexcept {
    return cutter_vector(type_of<T>(), elements);
}

// Items with lengths of their own, of at most this many bytes.
template <Element T>
cutter_spec at_most(std::uint32_t bytes_max) noexcept {
    return cutter_at_most(type_of<T>(), bytes_max);
}

// What the engine is told of a model; see cutter_model.
struct Model {
    cutter_spec output{};
    cutter_spec input{};
    std::uint32_t items_max = 0;
    std::string name{};
    std::string version{};
    // Whether the engine may try batches of zeros before the first query; see CUTTER_WARM_UP.
    bool warm_up = false;

    // Points into this.
    cutter_model c_model() const noexcept {
        return {output, input, items_max, name.c_str(), version.c_str()};
    }

    std::uint32_t options() const noexcept { return warm_up ? CUTTER_WARM_UP : 0; }
};

// All rows of a batch as one matrix.
template <Element T>
struct Dense {
    const T *data;
    std::size_t rows;
    std::size_t columns;
    // Elements from the start of one row to the start of the next.
    std::size_t stride;

    std::span<const T> operator[](std::size_t row) const noexcept {
        return {data + row * stride, columns};
    }
};

// A batch in hand. One that is dropped without being completed fails. It must not outlive its
// container.
class Batch {
public:
    // Takes over a batch that cutter_next() gave, or that cutter_serve() lends.
    explicit Batch(cutter_batch *batch) noexcept : batch_(batch) {}
    Batch(Batch &&other) noexcept : batch_(std::exchange(other.batch_, nullptr)) {}
    Batch &operator=(Batch &&other) noexcept {
        Batch(std::move(other)).swap(*this);
        return *this;
    }
    Batch(const Batch &) = delete;
    Batch &operator=(const Batch &) = delete;
    ~Batch() {
        if (cutter_batch_count(batch_) > 0)
            cutter_batch_fail(batch_, "the model gave the batch up");
    }

    // The number of items, at least 1; 0 when the batch was given back.
    std::size_t size() const noexcept { return cutter_batch_count(batch_); }

    // When the first query of the batch is due: nanoseconds on CLOCK_MONOTONIC.
    std::uint64_t deadline_ns() const noexcept { return cutter_batch_deadline_ns(batch_); }

    // The input of one item, in place.
    template <Element T>
    std::span<const T> row(std::size_t item) const {
        std::size_t elements = 0;
        const void *row = check(cutter_batch_row_as(batch_, item, asked<T>(), &elements));
        return {static_cast<const T *>(row), elements};
    }

    // The input of one item as text, in place.
    std::string_view text(std::size_t item) const {
        auto row = this->row<char>(item);
        return {row.data(), row.size()};
    }

    // All inputs as one matrix, when they lie so; nearly always.
    template <Element T>
    std::optional<Dense<T>> dense() const {
        std::size_t row_bytes = 0, stride_bytes = 0;
        const void *data = cutter_batch_dense(batch_, &row_bytes, &stride_bytes);
        if (!data) return std::nullopt;
        check_row_type<T>(0);
        return Dense<T>{static_cast<const T *>(data), size(), elements<T>(row_bytes),
                        elements<T>(stride_bytes)};
    }

    // Copies all rows into a buffer of the model, `stride` elements for each; what a shorter row
    // leaves of them is zeroed.
    template <Element T>
    void gather(std::span<T> into, std::size_t stride) const {
        // A stride of more elements than the buffer has cannot fit; so the product cannot overflow.
        std::size_t stride_bytes = stride > into.size() ? SIZE_MAX : stride * sizeof(T);
        for (std::size_t item = 0; item < size(); item++) check_row_type<T>(item);
        check(cutter_batch_gather(batch_, into.data(), stride_bytes, into.size_bytes()));
    }

    // The place for all outputs, zeroed when it is first asked for; from then on all outputs of a
    // shape count as written. Those of a shape lie one after another without gaps.
    template <Element T>
    std::span<T> outputs() {
        std::size_t stride = 0;
        void *outputs = check(cutter_batch_outputs_as(batch_, asked<T>(), &stride));
        return {static_cast<T *>(outputs), stride * size()};
    }

    // The place for the output of one item, zeroed when it is first asked for. An output of a shape
    // counts as written from then on; an item of which neither its place was asked for nor anything
    // was said fails.
    template <Element T>
    std::span<T> output(std::size_t item) {
        std::size_t elements = 0;
        void *output = check(cutter_batch_output_as(batch_, item, asked<T>(), &elements));
        return {static_cast<T *>(output), elements};
    }

    // Says how many bytes of its place an output has taken, where outputs have lengths of their
    // own.
    void set_output_bytes(std::size_t item, std::size_t bytes) {
        check(cutter_batch_set_output_bytes(batch_, item, bytes));
    }

    // Copies the output of one item to its place and says how long it is.
    template <Element T>
    void write_output(std::size_t item, std::span<const T> output) {
        check(cutter_batch_write_output(batch_, item, output.data(), output.size_bytes()));
    }
    void write_output(std::size_t item, std::string_view output) {
        check(cutter_batch_write_output(batch_, item, output.data(), output.size()));
    }

    // Fails one item; the others go on. Its client reads the message.
    void fail_item(std::size_t item, const std::string &message) {
        check(cutter_batch_fail_item(batch_, item, message.c_str()));
    }

    // Gives the batch back with its outputs. cutter::serve() does this by itself. When outputs are
    // missing, that is thrown, and the batch is given back all the same.
    void complete() { check(cutter_batch_complete(release())); }

    // Fails the whole batch and gives it back. Its clients read the message.
    void fail(const std::string &message) { check(cutter_batch_fail(release(), message.c_str())); }

    // The batch for the C functions; still this object's to give back.
    cutter_batch *get() const noexcept { return batch_; }

    // Leaves the batch to the caller.
    cutter_batch *release() noexcept { return std::exchange(batch_, nullptr); }

    void swap(Batch &other) noexcept { std::swap(batch_, other.batch_); }

private:
    cutter_batch *batch_;

    template <class T>
    static std::size_t elements(std::size_t bytes) {
        if (bytes % sizeof(T) == 0) return bytes / sizeof(T);
        throw Error(CUTTER_ERROR_LENGTH, std::to_string(bytes) + " bytes are not elements of "
                                             + std::to_string(sizeof(T)) + " bytes");
    }

    // What the C functions are asked for: std::byte stands for the bytes of every type.
    template <Element T>
    static constexpr cutter_type asked() noexcept {
        return std::same_as<T, std::byte> ? CUTTER_ANY : type_of<T>();
    }

    template <Element T>
    void check_row_type(std::size_t item) const {
        check(cutter_batch_row_as(batch_, item, asked<T>(), nullptr));
    }

    template <class T>
    static T *check(T *pointer) {
        if (!pointer) throw Error(cutter_error_status(), cutter_error_text());
        return pointer;
    }

    static void check(cutter_status status) {
        if (status < 0) throw Error(status, cutter_error_text());
    }
};

// A connection to the engine, for a model with a loop of its own.
class Container {
public:
    // Connects. The engine sends batches from the first call of next() or next_within() on: a model
    // may load before that, or before it connects.
    explicit Container(const Model &model) {
        cutter_model c_model = model.c_model();
        cutter_container *container = nullptr;
        check(cutter_connect_with(&c_model, model.options(), &container));
        container_.reset(container);
    }

    // Waits for the next batch. Nothing: the engine asks the container to end. The first call tells
    // the engine that the model is ready.
    std::optional<Batch> next() { return next_within(-1); }

    // Waits for at most timeout_ns. Nothing: none came, or stopped().
    std::optional<Batch> next_within(std::int64_t timeout_ns) {
        cutter_batch *batch = nullptr;
        cutter_status status = cutter_next(container_.get(), timeout_ns, &batch);
        check(status);
        stopped_ = status == CUTTER_STOP;
        if (status != CUTTER_OK) return std::nullopt;
        return std::optional<Batch>(std::in_place, batch);
    }

    // Whether the engine asked the container to end.
    bool stopped() const noexcept { return stopped_; }

    // A descriptor that becomes readable when the engine is gone.
    int socket() const noexcept { return cutter_socket(container_.get()); }

private:
    struct Close {
        void operator()(cutter_container *container) const noexcept { cutter_close(container); }
    };

    std::unique_ptr<cutter_container, Close> container_;
    bool stopped_ = false;

    static void check(cutter_status status) {
        if (status < 0) throw Error(status, cutter_error_text());
    }
};

// Connects, and calls predict for batch after batch until the engine asks the container to end.
// Load the model first: batches come from here on.
template <std::invocable<Batch &> Predict>
void serve(const Model &model, Predict &&predict) {
    using Function = std::remove_reference_t<Predict>;
    // No exception crosses the C functions.
    cutter_predict call = [](void *context, cutter_batch *lent) noexcept -> int {
        Batch batch(lent);
        try {
            (**static_cast<Function **>(context))(batch);
            batch.release();
            return 0;
        } catch (const std::exception &error) {
            return cutter_batch_fail(batch.release(), error.what());
        } catch (...) {
            return cutter_batch_fail(batch.release(), "the model threw what is no std::exception");
        }
    };
    // A pointer to a function is no void pointer, but a pointer to it is.
    Function *function = std::addressof(predict);
    cutter_model c_model = model.c_model();
    cutter_status status = cutter_serve_with(&c_model, model.options(), call, &function);
    if (status != CUTTER_OK) throw Error(status, cutter_error_text());
}

}  // namespace cutter
