//! Compiles the models, each into the binary of its name.

use std::path::Path;

/// Binaries and their sources.
const MODELS: &[(&str, &str)] = &[
    ("noop", "noop.c"),
    ("sum", "sum.c"),
    ("softmax", "softmax.cpp"),
    ("mlp", "mlp.cpp"),
    ("neighbours", "neighbours.cpp"),
    ("forest", "forest.cpp"),
    ("synthetic", "synthetic.c"),
    ("fragile", "fragile.c"),
];

/// What they include.
const HEADERS: &[&str] = &["demo_faults.hpp", "digits_model.hpp", "../c/include/cutter"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for header in HEADERS {
        println!("cargo::rerun-if-changed={header}");
    }
    for (binary, source) in MODELS {
        println!("cargo::rerun-if-changed={source}");
        let cpp = Path::new(source).extension().is_some_and(|extension| extension == "cpp");
        for object in compiler(cpp).file(source).compile_intermediates() {
            println!("cargo::rustc-link-arg-bin={binary}={}", object.display());
        }
        if cpp {
            println!("cargo::rustc-link-arg-bin={binary}=-lstdc++");
        }
    }
}

/// Models are compiled for speed in every profile: a slow model says nothing of the engine.
fn compiler(cpp: bool) -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(cpp).std(if cpp { "c++20" } else { "c11" }).opt_level(3).include("../c/include");
    build.flag("-Wall").flag("-Wextra");
    if cpp {
        // Products and sums rounded apart, as everywhere else that computes the same logits.
        build.flag("-ffp-contract=off");
    } else {
        build.flag("-Werror=implicit");
    }
    build
}
