//! `qc-shutdown` for the tests.

fn main() {
    qc_shutdown::main()
}
