// Faults on request, for demos of what an engine does about models that are wrong or late.
//
//     kill -USR1 PID    sick: from the next batch on, answers are drawn at random; again: healed
//     kill -USR2 PID    slow: from the next batch on, batches take longer;        again: healed
//
// A sick model is as fast as a sound one, and no call of it fails: only feedback can tell. A slow
// model sleeps and keeps no core busy. Both faults are off at the start, and one model can have
// both. A signal that comes twice before it is taken counts once, as POSIX has it; one that comes
// before the model is connected ends the process.
//
// How slow is said by the environment, as in `env DEMO_SLOW_MS=80 softmax linear.bin`:
//
//     DEMO_SLOW_MS      how much longer a batch takes, 0 to 60000 ms; 50 when it is not set
//     DEMO_SLOW_SHARE   the share of batches that do, at random, 0 to 1; 1 when it is not set
#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>

namespace demo {

// A process has one set of faults: signals are sent to processes.
class Faults {
public:
    // `answers`: a sick model draws from 0 .. answers - 1. Throws std::runtime_error if the
    // environment says what means nothing.
    explicit Faults(std::int32_t answers)
        : slow_ms_(setting("DEMO_SLOW_MS", 50, 60'000)),
          slow_share_(setting("DEMO_SLOW_SHARE", 1, 1)),
          any_answer_(0, answers - 1) {
        listen(SIGUSR1, [](int) { is_sick.fetch_xor(1); });
        listen(SIGUSR2, [](int) { is_slow.fetch_xor(1); });
    }

    // Does to the answers of a batch what was asked for; mostly nothing.
    void inflict(std::span<std::int32_t> answers) {
        if (is_slow.load() && any_share_(random_) < slow_share_)
            std::this_thread::sleep_for(slow_ms_);
        if (is_sick.load())
            for (std::int32_t &answer : answers) answer = any_answer_(random_);
    }

private:
    // A handler may run between any two instructions of the model: it touches nothing else.
    static inline std::atomic<int> is_sick{0};
    static inline std::atomic<int> is_slow{0};
    static_assert(std::atomic<int>::is_always_lock_free, "others are not for signal handlers");

    std::chrono::duration<double, std::milli> slow_ms_;
    double slow_share_;
    std::mt19937 random_;  // always from the same seed
    std::uniform_int_distribution<std::int32_t> any_answer_;
    std::uniform_real_distribution<double> any_share_{0, 1};

    static void listen(int signal, void (*handler)(int)) {
        struct sigaction action = {};
        action.sa_handler = handler;
        action.sa_flags = SA_RESTART;
        sigaction(signal, &action, nullptr);
    }

    static double setting(const char *name, double unset, double max) {
        const char *text = std::getenv(name);
        if (!text) return unset;
        char *end = nullptr;
        const double value = std::strtod(text, &end);
        if (end != text && *end == '\0' && value >= 0 && value <= max) return value;
        throw std::runtime_error(std::string(name) + " is '" + text + "'; set it to 0 to "
                                 + std::to_string(static_cast<int>(max)));
    }
};

}  // namespace demo
