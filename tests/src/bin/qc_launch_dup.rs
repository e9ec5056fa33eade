//! `qc-launch` for the tests.

fn main() {
    qc_launch::main()
}
