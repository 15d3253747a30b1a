//! Files that are added to the console's pages are embedded, too.

fn main() {
    println!("cargo::rerun-if-changed=../web");
}
