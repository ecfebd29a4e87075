//! Compiles the C++ shim against the libtorch that torch-sys found, and records where that libtorch lies.
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=cpp");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let lib = PathBuf::from(
        std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch is"),
    );
    let include = lib
        .parent()
        .expect("lib/ has a parent folder")
        .join("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .flag("-D_GLIBCXX_USE_CXX11_ABI=1")
        .opt_level(1)
        .debug(false)
        .file("cpp/shim.cpp")
        .compile("shim");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
}
