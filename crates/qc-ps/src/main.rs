//! The `qc-ps` program.

fn main() {
    qc_ps::main()
}
