//! `qc` for the tests.

fn main() {
    qc::main()
}
