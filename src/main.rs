//! The `weir` program.

fn main() -> std::process::ExitCode {
    weir::cli::main()
}
