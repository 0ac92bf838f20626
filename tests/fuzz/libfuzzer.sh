#!/bin/sh
# Builds the targets with coverage counters and runs one under libFuzzer:
#   tests/fuzz/libfuzzer.sh TARGET [LIBFUZZER_OPTION…]
set -eu
target=$1
shift
cd "$(dirname "$0")/../.."

# What cargo-fuzz passes without a sanitizer. With a --target, build scripts go without the flags.
host=$(rustc -vV | sed -n 's/^host: //p')
level="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
counters="-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
compares="-Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="$level $counters $compares -Ccodegen-units=1 -Cdebug-assertions=on" cargo build --release \
    -p cutter-fuzz --features libfuzzer --bin fuzz --target "$host" --target-dir target/fuzz

new=target/fuzz/corpus/$target
mkdir -p "$new" target/fuzz/artifacts
fuzz=target/fuzz/$host/release/fuzz
corpus=tests/fuzz/corpus/$target
case " $* " in
*merge=1*) set -- "$@" "$corpus" "$new" ;;
*) set -- -dict="tests/fuzz/dictionaries/$target.dict" "$@" "$new" "$corpus" ;;
esac
CUTTER_FUZZ_TARGET=$target exec "$fuzz" -artifact_prefix="target/fuzz/artifacts/$target-" \
    -max_len=4096 -timeout=10 -rss_limit_mb=2048 "$@"
