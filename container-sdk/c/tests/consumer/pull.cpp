// A model with a loop of its own: gives each text back in capitals. It drops every batch that
// begins with "drop", and fails the item for "fail".
#include <cutter/container.hpp>

#include <cctype>
#include <cstdio>
#include <string>

static void predict(cutter::Batch &batch) {
    for (std::size_t item = 0; item < batch.size(); item++) {
        std::string text(batch.text(item));
        for (char &letter : text) letter = static_cast<char>(std::toupper(letter));
        if (text == "FAIL") batch.fail_item(item, "as you wish");
        else batch.write_output(item, text);
    }
}

int main() try {
    cutter::Container container({.output = cutter::at_most<char>(100)});
    while (!container.stopped()) {
        auto batch = container.next_within(1'000'000);
        if (!batch || batch->text(0) == "drop") continue;
        predict(*batch);
        batch->complete();
    }
    return container.socket() < 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "pull: %s\n", error.what());
    return 1;
}
