//! `qc-shutdown` for the tests.

fn main() {
    qc_tests::arm_fault();
    qc_shutdown::main()
}
