//! `qc-ps` for the tests.

fn main() {
    qc_ps::main()
}
