//! The `qc-launch` program.

fn main() {
    qc_launch::main()
}
