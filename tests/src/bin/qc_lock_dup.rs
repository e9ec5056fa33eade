//! `qc-lock` for the tests.

fn main() {
    qc_lock::main()
}
