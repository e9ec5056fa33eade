//! The `qc-shutdown` program.

fn main() {
    qc_shutdown::main()
}
