//! `qc-launch` for the tests.

fn main() {
    qc_tests::arm_fault();
    qc_launch::main()
}
