//! An installed SDK, and models built against it with the tools that users have.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The prefix of an SDK installed for these tests.
pub fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = fresh_folder("prefix");
        run(Command::new(sdk().join("install.sh")).arg(&prefix));
        prefix
    })
}

/// Compiles one C source of the examples against the package that pkg-config finds.
pub fn compile_c(source: &str, package: &str) -> PathBuf {
    need("pkg-config", "pkg-config");
    let flags = run(Command::new("pkg-config")
        .args(["--cflags", "--libs", "--static", package])
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig")));
    let flags = String::from_utf8(flags.stdout).unwrap();
    let binary = fresh_folder(&format!("{package}-{source}")).join("model");
    let strict = ["-O3", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"];
    run(Command::new("cc")
        .args(strict)
        .arg(examples().join(source))
        .arg("-o")
        .arg(&binary)
        .args(flags.split_whitespace()));
    binary
}

/// The examples that the tests run, and one in C++. The others differ from it in nothing that CMake
/// sees, and cargo compiles them all.
const EXAMPLES: [&str; 4] = ["fragile", "softmax", "sum", "synthetic"];

/// A binary of the C++ project that finds the SDK as a CMake package.
pub fn consumer(binary: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| cmake("consumer", &sdk().join("tests/consumer"), &["all"])).join(binary)
}

/// A binary of the examples, built as a CMake project.
pub fn example(binary: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| cmake("examples", &examples(), &EXAMPLES)).join(binary)
}

/// Runs a command that has to succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    output
}

/// The folder of the C SDK.
pub fn sdk() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// An empty folder of this name, within the target folder.
pub fn fresh_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cutter-c").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn examples() -> PathBuf {
    sdk().join("../examples")
}

/// Builds targets of a project as CMake does, below a folder of this name.
pub fn cmake(name: &str, source: &Path, targets: &[&str]) -> PathBuf {
    need("cmake", "cmake");
    let build = fresh_folder(name);
    run(Command::new("cmake")
        .arg("-S")
        .arg(source)
        .arg("-B")
        .arg(&build)
        .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display())));
    run(Command::new("cmake").arg("--build").arg(&build).arg("--target").args(targets));
    build
}

/// Compiles one C++ model, with the sanitizers of the compiler watching it.
pub fn compile_sanitized(source: &Path) -> PathBuf {
    need("pkg-config", "pkg-config");
    let flags = run(Command::new("pkg-config")
        .args(["--cflags", "--libs", "--static", "cutter-container"])
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig")));
    let flags = String::from_utf8(flags.stdout).unwrap();
    let name = source.file_name().unwrap().to_string_lossy();
    let binary = fresh_folder(&format!("sanitized-{name}")).join("model");
    let watched = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"];
    run(Command::new("c++")
        .args(watched)
        .args(["-std=c++20", "-Wall", "-Wextra", "-Werror"])
        .arg(source)
        .arg("-o")
        .arg(&binary)
        .args(flags.split_whitespace()));
    binary
}

/// Installs a tool that the machine lacks, as far as it allows.
pub fn need(tool: &str, package: &str) {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let works = |program: &str, args: &[&str]| {
        let quiet = Command::new(program).args(args).stdin(Stdio::null()).output();
        quiet.is_ok_and(|output| output.status.success())
    };
    let found = works(tool, &["--version"])
        || (works("apt-get", &["install", "-y", package]) && works(tool, &["--version"]))
        || (works("apt-get", &["update"])
            && works("apt-get", &["install", "-y", package])
            && works(tool, &["--version"]))
        || (works("pip", &["install", package]) && works(tool, &["--version"]));
    assert!(found, "{tool} is missing, and neither apt-get nor pip could install it; install it");
}
