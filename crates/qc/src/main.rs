//! The `qc` program.

fn main() {
    qc::main()
}
