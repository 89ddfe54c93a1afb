//! The `weir` program.

/// `base` to the power of `exponent`, under the name by which compiled code calls it: tokio's scheduler does. With this
/// definition nothing needs the C library's mathematics, whose tables and variants for each processor would be
/// 0.7 MB of every gateway's memory.
#[allow(unsafe_code, reason = "a name that the linker sees; it has the meaning and the types that C gives it")]
#[unsafe(no_mangle)]
extern "C" fn pow(base: f64, exponent: f64) -> f64 {
    libm::pow(base, exponent)
}

fn main() -> std::process::ExitCode {
    weir::cli::main()
}
