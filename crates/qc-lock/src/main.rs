//! The `qc-lock` program.

fn main() {
    qc_lock::main()
}
