//! Names the shared library by its ABI, so that a model finds the version that it was linked with.

fn main() {
    // Before 1.0 every minor version may change the ABI. install.sh makes the link of this name.
    let abi = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcutter_c.so.{abi}");
    println!("cargo::rerun-if-changed=build.rs");
}
